"""Total-variation denoising in three dimensions, by the fast dual projection of Beck and Teboulle.

IEEE Trans. Image Process. 18, 2419 (2009), algorithm FGP; isotropic differences along z, y and x, in voxels.
"""

from math import sqrt

import torch
from torch import Tensor

from bonectl.errors import UsageError
from bonectl.learning.denoiser import Denoiser, Reach

# What the register knows of it (core/kit.py).
LEARNS = "nothing"

# Largest eigenvalue of the differences times their transpose: four for each axis.
BOUND = 12.0


class TotalVariation(Denoiser):
    """The volume that has little total variation and is near the given one; see :func:`tv3d`.

    A step takes differences between neighbours and their transpose, so that it looks one voxel farther: after so many
    steps no voxel depends on one that is farther away.

    Parameters
    ----------
    weight : float
        How much smoothing [normalised units].
    steps : int
        Iterations.
    """

    def __init__(self, weight: float, steps: int) -> None:
        super().__init__(Reach(slices=steps, pixels=steps))
        self.weight = weight
        self.steps = steps

    def forward(self, volume: Tensor) -> Tensor:
        """Smooth (b, z + 2 steps, y, x) to (b, z, y, x)."""
        dual = volume.new_zeros((3, *volume.shape))
        ahead, momentum = dual, 1.0
        for _ in range(self.steps):
            before = dual
            primal = volume + self.weight * divergence(ahead)
            dual = ahead + gradient(primal) / (BOUND * self.weight)
            dual = dual / torch.linalg.vector_norm(dual, dim=0).clamp(min=1.0)
            faster = (1 + sqrt(1 + 4 * momentum**2)) / 2
            ahead = dual + (momentum - 1) / faster * (dual - before)
            momentum = faster
        estimate: Tensor = volume + self.weight * divergence(dual)
        return estimate[:, self.steps : estimate.shape[1] - self.steps]


def gradient(volume: Tensor) -> Tensor:
    """Forward differences of (b, z, y, x) along z, y and x, 0 at the far ends: (3, b, z, y, x)."""
    found = volume.new_zeros((3, *volume.shape))
    for part, axis in zip(found, (1, 2, 3), strict=True):
        part.narrow(axis, 0, volume.shape[axis] - 1).copy_(volume.diff(dim=axis))
    return found


def divergence(field: Tensor) -> Tensor:
    """Minus the transpose of :func:`gradient`: (3, b, z, y, x) to (b, z, y, x)."""
    found = torch.zeros_like(field[0])
    for part, axis in zip(field, (1, 2, 3), strict=True):
        inner = part.narrow(axis, 0, part.shape[axis] - 1)
        found.narrow(axis, 0, part.shape[axis] - 1).add_(inner)
        found.narrow(axis, 1, part.shape[axis] - 1).sub_(inner)
    return found


def tv3d(*, weight: float = 0.1, steps: int = 30) -> Denoiser:
    """Smooth the volume where that lowers its total variation more than it changes its values.

    In three dimensions, where tv knows slices only: trabeculae that touch in the next slice are not cut.

    Parameters
    ----------
    weight : float
        How much smoothing [normalised units]; about half the standard deviation of the noise.
    steps : int
        Iterations; also how many slices and pixels a voxel sees on each side.

    Returns
    -------
    Denoiser
        (b, z + 2 steps, y, x) → (b, z, y, x), normalised units.

    Raises
    ------
    UsageError
        When a knob is not positive.
    """
    if not (weight > 0 and steps > 0):
        raise UsageError(f"tv3d(weight={weight}, steps={steps}): both must be positive")
    return TotalVariation(weight, steps)
