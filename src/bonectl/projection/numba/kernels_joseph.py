"""Compiled steps of Joseph's projector in a plane, and of its transpose for parallel rays.

A block of slices is stored with the slices innermost, and with a margin of zeros around the grid and the detector,
so that a tap outside reads 0. Positions are in float64: both directions then see the same weights.
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from math import ceil, floor

import numpy as np
from numba import njit

from bonectl.projection.joseph import MARGIN
from bonectl.projection.numba.vectors import add, fma, load, store, zeros

# Lines of the grid and rays that are walked before the next view: what they touch stays in the second cache.
LINES = 64
RAYS = 32
# Side of the square of voxels that is gone through before the next one.
VOXELS = 16


@njit(cache=True, nogil=True)
def pack_grid(volume, first, last, low, high, grid):  # type: ignore[no-untyped-def]
    """Rows [low, high) of slices [first, last) of volume (slice, y, x) into grid (y, x, lane) with margins."""
    for y in range(low, high):
        for x in range(volume.shape[2]):
            for z in range(last - first):
                grid[y + MARGIN, x + MARGIN, z] = volume[first + z, y, x]


@njit(cache=True, nogil=True)
def unpack_grid(grid, first, last, low, high, volume):  # type: ignore[no-untyped-def]
    """The transpose of `pack_grid`; grid has no margins."""
    for y in range(low, high):
        for z in range(last - first):
            for x in range(volume.shape[2]):
                volume[first + z, y, x] = grid[y, x, z]


@njit(cache=True, nogil=True)
def walk(lanes, grid, rays, lines):  # type: ignore[no-untyped-def]
    """Sums along the rays of some views: lines (view, column, lane), which must hold zeros.

    Parameters
    ----------
    lanes : tuple
        Its length is the width of the vectors.
    grid : (side + 2, side + 2, width) float32
    rays : (views, columns, 3 or more) float64
        The ray crosses line i of the grid at cell ``rays[..., 1] + i rays[..., 2]``; lines are rows when ``rays[...,
        0]`` is 0, columns when it is 1.
    """
    width = grid.shape[2]
    side = grid.shape[0] - 2 * MARGIN
    columns = lines.shape[1]
    flat = grid.ravel()
    sums = lines.ravel()
    span = len(lanes)
    for begin in range(0, side, LINES):
        for left in range(0, columns, RAYS):
            for view in range(lines.shape[0]):
                for column in range(left, min(left + RAYS, columns)):
                    start, slope = rays[view, column, 1], rays[view, column, 2]
                    across, along = width, grid.shape[1] * width
                    if rays[view, column, 0] != 0.0:
                        across, along = along, across
                    target = (view * columns + column) * width
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
def collect(lanes, lines, rays, low, high, grid):  # type: ignore[no-untyped-def]
    """The transpose of `walk` along parallel rays for rows [low, high) of grid (y, x, lane), without margins: added.

    Every voxel asks which rays weigh it: those whose distance is less than one cell, counted along the voxel's line.
    Where columns are no closer than cells these are among the two next to it; where they are closer, more are tried.
    lines is (view, column + 2, lane) with margins; rays (view, 5) are as `bonectl.projection.joseph.Tables.rays`.
    """
    width = grid.shape[2]
    side = grid.shape[0]
    padded = lines.shape[1]
    columns = padded - 2 * MARGIN
    flat = lines.ravel()
    sums = grid.ravel()
    span = len(lanes)
    seen = _seen(rays)
    for top in range(low, high, VOXELS):
        for left in range(0, side, VOXELS):
            for y in range(top, min(top + VOXELS, high)):
                for x in range(left, min(left + VOXELS, side)):
                    target = (y * side + x) * width
                    for z in range(0, width, span):
                        # two sums, so that one multiplication need not wait for the other
                        total = load(lanes, sums, target + z)
                        other = zeros(lanes)
                        for view in range(seen.shape[0]):
                            at = seen[view, 0] + x * seen[view, 1] + y * seen[view, 2]
                            cells = seen[view, 3]
                            column = int(floor(at))
                            if cells >= 1.0:
                                if column < -1 or column >= columns:
                                    continue
                                near = (at - column) * cells
                                where = (view * padded + column + MARGIN) * width + z
                                weight = np.float32(max(0.0, 1.0 - near))
                                total = fma(load(lanes, flat, where), weight, total)
                                weight = np.float32(max(0.0, 1.0 - cells + near))
                                other = fma(load(lanes, flat, where + width), weight, other)
                                continue
                            reach = seen[view, 4]
                            for column in range(
                                max(int(ceil(at - reach)), 0), min(int(floor(at + reach)) + 1, columns)
                            ):
                                weight = np.float32(max(0.0, 1.0 - abs(column - at) * cells))
                                where = (view * padded + column + MARGIN) * width + z
                                total = fma(load(lanes, flat, where), weight, total)
                        store(sums, target + z, add(total, other))


@njit(cache=True, nogil=True)
def _seen(rays):  # type: ignore[no-untyped-def]
    """For each view (a, b, c, cells, 1 / cells): the ray at column a + b x + c y passes through the voxel's middle."""
    seen = np.empty((rays.shape[0], 5))
    for view in range(rays.shape[0]):
        per_cell = rays[view, 4]
        per_line = -rays[view, 2] * per_cell
        seen[view, 0] = -rays[view, 0] * per_cell
        seen[view, 1], seen[view, 2] = (per_cell, per_line) if rays[view, 3] == 0.0 else (per_line, per_cell)
        seen[view, 3], seen[view, 4] = abs(rays[view, 1]), abs(per_cell)
    return seen
