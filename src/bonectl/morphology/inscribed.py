"""The largest ball near a voxel that a surface between the voxels bounds."""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from bonectl.morphology.distance import Distances
from bonectl.morphology.isosurface import BRICK

# How far a ball's centre may move from its voxel: half the diagonal of a voxel, rounded up [voxel].
MOVE = 0.9

MOST_POINTS = 16384

# Steps of the search for a ball's centre: ever shorter [voxel].
STEPS = (0.35 * 0.75 ** np.arange(14)).astype(np.float64)


@njit(cache=True, nogil=True)
def _gather(
    points: NDArray[np.float32],
    start: NDArray[np.int64],
    shape: tuple[int, int, int],
    centre: NDArray[np.int32],
    reach: float,
    near: NDArray[np.float32],
) -> int:
    """Copy the points within `reach` of a centre, as seen from it; how many, up to `MOST_POINTS`."""
    z, y, x = centre[0], centre[1], centre[2]
    planes, rows, cols = [(n + BRICK - 1) // BRICK for n in shape]
    span, count, limit = int(reach) + 1, 0, np.float32(reach * reach)
    first, last = max(0, (x - span) // BRICK), min(cols - 1, (x + span) // BRICK)
    for i in range(max(0, (z - span) // BRICK), min(planes - 1, (z + span) // BRICK) + 1):
        for j in range(max(0, (y - span) // BRICK), min(rows - 1, (y + span) // BRICK) + 1):
            # A row of bricks is one run of points.
            begin, end = start[(i * rows + j) * cols + first], start[(i * rows + j) * cols + last + 1]
            if count + end - begin > MOST_POINTS:
                return MOST_POINTS
            for p in range(begin, end):
                u, v, w = points[0, p] - np.float32(z), points[1, p] - np.float32(y), points[2, p] - np.float32(x)
                near[0, count], near[1, count], near[2, count] = u, v, w
                count += u * u + v * v + w * w <= limit
    return count


# The least of numbers that are never NaN is the same in any order, which allows vector instructions.
@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _least_square(
    points: NDArray[np.float32], count: int, z: float, y: float, x: float, squares: NDArray[np.float32]
) -> float:
    """Squared distance from a place to the nearest of the first `count` points; `squares` takes that of each."""
    a, b, c = np.float32(z), np.float32(y), np.float32(x)
    least = np.float32(1e30)
    for k in range(count):
        u, v, w = points[0, k] - a, points[1, k] - b, points[2, k] - c
        squares[k] = u * u + v * v + w * w
        least = min(least, squares[k])
    return float(least)


@njit(cache=True, nogil=True)
def _keep_near(points: NDArray[np.float32], squares: NDArray[np.float32], count: int, reach: float) -> int:
    """Move the points within `reach` to the front, in order, and their squares with them; how many they are."""
    kept, limit = 0, np.float32(reach * reach)
    for k in range(count):
        points[0, kept], points[1, kept], points[2, kept] = points[0, k], points[1, k], points[2, k]
        squares[kept] = squares[k]
        kept += squares[k] <= limit
    return kept


@njit(cache=True, nogil=True)
def _grow(
    near: NDArray[np.float32],
    count: int,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    steps: NDArray[np.float64],
    squares: NDArray[np.float32],
    ball: NDArray[np.float32],
) -> None:
    """Find the largest ball around a place near the origin that holds none of `count` points; writes z, y, x, radius.

    The ball grows by moving away from the nearest point, by up to `MOVE` and never out of the box between `low` and
    `high`; at a maximum of the distance the steps go back and forth, and shrink.
    """
    z, y, x, best = 0.0, 0.0, 0.0, -1.0
    left = steps.sum()
    for n in range(len(steps)):
        least = _least_square(near, count, z, y, x, squares)
        nearest = np.sqrt(least)
        if n % 4 == 0:
            # What is farther than the nearest point by twice the way that is left can never become the nearest.
            way = min(left, MOVE) if n == 0 else left
            count = _keep_near(near, squares, count, nearest + 2 * way + 1e-3)
        which = 0
        while squares[which] > least:
            which += 1
        if nearest > best:
            best = nearest
            ball[0], ball[1], ball[2], ball[3] = z, y, x, nearest
        move = steps[n] / max(nearest, 1e-6)
        left -= steps[n]
        z += move * (z - near[0, which])
        y += move * (y - near[1, which])
        x += move * (x - near[2, which])
        short = min(1.0, MOVE / max(np.sqrt(z * z + y * y + x * x), 1e-6))
        z = min(max(z * short, low[0]), high[0])
        y = min(max(y * short, low[1]), high[1])
        x = min(max(x * short, low[2]), high[2])


@njit(cache=True, parallel=True, nogil=True)
def inscribe(
    points: NDArray[np.float32],
    start: NDArray[np.int64],
    shape: tuple[int, int, int],
    centres: NDArray[np.int32],
    squared: Distances,
    steps: NDArray[np.float64],
    parts: int,
) -> NDArray[np.float32]:
    """For each voxel centre the largest ball near it that the surface bounds; (n, 4): z, y, x, radius."""
    balls = np.empty((len(centres), 4), np.float32)
    top = np.array(shape) - 1.0
    for part in prange(parts):
        near = np.empty((3, MOST_POINTS + 1), np.float32)  # (one more: what is not kept is written too)
        squares = np.empty(MOST_POINTS + 1, np.float32)
        for i in range(len(centres) * part // parts, len(centres) * (part + 1) // parts):
            radius = np.sqrt(np.float64(squared[i]))
            # The nearest point lies within `radius`; a ball that moves can touch only those up to 2 MOVE farther.
            count = _gather(points, start, shape, centres[i], radius + 2 * MOVE, near)
            if count == 0 or count == MOST_POINTS:  # nothing to hold on to, or too much: the ball of the grid
                balls[i, :3] = 0
                balls[i, 3] = radius - 0.5
            else:
                _grow(near, count, -centres[i].astype(np.float64), top - centres[i], steps, squares, balls[i])
            for axis in range(3):
                balls[i, axis] += centres[i, axis]
    return balls
