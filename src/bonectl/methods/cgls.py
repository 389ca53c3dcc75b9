"""Conjugate gradients for least squares."""

from typing import Any

from bonectl.core import arrays, progress
from bonectl.core.arrays import Values
from bonectl.errors import UsageError

# What the register knows of it (core/kit.py).
BEAMS = ("parallel", "fan", "cone")
USUAL = ()
CLOSED = False
MOMENTS = ((3, 3, "project"), (7, 3, ""), (3, 4, "back"), (3, 7, ""))


def cgls(A: Any, y: Values, *, iterations: int = 20, tolerance: float = 1e-4) -> Values:
    """Conjugate gradients on the normal equations: the least squares of y - A x, in few steps.

    Hestenes and Stiefel's method as CGLS (Björck, Numerical Methods for Least Squares Problems, 1996, algorithm
    7.4.1), from x = 0 and for each slice on its own (in a cone beam, for the whole volume). The number of steps is the
    regularisation: noise grows with it.

    Parameters
    ----------
    A : System or Projector
    y : (..., row, view, col) array or tensor
        Line integrals.
    iterations : int
        Steps at most.
    tolerance : float
        A slice (in a cone beam, the volume) is done when the norm of its gradient Aᵀ(y - A x) has fallen below this
        share of the first one.

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
        raise UsageError(f"cgls(iterations={iterations}, tolerance={tolerance}); give at least 1, and 0 to 1")
    axes = tuple(range(-len(A.domain), 0))
    xp = arrays.space(y)
    residual = y
    gradient = A.T(residual)
    direction = gradient
    squared = first = arrays.squares(gradient, axes)
    x = xp.zeros_like(gradient)
    with progress.task("cgls", iterations, "step") as advance:
        for _ in range(iterations):
            busy = squared > tolerance**2 * first
            if not busy.any():
                break
            image = A(direction)
            length = xp.where(busy, squared / xp.where(busy, arrays.squares(image, axes), 1.0), 0.0)
            x = x + length * direction
            residual = residual - length * image
            gradient = A.T(residual)
            now = arrays.squares(gradient, axes)
            direction = gradient + xp.where(busy, now / xp.where(busy, squared, 1.0), 0.0) * direction
            squared = xp.where(busy, now, squared)
            advance(1)
    return x
