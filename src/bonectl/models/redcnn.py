"""Residual encoder-decoder convolutional network (Chen et al. 2017, IEEE TMI 36): the baseline of low-dose CT."""

from torch import Tensor, nn
from torch.nn.functional import relu

from bonectl.errors import UsageError
from bonectl.learning.denoiser import Denoiser, Reach
from bonectl.models._residual import Residual, initialise

# What the register knows of it (core/kit.py).
LEARNS = "volumes"

# Convolutions, and as many transposed ones; their side [pixels].
DEPTH = 5
SIDE = 5


class _Network(nn.Module):
    """Five 5 × 5 convolutions and five transposed ones, with short cuts from the second and fourth."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encode = nn.ModuleList(nn.Conv2d(1 if k == 0 else width, width, SIDE, padding=2) for k in range(DEPTH))
        self.decode = nn.ModuleList(
            nn.ConvTranspose2d(width, 1 if k == DEPTH - 1 else width, SIDE, padding=2) for k in range(DEPTH)
        )
        last = self.decode[-1]
        assert isinstance(last, nn.ConvTranspose2d)
        initialise(self, last)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for number, layer in enumerate(self.encode):
            x = relu(layer(x))
            if number in (1, 3):
                kept.append(x)
        for number, layer in enumerate(self.decode):
            x = layer(x)
            if number in (0, 2):
                x = x + kept.pop()
            if number < DEPTH - 1:
                x = relu(x)
        return x


def redcnn(*, width: int = 96) -> Denoiser:
    """Correct each slice with ten wide layers at full resolution: slow, and a baseline that is hard to beat.

    Unlike the paper's, convolutions are padded, so that slices of any size work, and there is no ReLU behind the sum,
    which would cut off values below 0.

    Parameters
    ----------
    width : int
        Channels of every layer.

    Returns
    -------
    Denoiser
        (b, z, y, x) → (b, z, y, x), normalised units; at first the identity.

    Raises
    ------
    UsageError
        When the width is below 1.
    """
    if width < 1:
        raise UsageError(f"redcnn(width={width}): the width must be at least 1")
    return Residual(_Network(width), Reach(pixels=2 * DEPTH * (SIDE // 2)))
