"""Residual blocks in a U (Zhang et al. 2022, IEEE TPAMI 44, DRUNet), smaller and without a noise map."""

from torch import Tensor, nn

from bonectl.errors import UsageError
from bonectl.learning.denoiser import Denoiser, Reach
from bonectl.models._residual import Residual, initialise, pyramid_radius

# What the register knows of it (core/kit.py).
LEARNS = "volumes"


class _Block(nn.Module):
    """Two 3 × 3 convolutions beside a short cut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = x + self.body(x)
        return changed


class _Network(nn.Module):
    """Blocks at each scale, strided convolutions between them, short cuts by addition; no biases."""

    def __init__(self, width: int, scales: int, blocks: int) -> None:
        super().__init__()
        widths = [width * 2**scale for scale in range(scales)]
        self.first = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.down = nn.ModuleList(_blocks(wide, blocks) for wide in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(wide, 2 * wide, 2, 2, bias=False) for wide in widths[:-1])
        self.grow = nn.ModuleList(nn.ConvTranspose2d(2 * wide, wide, 2, 2, bias=False) for wide in widths[-2::-1])
        self.up = nn.ModuleList(_blocks(wide, blocks) for wide in widths[-2::-1])
        self.last = nn.Conv2d(width, 1, 3, padding=1, bias=False)
        initialise(self, self.last)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        kept = []
        for scale, blocks in enumerate(self.down):
            x = blocks(x)
            if scale < len(self.shrink):
                kept.append(x)
                x = self.shrink[scale](x)
        for grow, blocks in zip(self.grow, self.up, strict=True):
            x = blocks(grow(x) + kept.pop())
        correction: Tensor = self.last(x)
        return correction


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_Block(width) for _ in range(count)))


def drunet(*, width: int = 32, scales: int = 4, blocks: int = 2) -> Denoiser:
    """Correct each slice with residual blocks at several resolutions, without biases: a change of scale passes through.

    Parameters
    ----------
    width : int
        Channels at full resolution; doubled at every coarser scale. The paper has 64.
    scales : int
        Resolutions, full one included.
    blocks : int
        Residual blocks per scale, on the way down and up. The paper has 4.

    Returns
    -------
    Denoiser
        (b, z, y, x) → (b, z, y, x), normalised units; at first the identity.

    Raises
    ------
    UsageError
        When a knob is below 1, or scales is above 8.
    """
    if min(width, blocks) < 1 or not 1 <= scales <= 8:
        raise UsageError(f"drunet(width={width}, scales={scales}, blocks={blocks}): at least 1 each, scales up to 8")
    each = 2 * blocks
    # The convolution before the first scale and the one behind the last look one pixel farther.
    down, up = [each + 1, *[each] * (scales - 1)], [*[each] * (scales - 1)]
    if up:
        up[-1] += 1
    else:
        down[0] += 1
    reach = Reach(pixels=pyramid_radius(down, up), grid=2 ** (scales - 1))
    return Residual(_Network(width, scales, blocks), reach)
