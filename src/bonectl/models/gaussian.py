"""Gaussian smoothing, separable and cut off where the kernel has fallen to nothing."""

import torch
from torch import Tensor
from torch.nn.functional import conv3d, pad

from bonectl.errors import UsageError
from bonectl.learning.denoiser import Denoiser, Reach

# What the register knows of it (core/kit.py).
LEARNS = "nothing"

# Most of sigma [voxel] and of truncate [standard deviation]: wider kernels smooth everything away.
WIDEST, FARTHEST = 100.0, 20.0


class Gaussian(Denoiser):
    """Convolution with a sampled, normalised Gaussian along z, y and x.

    Parameters
    ----------
    sigma : float
        Standard deviation [voxels].
    truncate : float
        Where the kernel ends [standard deviations].
    """

    def __init__(self, sigma: float, truncate: float) -> None:
        radius = int(truncate * sigma + 0.5)
        super().__init__(Reach(slices=radius, pixels=radius))
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
        kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
        self.register_buffer("kernel", kernel / kernel.sum(), persistent=False)

    def forward(self, volume: Tensor) -> Tensor:
        """Smooth (b, z + 2 radius, y, x) to (b, z, y, x); edges of the slice are repeated outwards."""
        radius = self.reach.slices
        kernel = self.get_buffer("kernel").to(volume.dtype)
        x = pad(volume, (radius, radius, radius, radius), mode="replicate").unsqueeze(1)
        x = conv3d(x, kernel.view(1, 1, -1, 1, 1))
        x = conv3d(x, kernel.view(1, 1, 1, -1, 1))
        return conv3d(x, kernel.view(1, 1, 1, 1, -1)).squeeze(1)


def gaussian(*, sigma: float = 1.0, truncate: float = 4.0) -> Denoiser:
    """Smooth with a Gaussian in three dimensions.

    Parameters
    ----------
    sigma : float
        Standard deviation [voxels].
    truncate : float
        Where the kernel ends [standard deviations].

    Returns
    -------
    Denoiser
        (b, z + 2 radius, y, x) → (b, z, y, x) with radius = round(truncate · sigma); any unit.

    Raises
    ------
    UsageError
        When sigma or truncate is not positive, or larger than any use.
    """
    if not (0 < sigma <= WIDEST and 0 < truncate <= FARTHEST):
        raise UsageError(
            f"gaussian(sigma={sigma}, truncate={truncate}): both must be positive, at most {WIDEST:g} and {FARTHEST:g}"
        )
    return Gaussian(sigma, truncate)
