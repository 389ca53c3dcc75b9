"""Where grey values cross a threshold between the voxels: points of a structure's surface, on the edges of the grid."""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from dataclasses import dataclass
from functools import partial

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bonectl.morphology.distance import Distances

Mask = NDArray[np.bool_]

# Points of the surface are kept in bricks of this many voxels a side.
BRICK = 4


@njit(cache=True, nogil=True)
def _crossings(
    squared: Distances,
    values: Distances,
    level: tuple[float, float],
    place: tuple[int, int, int],
    points: NDArray[np.float32],
    count: int,
) -> int:
    """Write, from `count` on, where the surface crosses the grid edges from a voxel inside to background voxels.

    An edge is crossed where the value, linear between the two and `level[1]` beyond them, equals `level[0]`; in the
    middle where that is nowhere (a wall of the volume of interest). The new count; without room for points, (3, 0),
    they are only counted.
    """
    a, b, c = place
    for k in range(6):
        e = a + (1 if k == 0 else -1 if k == 1 else 0)
        f = b + (1 if k == 2 else -1 if k == 3 else 0)
        g = c + (1 if k == 4 else -1 if k == 5 else 0)
        within = 0 <= e < squared.shape[0] and 0 <= f < squared.shape[1] and 0 <= g < squared.shape[2]
        if within and squared[e, f, g] == 0:
            if points.shape[1]:
                rise = values[e, f, g] - values[a, b, c]
                share = (level[0] - values[a, b, c]) / rise if rise != 0 else 0.5
                if share < -level[1] or share > 1 + level[1]:
                    share = 0.5
                points[0, count] = a + share * (e - a)
                points[1, count] = b + share * (f - b)
                points[2, count] = c + share * (g - c)
            count += 1
    return count


@njit(cache=True, nogil=True)
def _brick(
    squared: Distances,
    inside: Mask,
    values: Distances,
    level: tuple[float, float],
    corner: tuple[int, int, int],
    points: NDArray[np.float32],
    count: int,
) -> int:
    """As `_crossings`, for all voxels of the brick at `corner` that have background at a face: at distance 1."""
    z, y, x = corner
    for a in range(z, min(z + BRICK, inside.shape[0])):
        for b in range(y, min(y + BRICK, inside.shape[1])):
            for c in range(x, min(x + BRICK, inside.shape[2])):
                if squared[a, b, c] == 1 and inside[a, b, c]:
                    count = _crossings(squared, values, level, (a, b, c), points, count)
    return count


@njit(cache=True, parallel=True, nogil=True)
def _bricks(
    squared: Distances,
    inside: Mask,
    values: Distances,
    level: tuple[float, float],
    start: NDArray[np.int64],
    points: NDArray[np.float32],
) -> None:
    """Write the points of all bricks from `start` on; without room for points, how many brick k has to start[k + 1]."""
    planes, rows, cols = [(n + BRICK - 1) // BRICK for n in inside.shape]
    for row in prange(planes * rows):
        for k in range(cols):
            n = row * cols + k
            corner = (row // rows * BRICK, row % rows * BRICK, k * BRICK)
            if not points.shape[1]:
                start[n + 1] = _brick(squared, inside, values, level, corner, points, 0)
            elif start[n + 1] > start[n]:
                _brick(squared, inside, values, level, corner, points, start[n])


@dataclass(frozen=True, eq=False)
class Level:
    """A surface: where values equal a threshold.

    Parameters
    ----------
    values : (z, y, x) float32
    threshold : float
    slack : float
        How far beyond the two voxels that it parts the surface may lie [voxel].
    """

    values: Distances
    threshold: float
    slack: float = 0.0


def surface_points(squared: Distances, inside: Mask, level: Level) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Where the surface crosses the grid edges, brick by brick; `squared` is the squared distance.

    Returns
    -------
    points : (3, n) float32
        Along z, y, x [voxel].
    start : (bricks + 1,) int64
        The points of brick k are those from start[k] to start[k + 1]; bricks run along x, then y, then z.
    """
    start = np.zeros(int(np.prod([-(-n // BRICK) for n in inside.shape])) + 1, np.int64)
    place = (float(level.threshold), level.slack)
    _bricks(squared, inside, level.values, place, start, np.empty((3, 0), np.float32))
    start = np.cumsum(start)
    points = np.empty((3, int(start[-1])), np.float32)
    _bricks(squared, inside, level.values, place, start, points)
    return points, start


# How far a smoothed surface may lie beyond the two voxels that it parts [voxel].
SLACK = 0.75


def smoothed(inside: Mask, unknown: Mask | None, sigma: float) -> Level:
    """The surface of a mask.

    A Gaussian G moves a surface of mean curvature H by σ² H; of G - σ² ∇²G the step across it and its curvature
    cancel there to first order, and the value at the surface is one half.
    """
    blur = partial(gaussian_filter, sigma=sigma, truncate=3.0, mode="nearest")
    if unknown is None:
        soft = blur(inside.astype(np.float32))
    else:
        soft = blur((inside & ~unknown).astype(np.float32))
        soft /= np.maximum(blur((~unknown).astype(np.float32)), np.float32(1e-3))
    values = np.empty_like(soft)
    _sharpen(soft, np.float32(sigma * sigma), values)
    return Level(values, 0.5, SLACK)


@njit(cache=True, parallel=True, nogil=True)
def _sharpen(values: Distances, weight: float, out: Distances) -> None:
    """Write the values less `weight` times their Laplacian; beyond the array they are those of its faces."""
    planes, rows, cols = values.shape
    for z in prange(planes):
        below, above = values[max(z - 1, 0)], values[min(z + 1, planes - 1)]
        here = values[z]
        for y in range(rows):
            left, right = here[max(y - 1, 0)], here[min(y + 1, rows - 1)]
            for x in range(cols):
                around = here[y, max(x - 1, 0)] + here[y, min(x + 1, cols - 1)] + left[x] + right[x]
                out[z, y, x] = here[y, x] - weight * (around + below[y, x] + above[y, x] - 6 * here[y, x])
