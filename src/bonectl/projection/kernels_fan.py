"""Compiled steps of the fan beam's projector, of its transpose, and of filtered back-projection.

Lengths and positions count cells: the voxel with indices (y, x) lies at (x, y). A block of slices is stored with
the slices innermost, with a margin of zeros around the grid and the detector. Positions are in float64, and both
directions compute them with the same operations, so that they see the same weights.
"""

# numba's floor and ceil give floats
# ruff: noqa: RUF046
# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from math import floor

import numpy as np
from numba import njit

from bonectl.projection.kernels_joseph import MARGIN
from bonectl.projection.vectors import fma, load, store

# Lines of the grid and rays that are walked before the next view: what they touch stays in the second cache.
LINES = 64
RAYS = 32
# Side of the square of voxels that is gone through before the next one.
VOXELS = 16


@njit(cache=True, nogil=True, inline="always")
def trace(views, view, column):  # type: ignore[no-untyped-def]
    """How the ray of a column runs through the lines of the grid.

    Returns
    -------
    flat : bool
        Whether lines are columns of the grid (the ray runs closer to x) or rows.
    start, slope : float
        The ray crosses line i at cell ``start + i slope``.
    source, reach : float
        Line on which the source lies, and lines from there to the detector.
    """
    x, y = views[view, 0], views[view, 1]
    dx = views[view, 2] + column * views[view, 4] - x
    dy = views[view, 3] + column * views[view, 5] - y
    flat = abs(dx) > abs(dy)
    if flat:
        x, y, dx, dy = y, x, dy, dx
    slope = dx / dy
    return flat, x - y * slope, slope, y, dy


@njit(cache=True, nogil=True)
def walk_fan(lanes, grid, views, low, high, lines):  # type: ignore[no-untyped-def]
    """Sums along the rays of views [low, high): lines (view - low, column, lane), which must hold zeros.

    Parameters
    ----------
    lanes : tuple
        Its length is the width of the vectors.
    grid : (side + 2, side + 2, width) float32
    views : (views, 6) float64
        As `bonectl.projection.divergent.Plan.views`.
    """
    width = grid.shape[2]
    side = grid.shape[0] - 2 * MARGIN
    columns = lines.shape[1]
    flat = grid.ravel()
    sums = lines.ravel()
    span = len(lanes)
    for begin in range(0, side, LINES):
        for left in range(0, columns, RAYS):
            for view in range(low, high):
                for column in range(left, min(left + RAYS, columns)):
                    swapped, start, slope, _source, _reach = trace(views, view, column)
                    across, along = width, grid.shape[1] * width
                    if swapped:
                        across, along = along, across
                    target = ((view - low) * columns + column) * width
                    for z in range(0, width, span):
                        total = load(lanes, sums, target + z)
                        for line in range(begin, min(begin + LINES, side)):
                            place = start + line * slope
                            if place <= -1.0 or place >= side:
                                continue
                            cell = int(floor(place))
                            weight = np.float32(place - cell)
                            where = (cell + MARGIN) * across + (line + MARGIN) * along + z
                            total = fma(load(lanes, flat, where), np.float32(1.0) - weight, total)
                            total = fma(load(lanes, flat, where + across), weight, total)
                        store(sums, target + z, total)


@njit(cache=True, nogil=True)
def spread_fan(lanes, lines, views, swapped, low, high, grid):  # type: ignore[no-untyped-def]
    """The transpose of `walk_fan` for lines [low, high) of the grid, from the rays that run across such lines.

    Parameters
    ----------
    lines : (views, columns, width) float32
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
                there, start, slope, _source, _reach = trace(views, view, column)
                if there != swapped:
                    continue
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


@njit(cache=True, nogil=True)
def collect_fan(lanes, lines, views, low, high, grid):  # type: ignore[no-untyped-def]
    """What a voxel's ray holds in every view over its squared distance from the source, added to grid (y, x, lane).

    Parameters
    ----------
    lines : (views, columns + 2, width) float32
        With margins.
    views : (views, 3, 3) float64
        As `bonectl.projection.divergent.Plan.seen`.
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
                            nearness = 1.0 / (views[view, 0, 0] + x * views[view, 0, 1] + y * views[view, 0, 2])
                            at = views[view, 1, 0] + x * views[view, 1, 1] + y * views[view, 1, 2]
                            at = at * nearness + views[view, 2, 0]
                            column = int(floor(at))
                            if column < -1 or column >= columns:
                                continue
                            near = np.float32((1.0 - (at - column)) * nearness * nearness)
                            far = np.float32((at - column) * nearness * nearness)
                            where = (view * padded + column + MARGIN) * width + z
                            total = fma(load(lanes, flat, where), near, total)
                            total = fma(load(lanes, flat, where + width), far, total)
                        store(sums, target + z, total)
