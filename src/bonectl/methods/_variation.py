"""One step of a primal-dual method with total variation.

On the CPU it is compiled and fused: every value is read and written once, and slices are shared between threads.
Elsewhere it is made of torch's operators.
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bonectl.core import pool
from bonectl.core.slabs import Array

if TYPE_CHECKING:
    from torch import Tensor


def step(
    x: Array, ahead: Array, dual: Array, pull: Array, sizes: tuple[float, float, float], floor: float
) -> NDArray[np.float64]:
    """One step of slices (n, y, x), in place.

    With D the differences to the next voxel along y and x (0 at the ends):
    dual ← the nearest to dual + sigma D ahead whose length is at most `bound` in every voxel;
    new ← max(floor, x - tau (pull + Dᵀ dual)); ahead ← 2 new - x; x ← new.

    Parameters
    ----------
    x, ahead : (n, y, x) float32
    dual : (n, y, x, 2) float32
        Along y, and along x.
    pull : (n, y, x) float32
        What the data's dual gives.
    sizes : (3,) tuple
        sigma, tau, bound.
    floor : float
        Least value; minus infinity for none.

    Returns
    -------
    (n, 2) float64 array
        Sum of squares of the change, and of the new x, for each slice.
    """
    sigma, tau, bound = sizes
    steps = np.float32(sigma), np.float32(tau), np.float32(bound)
    sums = np.empty((len(x), 2), dtype=np.float64)

    def work(low: int, high: int) -> None:
        for n in range(low, high):
            _step(x[n], ahead[n], dual[n], pull[n], steps, np.float32(floor), sums[n])

    pool.each(work, pool.cut(len(x), 1))
    return sums


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
def _step(x, ahead, dual, pull, sizes, floor, sums):  # type: ignore[no-untyped-def]
    sigma, tau, bound = sizes
    height, width = x.shape
    zero, one = np.float32(0.0), np.float32(1.0)
    changed = squared = np.float64(0.0)
    for i in range(height):
        below = ahead[min(i + 1, height - 1)]
        here = ahead[i]
        # the dual of this row needs this row and the next as they were; those above are done
        for j in range(width):
            beside = here[j + 1] if j + 1 < width else here[j]
            down = dual[i, j, 0] + sigma * (below[j] - here[j])
            across = dual[i, j, 1] + sigma * (beside - here[j])
            shrink = one / max(one, np.sqrt(down * down + across * across) / bound)
            dual[i, j, 0] = down * shrink
            dual[i, j, 1] = across * shrink
        row_changed, row_squared = zero, zero
        for j in range(width):
            up = dual[i - 1, j, 0] if i > 0 else zero
            left = dual[i, j - 1, 1] if j > 0 else zero
            # the outermost differences are 0, and so are their duals
            new = max(floor, x[i, j] - tau * (pull[i, j] + up - dual[i, j, 0] + left - dual[i, j, 1]))
            change = new - x[i, j]
            ahead[i, j] = new + change
            x[i, j] = new
            row_changed += change * change
            row_squared += new * new
        changed += row_changed
        squared += row_squared
    sums[0] = changed
    sums[1] = squared


def step_there(
    x: "Tensor", ahead: "Tensor", dual: "Tensor", pull: "Tensor", sizes: tuple[float, float, float], floor: float
) -> "Tensor":
    """As `step`, by torch's operators where the tensors lie."""
    import torch

    sigma, tau, bound = sizes
    dual[:, :-1, :, 0] += sigma * (ahead[:, 1:] - ahead[:, :-1])
    dual[:, :, :-1, 1] += sigma * (ahead[:, :, 1:] - ahead[:, :, :-1])
    dual /= (torch.linalg.vector_norm(dual, dim=-1, keepdim=True) / bound).clamp_(min=1.0)
    drift = pull - dual.sum(dim=-1)
    drift[:, 1:] += dual[:, :-1, :, 0]
    drift[:, :, 1:] += dual[:, :, :-1, 1]
    new = (x - tau * drift).clamp_(min=floor)
    change = new - x
    torch.add(new, change, out=ahead)
    x.copy_(new)
    return torch.stack([part.double().square().sum(dim=(1, 2)) for part in (change, new)], dim=1)
