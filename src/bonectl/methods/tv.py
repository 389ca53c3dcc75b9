"""Least squares with total variation."""

from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonectl.core import arrays, progress
from bonectl.core.arrays import Values
from bonectl.errors import UsageError
from bonectl.methods._variation import step, step_there

# What the register knows of it (core/kit.py).
BEAMS = ("parallel", "fan", "cone")
USUAL = ()
CLOSED = False
MOMENTS = ((4, 5, "project"), (3, 6, "back"))

# The norm of the differences to the next voxel in two directions is below this.
DIFFERENCES = sqrt(8.0)
# Steps of the duals and of the volume: with A / ‖A‖ and D / DIFFERENCES stacked, whose norm is at most sqrt(2), their
# product may be 1/2. Residuals over ‖A‖ are about a tenth of the volume's change, and the duals step that much less:
# with equal steps, what takes 50 iterations here takes 300.
SIGMA = 0.1 / sqrt(2.0)
TAU = 0.5 / SIGMA


def tv(
    A: Any,
    y: Values,
    *,
    strength: float = 0.002,
    iterations: int = 200,
    tolerance: float = 1e-3,
    nonnegative: bool = True,
) -> Values:
    """Least squares with total variation: flat areas, sharp edges, for few or noisy views.

    The x that makes ½ ‖A x - y‖² / ‖A‖² + strength Σ |D x| least, in every slice, with ‖A‖ the projector's norm and
    |D x| the length of the vector of differences to the next voxel along y and along x [1/cm]. So `strength` [1/cm]
    does not depend on the number of views or the size of voxels; larger is smoother and takes contrast from
    small structures. By the primal-dual method of Chambolle and Pock (J. Math. Imaging Vis. 40, 120, 2011, algorithm
    1), as in Sidky, Jørgensen and Pan (Phys. Med. Biol. 57, 3065, 2012, algorithm 4), from x = 0.

    Parameters
    ----------
    A : System or Projector
    y : (..., row, view, col) array or tensor
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
    (..., z, y, x) array or tensor
        Attenuation [1/cm].

    Raises
    ------
    UsageError
        When a knob is out of range, or a gradient is asked for.
    """
    if iterations < 1 or not 0 <= tolerance <= 1 or not 0 < strength < inf:
        raise UsageError(
            f"tv(strength={strength}, iterations={iterations}, tolerance={tolerance}); give a strength above 0, "
            "at least 1 iteration, and a tolerance of 0 to 1"
        )
    if arrays.is_recorded(y):
        raise UsageError("tv gives no gradient; use torch.no_grad()")
    scans = y.reshape(-1, *A.codomain)
    result = arrays.zeros(y, len(scans), *A.domain)
    with progress.task("tv", iterations, "step") as advance:
        state = _State.begin(A, scans)
        for _ in range(iterations):
            change = state.step(A, strength, 0.0 if nonnegative else -inf)
            advance(1)
            if (finished := change < tolerance).any():
                result[state.index[finished]] = state.x[finished]
                state = state.rest(~finished)
                if not len(state.index):
                    break
        result[state.index] = state.x
    return result.reshape(*y.shape[: y.ndim - len(A.codomain)], *A.domain)


@dataclass
class _State:
    """Where the slices (volumes of a cone beam) that are not done stand; all change in place."""

    index: NDArray[np.int64]  # which ones
    scan: Values  # y / norm
    norm: float
    x: Values
    ahead: Values  # 2 x - the x before
    residual: Values  # dual of the data
    variation: Values  # dual of the differences

    @classmethod
    def begin(cls, A: Any, scans: Values) -> "_State":
        norm, xp = A.norm(scans), arrays.space(scans)
        x = arrays.zeros(scans, len(scans), *A.domain)
        duals = xp.zeros_like(scans), arrays.zeros(x, *x.shape, 2)
        return cls(np.arange(len(scans)), scans / norm, norm, x, xp.zeros_like(x), *duals)

    def rest(self, chosen: NDArray[np.bool_]) -> "_State":
        held = (self.x, self.ahead, self.residual, self.variation)
        return _State(self.index[chosen], self.scan[chosen], self.norm, *(part[chosen] for part in held))

    def step(self, A: Any, strength: float, least: float) -> NDArray[np.float64]:
        """One step; by how much it changed each, as a share of itself."""
        error = A(self.ahead)
        error /= self.norm
        error -= self.scan
        error *= SIGMA
        self.residual += error
        self.residual /= 1 + SIGMA
        pull = A.T(self.residual)
        pull /= self.norm
        plane, pairs = self.x.shape[-2:], (-1, *self.variation.shape[-3:])
        x, ahead, variation = self.x.reshape(-1, *plane), self.ahead.reshape(-1, *plane), self.variation.reshape(pairs)
        pulls, sizes = pull.reshape(-1, *plane), (SIGMA / DIFFERENCES**2, TAU, strength)
        if A.compiles(pull):
            x, ahead, variation, pulls = map(arrays.plain, (x, ahead, variation, pulls))
            sums = step(x, ahead, variation, pulls, sizes, least)
        else:
            sums = arrays.plain(step_there(x, ahead, variation, pulls, sizes, least))
        changed, squared = sums.reshape(len(self.x), -1, 2).sum(axis=1).T
        return np.where(squared > 0, np.sqrt(changed / np.maximum(squared, 1e-300)), 0.0)
