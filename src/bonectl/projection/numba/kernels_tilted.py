"""Compiled steps of the projector of a cone beam whose detector's columns are not parallel to the axis.

Every ray is followed on its own: in each line of the grid (rows of the slices, or columns where the ray runs closer to
x), four voxels are weighed, two across and two along the axis. Cells as in `projection.numba.kernels_fan`; the axis
is innermost, and the grid has a margin of zeros on every side.
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from math import floor, sqrt

import numpy as np
from numba import njit

from bonectl.projection.joseph import MARGIN

# Lines of the grid and detector columns that are gone through before the next view.
LINES = 32
COLUMNS = 16


@njit(cache=True, nogil=True, inline="always")
def trace_in_space(rays, view, column, row):  # type: ignore[no-untyped-def]
    """How the ray of a pixel runs through the lines of the grid.

    Returns
    -------
    flat : bool
        Whether lines are columns of the slices (the ray runs closer to x) or rows.
    start, slope : float
        The ray crosses line i at cell ``start + i slope`` of the line,
    bottom, rise : float
        and at height ``bottom + i rise`` [slice].
    length : float
        From line to line [cell].
    """
    x, y, z = rays[view, 0, 0], rays[view, 0, 1], rays[view, 0, 2]
    dx = rays[view, 1, 0] + column * rays[view, 2, 0] + row * rays[view, 3, 0]
    dy = rays[view, 1, 1] + column * rays[view, 2, 1] + row * rays[view, 3, 1]
    dz = rays[view, 1, 2] + column * rays[view, 2, 2] + row * rays[view, 3, 2]
    flat = abs(dx) > abs(dy)
    if flat:
        x, y, dx, dy = y, x, dy, dx
    slope = dx / dy
    rise = dz / dy
    return flat, x - y * slope, slope, z - y * rise, rise, sqrt(1.0 + slope * slope + rise * rise)


@njit(cache=True, nogil=True)
def walk_tilted(grid, rays, low, high, lines):  # type: ignore[no-untyped-def]
    """Sums along the rays of views [low, high), in cells: lines (view - low, column, row), which must hold zeros.

    Parameters
    ----------
    grid : (side + 2, side + 2, slices + 2) float32
    rays : (views, 4, 3) float64
        As `bonectl.projection.divergent.Tables.rays`.
    """
    side = grid.shape[0] - 2 * MARGIN
    slices = grid.shape[2] - 2 * MARGIN
    flat = grid.ravel()
    one = np.float32(1.0)
    for begin in range(0, side, LINES):
        for left in range(0, lines.shape[1], COLUMNS):
            for view in range(low, high):
                for column in range(left, min(left + COLUMNS, lines.shape[1])):
                    for row in range(lines.shape[2]):
                        swapped, start, slope, bottom, rise, length = trace_in_space(rays, view, column, row)
                        across, along = grid.shape[2], grid.shape[1] * grid.shape[2]
                        if swapped:
                            across, along = along, across
                        total = np.float32(0.0)
                        for line in range(begin, min(begin + LINES, side)):
                            place = start + line * slope
                            height = bottom + line * rise
                            if place <= -1.0 or place >= side or height <= -1.0 or height >= slices:
                                continue
                            cell, level = int(floor(place)), int(floor(height))
                            beside, above = np.float32(place - cell), np.float32(height - level)
                            at = (cell + MARGIN) * across + (line + MARGIN) * along + level + MARGIN
                            near = (one - above) * flat[at] + above * flat[at + 1]
                            far = (one - above) * flat[at + across] + above * flat[at + across + 1]
                            total += (one - beside) * near + beside * far
                        lines[view - low, column, row] += total * np.float32(length)


@njit(cache=True, nogil=True)
def spread_tilted(lines, rays, swapped, low, high, grid):  # type: ignore[no-untyped-def]
    """The transpose of `walk_tilted` for lines [low, high) of the grid, from the rays that run across such lines.

    Parameters
    ----------
    lines : (views, columns, rows) float32
    swapped : bool
        Whether lines are columns of the grid's slices.
    grid : (side, side + 2, slices + 2) float32
        Lines first: (y, x + 1, z + 1), or (x, y + 1, z + 1) when swapped. It is added to.
    """
    side = grid.shape[0]
    slices = grid.shape[2] - 2 * MARGIN
    sums = grid.ravel()
    across = grid.shape[2]
    along = grid.shape[1] * across
    one = np.float32(1.0)
    for left in range(0, lines.shape[1], COLUMNS):
        for view in range(lines.shape[0]):
            for column in range(left, min(left + COLUMNS, lines.shape[1])):
                for row in range(lines.shape[2]):
                    there, start, slope, bottom, rise, length = trace_in_space(rays, view, column, row)
                    if there != swapped:
                        continue
                    value = lines[view, column, row] * np.float32(length)
                    for line in range(low, high):
                        place = start + line * slope
                        height = bottom + line * rise
                        if place <= -1.0 or place >= side or height <= -1.0 or height >= slices:
                            continue
                        cell, level = int(floor(place)), int(floor(height))
                        beside, above = np.float32(place - cell), np.float32(height - level)
                        at = line * along + (cell + MARGIN) * across + level + MARGIN
                        near, far = (one - beside) * value, beside * value
                        sums[at] += (one - above) * near
                        sums[at + 1] += above * near
                        sums[at + across] += (one - above) * far
                        sums[at + across + 1] += above * far
