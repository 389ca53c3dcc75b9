"""Non-local means in three dimensions (Buades, Coll and Morel 2005), an offset of the search at a time."""

from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d, pad

from bonectl.errors import UsageError
from bonectl.learning.denoiser import Denoiser, Reach

# What the register knows of it (core/kit.py).
LEARNS = "nothing"


class NonLocalMeans(Denoiser):
    """Means of voxels whose surroundings look alike; see :func:`nlm3d`.

    Parameters
    ----------
    sigma, strength : float
    patch, distance : int
    """

    def __init__(self, sigma: float, strength: float, patch: int, distance: int) -> None:
        radius = distance + patch // 2
        super().__init__(Reach(slices=radius, pixels=radius))
        self.sigma, self.strength, self.patch, self.distance = sigma, strength, patch, distance

    def forward(self, volume: Tensor) -> Tensor:
        """Filter (b, z + 2 radius, y, x) to (b, z, y, x); edges of the slice are repeated outwards."""
        radius, inset = self.reach.slices, self.patch // 2
        wide = pad(volume, (radius, radius, radius, radius), mode="replicate")
        inner = [size - 2 * self.distance for size in wide.shape[1:]]
        here = _at(wide, inner, (self.distance,) * 3)
        kept = [size - 2 * inset for size in inner]
        total = torch.zeros_like(_at(here, kept, (inset,) * 3))
        weights = torch.zeros_like(total)
        for offset in product(range(2 * self.distance + 1), repeat=3):
            there = _at(wide, inner, offset)
            apart = avg_pool3d(((there - here) ** 2).unsqueeze(1), self.patch, stride=1).squeeze(1)
            likeness = (apart - 2 * self.sigma**2).clamp(min=0).div(-((self.strength * self.sigma) ** 2)).exp()
            total += likeness * _at(there, kept, (inset,) * 3)
            weights += likeness
        return total / weights


def _at(volume: Tensor, shape: list[int], start: tuple[int, ...]) -> Tensor:
    """Cut a part of (b, z, y, x)."""
    for axis, (first, length) in enumerate(zip(start, shape, strict=True), 1):
        volume = volume.narrow(axis, first, length)
    return volume


def nlm3d(*, sigma: float = 0.1, strength: float = 0.8, patch: int = 3, distance: int = 2) -> Denoiser:
    """Replace each voxel by the mean of those around it, in all directions, whose surroundings look alike.

    In three dimensions, where nlm compares within the slice only.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise [normalised units].
    strength : float
        How unlike surroundings may be, in units of sigma.
    patch : int
        Side of the surroundings, odd [voxels].
    distance : int
        How far to look along each axis [voxels]; time grows with its third power.

    Returns
    -------
    Denoiser
        (b, z + 2 radius, y, x) → (b, z, y, x) with radius = distance + (patch - 1) / 2, normalised units.

    Raises
    ------
    UsageError
        When a knob is not positive, or patch is even.
    """
    if not (sigma > 0 and strength > 0 and patch > 0 and distance > 0 and patch % 2):
        raise UsageError(
            f"nlm3d(sigma={sigma}, strength={strength}, patch={patch}, distance={distance}): all must be positive, "
            "and patch odd"
        )
    return NonLocalMeans(sigma, strength, patch, distance)
