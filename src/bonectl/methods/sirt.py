"""Simultaneous iterative reconstruction."""

import torch
from torch import Tensor

from bonectl.core import progress
from bonectl.errors import UsageError
from bonectl.projection.projector import Projector

# What the register knows of it (core/kit.py).
BEAMS = ("parallel", "fan", "cone")
USUAL = ()
CLOSED = False
MOMENTS = ((2, 1, "project"), (4, 3, "back"), (3, 5, ""))  # of a cone, whose weights are as large as its scan

# Rays and voxels that weigh less than this share of the heaviest take no part: their weights are rounding.
LEAST_WEIGHT = 1e-3


def sirt(
    A: Projector,
    y: Tensor,
    *,
    iterations: int = 100,
    tolerance: float = 0.0,
    nonnegative: bool = False,
) -> Tensor:
    """Simultaneous iterative reconstruction: every voxel takes the weighted mean of its rays' errors.

    x ← x + C Aᵀ R (y - A x) from x = 0, with R and C the reciprocals of the row and column sums of A (Gregor and
    Benson, IEEE Trans. Med. Imaging 27, 918, 2008, eq. 4): it descends to the least squares weighted by R. Few
    iterations smooth like a window; noise grows with their number.

    Parameters
    ----------
    A : Projector
    y : (..., row, view, col) tensor
        Line integrals.
    iterations : int
        Steps at most.
    tolerance : float
        A slice (in a cone beam, the volume) is done when a step lowers the norm of y - A x by less than this share of
        the norm of y.
    nonnegative : bool
        Set negative attenuation to 0 after every step.

    Returns
    -------
    (..., z, y, x) tensor
        Attenuation [1/cm].

    Raises
    ------
    UsageError
        When a knob is out of range.
    """
    if iterations < 1 or not 0 <= tolerance <= 1:
        raise UsageError(f"sirt(iterations={iterations}, tolerance={tolerance}); give at least 1, and 0 to 1")
    one = (1,) * (3 - len(A.domain))  # a slice has no z of its own, a cone's volume has
    rays = _reciprocal(A(torch.ones(*one, *A.domain).to(y)))
    voxels = _reciprocal(A.T(torch.ones(*one, *A.codomain).to(y)))
    axes = tuple(range(-len(A.domain), 0))
    x = torch.zeros(*y.shape[: y.ndim - len(axes)], *A.domain).to(y)
    scale = _norm(y, axes)
    before, busy = scale, torch.ones_like(scale, dtype=torch.bool)
    with progress.task("sirt", iterations, "step") as advance:
        for _ in range(iterations):
            error = y - A(x)
            now = _norm(error, axes)
            # the first residual is y itself: nothing has been gained yet
            busy = busy & ((before - now >= tolerance * scale) | ~x.any())
            if not busy.any():
                break
            before = now
            step = x + voxels * A.T(rays * error)
            x = torch.where(busy, step.clamp(min=0.0) if nonnegative else step, x)
            advance(1)
    return x


def _norm(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(values, dim=axes, keepdim=True)
    return norm


def _reciprocal(sums: Tensor) -> Tensor:
    return torch.where(sums > LEAST_WEIGHT * sums.max(), 1 / sums, torch.zeros_like(sums))
