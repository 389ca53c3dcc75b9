"""Balls painted from the largest to the smallest, so that each voxel is written once: by the largest that holds it."""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from bonectl.morphology.distance import Distances


@njit(cache=True, nogil=True)
def _paint_row(row: NDArray[np.float32], ahead: NDArray[np.uint16], first: int, last: int, value: float) -> int:
    """Write `value` to the empty voxels first..last of a row; `ahead` leads to the next empty one. How many."""
    x, count = first, 0
    while x <= last:
        while ahead[x] != x:
            ahead[x] = ahead[ahead[x]]
            x = int(ahead[x])
        if x <= last:
            row[x] = value
            ahead[x] = x + 1
            x += 1
            count += 1
    return count


@njit(cache=True, parallel=True, nogil=True)
def paint(
    centres: NDArray[np.int32],
    squared: Distances,
    tolerance: float,
    ahead: NDArray[np.uint16],
    out: Distances,
    bands: int,
) -> NDArray[np.bool_]:
    """Write each ball's squared radius to the voxels inside it that are still empty; which balls wrote any.

    `centres` is sorted by falling radius. `ahead[z, y, x]` leads to the next empty voxel of the row at or after x.
    Each band of planes belongs to one thread.
    """
    planes, rows, cols = out.shape
    owns = np.zeros(len(centres), np.bool_)
    for band in prange(bands):
        bottom, top = planes * band // bands, planes * (band + 1) // bands
        for i in range(len(centres)):
            z, y, x = centres[i, 0], centres[i, 1], centres[i, 2]
            d = squared[i]
            radius = np.sqrt(np.float64(d)) + tolerance
            span = int(radius)
            for a in range(max(bottom, z - span), min(top, z + span + 1)):
                left = radius * radius - (a - z) * (a - z)
                if left <= 0:
                    continue
                wide = int(np.sqrt(left))
                for b in range(max(0, y - wide), min(rows, y + wide + 1)):
                    rest = left - (b - y) * (b - y)
                    if rest <= 1e-9:
                        continue
                    half = int(np.sqrt(rest))
                    if half * half >= rest - 1e-9:  # the ball is open
                        half -= 1
                    last = min(cols - 1, x + half)
                    if _paint_row(out[a, b], ahead[a, b], max(0, x - half), last, d):
                        owns[i] = True
    return owns


@njit(cache=True, parallel=True, nogil=True)
def next_inside(inside: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """For each voxel the next one of its row that is inside; (z, y, x + 1), the last column a fence."""
    planes, rows, cols = inside.shape
    ahead = np.empty((planes, rows, cols + 1), np.uint16)
    for z in prange(planes):
        for y in range(rows):
            following = cols
            ahead[z, y, cols] = cols
            for x in range(cols - 1, -1, -1):
                if inside[z, y, x]:
                    following = x
                ahead[z, y, x] = following
    return ahead


@njit(cache=True, parallel=True, nogil=True)
def paint_balls(
    balls: NDArray[np.float32], tolerance: float, ahead: NDArray[np.uint16], out: Distances, bands: int
) -> None:
    """As `paint`, for balls of any centre; writes the radius."""
    planes, rows, cols = out.shape
    for band in prange(bands):
        bottom, top = planes * band // bands, planes * (band + 1) // bands
        for i in range(len(balls)):
            z, y, x = np.float64(balls[i, 0]), np.float64(balls[i, 1]), np.float64(balls[i, 2])
            radius = np.float64(balls[i, 3]) + tolerance
            for a in range(max(bottom, int(np.ceil(z - radius))), min(top, int(np.floor(z + radius)) + 1)):
                left = radius * radius - (a - z) * (a - z)
                if left <= 0:
                    continue
                wide = np.sqrt(left)
                for b in range(max(0, int(np.ceil(y - wide))), min(rows, int(np.floor(y + wide)) + 1)):
                    rest = left - (b - y) * (b - y)
                    if rest <= 0:
                        continue
                    half = np.sqrt(rest)
                    last = min(cols - 1, int(np.floor(x + half)))
                    _paint_row(out[a, b], ahead[a, b], max(0, int(np.ceil(x - half))), last, balls[i, 3])
