"""Accelerated projected gradients."""

from typing import Any

from bonectl.core import arrays, progress
from bonectl.core.arrays import Values
from bonectl.errors import UsageError

# What the register knows of it (core/kit.py).
BEAMS = ("parallel", "fan", "cone")
USUAL = ()
CLOSED = False
MOMENTS = ((2, 2, "project"), (3, 2, ""), (3, 3, "back"), (1, 6, ""))

# What the norm is raised by, because the power method finds it from below.
MARGIN = 1.01


def fista(
    A: Any,
    y: Values,
    *,
    iterations: int = 50,
    tolerance: float = 1e-3,
    nonnegative: bool = True,
) -> Values:
    """Least squares under attenuation of 0 or more, by accelerated projected gradients.

    x ← max(0, z - Aᵀ(A z - y) / ‖A‖²), with z ahead of x by Nesterov's momentum: FISTA (Beck and Teboulle, SIAM J.
    Imaging Sci. 2, 183, 2009, eqs. 4.1 to 4.3) for each slice on its own (in a cone beam, for the volume), from 0.
    The momentum starts anew when it leads uphill (O'Donoghue and Candès, Found. Comput. Math. 15, 715, 2015, the
    gradient scheme). The number of steps is the regularisation: noise grows with it.

    Parameters
    ----------
    A : System or Projector
    y : (..., row, view, col) array or tensor
        Line integrals.
    iterations : int
        Steps at most.
    tolerance : float
        A slice is done when a step changes it, in the Euclidean norm, by less than this share of itself.
    nonnegative : bool
        Keep attenuation at 0 or above; without it, plain least squares.

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
        raise UsageError(f"fista(iterations={iterations}, tolerance={tolerance}); give at least 1, and 0 to 1")
    axes = tuple(range(-len(A.domain), 0))
    size = 1 / (MARGIN * A.norm(y)) ** 2
    xp = arrays.space(y)
    x = arrays.zeros(y, *y.shape[: y.ndim - len(axes)], *A.domain)
    ahead = x
    momentum = arrays.ones(x, *x.shape[: x.ndim - len(axes)], *[1] * len(axes))
    busy = momentum > 0  # all of them
    with progress.task("fista", iterations, "step") as advance:
        for _ in range(iterations):
            new = ahead - size * A.T(A(ahead) - y)
            new = xp.where(busy, new.clip(min=0.0) if nonnegative else new, x)
            change = new - x
            uphill = ((ahead - new) * change).sum(axis=axes, keepdims=True) > 0
            before = xp.where(uphill, 1.0, momentum)
            momentum = (1 + xp.sqrt(1 + 4 * before**2)) / 2
            ahead = new + xp.where(uphill, 0.0, (before - 1) / momentum) * change
            x = new
            advance(1)
            busy = busy & (arrays.norm(change, axes) > tolerance * arrays.norm(x, axes))
            if not busy.any():
                break
    return x
