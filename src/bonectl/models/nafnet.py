"""Nonlinear-activation-free network (Chen et al. 2022, ECCV), small."""

import torch
from torch import Tensor, nn

from bonectl.errors import UsageError
from bonectl.learning.denoiser import Denoiser, Reach
from bonectl.models._residual import Residual, initialise, pyramid_radius

# What the register knows of it (core/kit.py).
LEARNS = "volumes"

# Keeps the variance of channels that are all alike from dividing by zero.
EPSILON = 1e-6


class _Norm(nn.Module):
    """Layer normalisation over the channels of each pixel on its own, so that no pixel depends on another."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=1, keepdim=True)
        return centred / (centred.square().mean(dim=1, keepdim=True) + EPSILON).sqrt() * self.weight + self.bias


class _Block(nn.Module):
    """Depth-wise convolution and a feed-forward part, both gated by a product of halves, beside short cuts."""

    def __init__(self, width: int, *, attention: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList((_Norm(width), _Norm(width)))
        self.widen = nn.Conv2d(width, 2 * width, 1)
        self.depthwise = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.attention = nn.Conv2d(width, width, 1) if attention else None
        self.narrow = nn.Conv2d(width, width, 1)
        self.forth = nn.Conv2d(width, 2 * width, 1)
        self.back = nn.Conv2d(width, width, 1)
        # The short cuts alone at first, as in the paper.
        self.scales = nn.ParameterList(nn.Parameter(torch.zeros(1, width, 1, 1)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y = _gated(self.depthwise(self.widen(self.norms[0](x))))
        if self.attention is not None:
            y = y * self.attention(y.mean(dim=(2, 3), keepdim=True))
        x = x + self.scales[0] * self.narrow(y)
        changed: Tensor = x + self.scales[1] * self.back(_gated(self.forth(self.norms[1](x))))
        return changed


def _gated(x: Tensor) -> Tensor:
    """The product of the two halves of the channels."""
    one, other = x.chunk(2, dim=1)
    return one * other


class _Network(nn.Module):
    """Blocks at each scale, strided convolutions down, sub-pixel convolutions up, short cuts by addition."""

    def __init__(self, width: int, scales: int, *, attention: bool) -> None:
        super().__init__()
        widths = [width * 2**scale for scale in range(scales)]
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.down = nn.ModuleList(_Block(wide, attention=attention) for wide in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(wide, 2 * wide, 2, 2) for wide in widths[:-1])
        self.grow = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2 * wide, 4 * wide, 1, bias=False), nn.PixelShuffle(2)) for wide in widths[-2::-1]
        )
        self.up = nn.ModuleList(_Block(wide, attention=attention) for wide in widths[-2::-1])
        self.last = nn.Conv2d(width, 1, 3, padding=1)
        initialise(self, self.last)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        kept = []
        for scale, block in enumerate(self.down):
            x = block(x)
            if scale < len(self.shrink):
                kept.append(x)
                x = self.shrink[scale](x)
        for grow, block in zip(self.grow, self.up, strict=True):
            x = block(grow(x) + kept.pop())
        correction: Tensor = self.last(x)
        return correction


def nafnet(*, width: int = 16, scales: int = 3, attention: bool = False) -> Denoiser:
    """Correct each slice with gated depth-wise convolutions: few operations per pixel.

    Parameters
    ----------
    width : int
        Channels at full resolution; doubled at every coarser scale.
    scales : int
        Resolutions, full one included.
    attention : bool
        The paper's channel attention. It takes the mean over the whole slice, so a voxel then depends on all of
        it, slices cannot be cut into tiles, and patches in training are no slices.

    Returns
    -------
    Denoiser
        (b, z, y, x) → (b, z, y, x), normalised units; at first the identity.

    Raises
    ------
    UsageError
        When the width is below 1, or scales outside 1 to 8.
    """
    if width < 1 or not 1 <= scales <= 8:
        raise UsageError(f"nafnet(width={width}, scales={scales}): width must be at least 1 and scales 1 to 8")
    down, up = [2, *[1] * (scales - 1)], [1] * (scales - 1)
    if up:
        up[-1] += 1
    else:
        down[0] += 1
    reach = Reach(pixels=None if attention else pyramid_radius(down, up), grid=2 ** (scales - 1))
    return Residual(_Network(width, scales, attention=attention), reach)
