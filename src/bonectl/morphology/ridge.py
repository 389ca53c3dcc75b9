"""The balls that a structure is the union of: those that lie inside no neighbour's ball.

Balls are centred on voxels, and end at the nearest background voxel centre (Remy & Thiel, Pattern Recognit. Lett.
23:649, 2002).
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from bonectl.morphology.distance import Distances

Table = NDArray[np.int64]


@njit(cache=True, nogil=True)
def _reach(largest: int, tolerance: float) -> Table:
    """Farthest that a ball reaches as seen from a neighbour of its centre, (3, largest + 1), squared.

    Entry (k, d): the largest \\|v + e\\|² over \\|v\\| < √d + tolerance, for e a face (0), edge (1) or corner (2) step.
    """
    limit = int(np.floor((np.sqrt(largest) + tolerance) ** 2)) + 1
    side = int(np.sqrt(limit)) + 1
    far = np.zeros((3, limit + 1), np.int64)
    for x in range(side + 1):
        for y in range(x + 1):
            for z in range(y + 1):
                s = x * x + y * y + z * z
                if s <= limit:
                    far[0, s] = max(far[0, s], s + 2 * x + 1)
                    far[1, s] = max(far[1, s], s + 2 * (x + y) + 2)
                    far[2, s] = max(far[2, s], s + 2 * (x + y + z) + 3)
    for k in range(3):
        for s in range(1, limit + 1):
            far[k, s] = max(far[k, s], far[k, s - 1])
    table = np.zeros((3, largest + 1), np.int64)
    for d in range(1, largest + 1):
        last = int(np.ceil((np.sqrt(np.float64(d)) + tolerance) ** 2 - 1e-9)) - 1  # largest s inside the ball
        for k in range(3):
            table[k, d] = far[k, last]
    return table


@njit(cache=True, nogil=True)
def _is_inside_another(squared: Distances, z: int, y: int, x: int, reach: Table, tolerance: float) -> bool:
    """Whether the ball at a voxel lies inside the ball of one of its 26 neighbours."""
    d = squared[z, y, x]
    for a in range(max(0, z - 1), min(squared.shape[0], z + 2)):
        for b in range(max(0, y - 1), min(squared.shape[1], y + 2)):
            for c in range(max(0, x - 1), min(squared.shape[2], x + 2)):
                other = squared[a, b, c]
                if other > d:
                    kind = abs(a - z) + abs(b - y) + abs(c - x)
                    if (np.sqrt(np.float64(other)) + tolerance) ** 2 > 1e-6 + reach[kind - 1, int(np.ceil(d))]:
                        return True
    return False


@njit(cache=True, parallel=True, nogil=True)
def _ridge(squared: Distances, reach: Table, tolerance: float) -> NDArray[np.bool_]:
    """Centres whose ball does not lie inside the ball of one of the 26 neighbours."""
    planes, rows, cols = squared.shape
    keep = np.zeros(squared.shape, np.bool_)
    for z in prange(planes):
        for y in range(rows):
            for x in range(cols):
                if squared[z, y, x] > 0:
                    keep[z, y, x] = not _is_inside_another(squared, z, y, x, reach, tolerance)
    return keep


def ridge_balls(squared: Distances, tolerance: float) -> tuple[NDArray[np.int32], Distances]:
    """Centres (n, 3) and squared radii (n,) of the balls that lie in no neighbour's, from the largest on."""
    largest = int(np.ceil(squared.max()))
    keep = _ridge(squared, _reach(largest, tolerance), tolerance)
    radii = squared[keep]
    # Most are whole numbers, and those of 16 bits are sorted in one pass.
    whole = largest < 1 << 16 and np.array_equal(radii, np.rint(radii))
    order = np.argsort((largest - radii).astype(np.uint16) if whole else -radii, kind="stable")
    return np.argwhere(keep).astype(np.int32)[order], radii[order]
