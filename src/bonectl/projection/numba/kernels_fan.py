"""Compiled steps of the transpose of the fan beam's projector, and of filtered back-projection.

Lengths and positions count cells: the voxel with indices (y, x) lies at (x, y). A block of slices is stored with
the slices innermost, with a margin of zeros around the grid and the detector. Positions are in float64, and both
directions compute them with the same operations, so that they see the same weights.
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from math import floor

import numpy as np
from numba import njit

from bonectl.projection.joseph import MARGIN
from bonectl.projection.numba.vectors import fma, load, store

# Rays that are gone through before the next view.
RAYS = 32
# Side of the square of voxels that is gone through before the next one.
VOXELS = 16


@njit(cache=True, nogil=True)
def spread_fan(lanes, lines, rays, swapped, low, high, grid):  # type: ignore[no-untyped-def]
    """The transpose of `walk` for lines [low, high) of the grid, from the rays that run across such lines.

    Parameters
    ----------
    lines : (views, columns, width) float32
    rays : (views, columns, 5) float64
        As `bonectl.projection.divergent.Tables.crossings`.
    swapped : bool
        Whether lines are columns of the grid.
    grid : (side, side + 2, width) float32
        Lines first: (y, x + 1, lane), or (x, y + 1, lane) when swapped. It is added to.
    """
    width = grid.shape[2]
    side = grid.shape[0]
    columns = lines.shape[1]
    flat = lines.ravel()
    sums = grid.ravel()
    span = len(lanes)
    for left in range(0, columns, RAYS):
        for view in range(lines.shape[0]):
            for column in range(left, min(left + RAYS, columns)):
                if (rays[view, column, 0] != 0.0) != swapped:
                    continue
                start, slope = rays[view, column, 1], rays[view, column, 2]
                for z in range(0, width, span):
                    value = load(lanes, flat, (view * columns + column) * width + z)
                    for line in range(low, high):
                        place = start + line * slope
                        if place <= -1.0 or place >= side:
                            continue
                        cell = int(floor(place))
                        weight = np.float32(place - cell)
                        where = (line * (side + 2 * MARGIN) + cell + MARGIN) * width + z
                        near = fma(value, np.float32(1.0) - weight, load(lanes, sums, where))
                        far = fma(value, weight, load(lanes, sums, where + width))
                        store(sums, where, near)
                        store(sums, where + width, far)


@njit(cache=True, nogil=True, inline="always")
def seen_at(views, view, x, y):  # type: ignore[no-untyped-def]
    """Where voxel (y, x) is seen: sod over its distance along e_n, column, and weights of it and of the next column."""
    nearness = 1.0 / (views[view, 0, 0] + x * views[view, 0, 1] + y * views[view, 0, 2])
    at = views[view, 1, 0] + x * views[view, 1, 1] + y * views[view, 1, 2]
    at = at * nearness + views[view, 2, 0]
    column = int(floor(at))
    far = (at - column) * nearness * nearness
    return nearness, column, np.float32(nearness * nearness - far), np.float32(far)


@njit(cache=True, nogil=True)
def collect_fan(lanes, lines, views, low, high, grid):  # type: ignore[no-untyped-def]
    """What a voxel's ray holds in every view over its squared distance from the source, added to grid (y, x, lane).

    Parameters
    ----------
    lines : (views, columns + 2, width) float32
        With margins.
    views : (views, 3, 3) float64
        As `bonectl.projection.divergent.Tables.seen`.
    """
    width = grid.shape[2]
    side = grid.shape[0]
    padded = lines.shape[1]
    columns = padded - 2 * MARGIN
    flat = lines.ravel()
    sums = grid.ravel()
    span = len(lanes)
    for top in range(low, high, VOXELS):
        for left in range(0, side, VOXELS):
            for y in range(top, min(top + VOXELS, high)):
                for x in range(left, min(left + VOXELS, side)):
                    target = (y * side + x) * width
                    for z in range(0, width, span):
                        total = load(lanes, sums, target + z)
                        for view in range(lines.shape[0]):
                            _nearness, column, near, far = seen_at(views, view, x, y)
                            if column < -1 or column >= columns:
                                continue
                            where = (view * padded + column + MARGIN) * width + z
                            total = fma(load(lanes, flat, where), near, total)
                            total = fma(load(lanes, flat, where + width), far, total)
                        store(sums, target + z, total)
