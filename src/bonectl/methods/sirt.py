"""Simultaneous iterative reconstruction."""

from typing import Any

from bonectl.core import arrays, progress
from bonectl.core.arrays import Values
from bonectl.errors import UsageError

# What the register knows of it (core/kit.py).
BEAMS = ("parallel", "fan", "cone")
USUAL = ()
CLOSED = False
MOMENTS = ((2, 1, "project"), (4, 3, "back"), (3, 5, ""))  # of a cone, whose weights are as large as its scan

# Rays and voxels that weigh less than this share of the heaviest take no part: their weights are rounding.
LEAST_WEIGHT = 1e-3


def sirt(
    A: Any,
    y: Values,
    *,
    iterations: int = 100,
    tolerance: float = 0.0,
    nonnegative: bool = False,
) -> Values:
    """Simultaneous iterative reconstruction: every voxel takes the weighted mean of its rays' errors.

    x ← x + C Aᵀ R (y - A x) from x = 0, with R and C the reciprocals of the row and column sums of A (Gregor and
    Benson, IEEE Trans. Med. Imaging 27, 918, 2008, eq. 4): it descends to the least squares weighted by R. Few
    iterations smooth like a window; noise grows with their number.

    Parameters
    ----------
    A : System or Projector
    y : (..., row, view, col) array or tensor
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
    (..., z, y, x) array or tensor
        Attenuation [1/cm].

    Raises
    ------
    UsageError
        When a knob is out of range.
    """
    if iterations < 1 or not 0 <= tolerance <= 1:
        raise UsageError(f"sirt(iterations={iterations}, tolerance={tolerance}); give at least 1, and 0 to 1")
    one = (1,) * (3 - len(A.domain))  # a slice has no z of its own, a cone's volume has
    xp = arrays.space(y)
    rays = _reciprocal(A(arrays.ones(y, *one, *A.domain)))
    voxels = _reciprocal(A.T(arrays.ones(y, *one, *A.codomain)))
    axes = tuple(range(-len(A.domain), 0))
    x = arrays.zeros(y, *y.shape[: y.ndim - len(axes)], *A.domain)
    scale = arrays.norm(y, axes)
    before, busy = scale, scale >= 0  # all of them
    with progress.task("sirt", iterations, "step") as advance:
        for _ in range(iterations):
            error = y - A(x)
            now = arrays.norm(error, axes)
            # the first residual is y itself: nothing has been gained yet
            busy = busy & ((before - now >= tolerance * scale) | ~x.any())
            if not busy.any():
                break
            before = now
            step = x + voxels * A.T(rays * error)
            x = xp.where(busy, step.clip(min=0.0) if nonnegative else step, x)
            advance(1)
    return x


def _reciprocal(sums: Values) -> Values:
    heavy = sums > LEAST_WEIGHT * sums.max()
    xp = arrays.space(sums)
    return xp.where(heavy, 1 / xp.where(heavy, sums, 1.0), 0.0)
