"""Least squares with total variation."""

from math import inf, sqrt

import torch
from torch import Tensor

from bonectl.core.projector import Projector
from bonectl.errors import UsageError
from bonectl.methods._variation import step

# The norm of the differences to the next voxel in two directions is below this.
DIFFERENCES = sqrt(8.0)


def tv(
    A: Projector,
    y: Tensor,
    *,
    strength: float = 0.002,
    iterations: int = 200,
    tolerance: float = 1e-3,
    nonnegative: bool = True,
) -> Tensor:
    """Least squares with total variation: flat areas, sharp edges, for few or noisy views.

    The x that makes ½ ‖A x - y‖² / ‖A‖² + strength Σ |D x| least, in every slice, with ‖A‖ the projector's norm and
    |D x| the length of the vector of differences to the next voxel along y and along x [1/cm]. So `strength` [1/cm]
    does not depend on the number of views or the size of voxels; larger is smoother and takes contrast from
    small structures. By the primal-dual method of Chambolle and Pock (J. Math. Imaging Vis. 40, 120, 2011, algorithm
    1), as in Sidky, Jørgensen and Pan (Phys. Med. Biol. 57, 3065, 2012, algorithm 4), from x = 0.

    Parameters
    ----------
    A : Projector
    y : (..., row, view, col) tensor
        Line integrals.
    strength : float
        Weight of the variation [1/cm].
    iterations : int
        Steps at most.
    tolerance : float
        A slice (in a cone beam, the volume) is done when a step changes it, in the Euclidean norm, by less than this
        share of itself.
    nonnegative : bool
        Keep attenuation at 0 or above.

    Returns
    -------
    (..., z, y, x) tensor
        Attenuation [1/cm].

    Raises
    ------
    UsageError
        When a knob is out of range, or a gradient is asked for.
    """
    if iterations < 1 or not tolerance >= 0 or not 0 < strength < inf:
        raise UsageError(
            f"tv(strength={strength}, iterations={iterations}, tolerance={tolerance}); give a strength above 0, "
            "at least 1 iteration, and a tolerance of 0 or more"
        )
    if y.requires_grad and torch.is_grad_enabled():
        raise UsageError("tv gives no gradient; use torch.no_grad()")
    slices = (-1, *A.domain) if len(A.domain) == 3 else (-1, 1, *A.domain)
    scans = y.reshape(-1, *A.codomain)
    norm = A.norm()
    # both parts of the stacked operator have norm 1: A / norm, and D / DIFFERENCES
    size = 1 / sqrt(2.0)
    sizes = (size / DIFFERENCES, size / DIFFERENCES, strength)
    x = torch.zeros(len(scans), *A.domain)
    ahead, dual = torch.zeros_like(x), torch.zeros(*x.shape, 2)
    data = torch.zeros_like(scans)
    busy = torch.arange(len(scans))
    done = torch.empty_like(x)
    sizes = (size * DIFFERENCES, 1.0, strength)
    return x
