"""Conjugate gradients for least squares."""

import torch
from torch import Tensor

from bonectl.core import progress
from bonectl.errors import UsageError
from bonectl.projection.projector import Projector

# What the register knows of it (core/kit.py).
BEAMS = ("parallel", "fan", "cone")
USUAL = ()
CLOSED = False
MOMENTS = ((3, 3, "project"), (7, 3, ""), (3, 4, "back"), (3, 7, ""))


def cgls(A: Projector, y: Tensor, *, iterations: int = 20, tolerance: float = 1e-4) -> Tensor:
    """Conjugate gradients on the normal equations: the least squares of y - A x, in few steps.

    Hestenes and Stiefel's method as CGLS (Björck, Numerical Methods for Least Squares Problems, 1996, algorithm
    7.4.1), from x = 0 and for each slice on its own (in a cone beam, for the whole volume). The number of steps is the
    regularisation: noise grows with it.

    Parameters
    ----------
    A : Projector
    y : (..., row, view, col) tensor
        Line integrals.
    iterations : int
        Steps at most.
    tolerance : float
        A slice (in a cone beam, the volume) is done when the norm of its gradient Aᵀ(y - A x) has fallen below this
        share of the first one.

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
        raise UsageError(f"cgls(iterations={iterations}, tolerance={tolerance}); give at least 1, and 0 to 1")
    axes = tuple(range(-len(A.domain), 0))
    residual = y
    gradient = A.T(residual)
    direction = gradient
    squared = first = _squared(gradient, axes)
    x = torch.zeros_like(gradient)
    with progress.task("cgls", iterations, "step") as advance:
        for _ in range(iterations):
            busy = squared > tolerance**2 * first
            if not busy.any():
                break
            image = A(direction)
            length = torch.where(busy, squared / _squared(image, axes), 0.0)
            x = x + length * direction
            residual = residual - length * image
            gradient = A.T(residual)
            now = _squared(gradient, axes)
            direction = gradient + torch.where(busy, now / squared, 0.0) * direction
            squared = torch.where(busy, now, squared)
            advance(1)
    return x


def _squared(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Squared norm over some axes, to be broadcast against them; summed in float64."""
    return values.double().square().sum(dim=axes, keepdim=True).float()
