"""Compiled steps of the cone beam's projector, of its transpose, and of back-projection.

The orbit is a circle and detector columns are parallel to the axis, so that the ray of a column runs through the
same cells in every row, seen from above: two columns of voxels (or of the detector) are blended with weights that
all rows share, and the blend is interpolated along the axis at evenly spaced places, eight at a time.

The axis is innermost everywhere. Cells as in `bonectl.projection.numba.kernels_fan`.
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from math import ceil, floor

import numpy as np
from numba import njit

from bonectl.projection.joseph import MARGIN
from bonectl.projection.numba.kernels_fan import seen_at
from bonectl.projection.numba.vectors import ANY, LANES, ONE, TWO, add, fma, hat, load, sample, store, times

# Outputs of `sample` and `hat`.
GROUP = 8
EIGHT = LANES[8]
# Longest steps for which eight outputs come from one register, and from two.
SAMPLE_ONE, HAT_ONE, STEP_TWO = 0.99, 0.85, 1.99
# Lines of the grid and rays that are walked before the next tile, and side of a square of voxels.
LINES = 32
RAYS = 16
VOXELS = 16


@njit(cache=True, nogil=True)
def pack_columns(volume, low, high, grid, left):  # type: ignore[no-untyped-def]
    """Columns y = [low, high) of volume (z, y, x) into grid (y + 1, x + 1, left + z), which has margins."""
    for y in range(low, high):
        for z in range(volume.shape[0]):
            for x in range(volume.shape[2]):
                grid[y + MARGIN, x + MARGIN, left + z] = volume[z, y, x]


@njit(cache=True, nogil=True)
def blend(a, b, flat, here, there, low, high, out, to):  # type: ignore[no-untyped-def]
    """``out[to + i] = a flat[here + i] + b flat[there + i]`` for groups of i within [low, high)."""
    for i in range(low, high, GROUP):
        store(out, to + i, fma(load(EIGHT, flat, there + i), b, times(load(EIGHT, flat, here + i), a)))


@njit(cache=True, nogil=True, inline="always")
def groups(first, last, count):  # type: ignore[no-untyped-def]
    """Bounds of the groups of [0, count) that hold the whole numbers in [first, last]."""
    low = max(0, int(ceil(first)))
    high = min(count, int(floor(last)) + 1)
    return low // GROUP * GROUP, high


@njit(cache=True, nogil=True)
def resample(registers, source, pad, start, step, low, high, out, to):  # type: ignore[no-untyped-def]
    """Add ``source[pad:]`` at the places start + i step to ``out[to + i]``, for groups of i within [low, high)."""
    for i in range(low, high, GROUP):
        place = start + i * step
        cell = int(floor(place))
        value = sample(registers, source, pad + cell, np.float32(place - cell), np.float32(step))
        store(out, to + i, add(load(EIGHT, out, to + i), value))


@njit(cache=True, nogil=True)
def walk_cone(grid, pad, slices, zoom, rows, foot, rays, lines):  # type: ignore[no-untyped-def]
    """Sums along the rays of some views: lines (view, column, row), which must hold zeros.

    Parameters
    ----------
    grid : (side + 2, side + 2, depth) float32
        `slices` voxels from ``[..., pad]`` on, and at least a group of zeros after them.
    zoom : float
        Distance between detector rows [cell].
    rows : int
        Detector rows; ``lines`` has a whole number of groups of them.
    foot : float
        Detector row in the plane of the middle slice.
    rays : (views, columns, 5) float64
        As `bonectl.projection.divergent.Tables.crossings`.
    """
    side = grid.shape[0] - 2 * MARGIN
    depth = grid.shape[2]
    columns = lines.shape[1]
    flat = grid.ravel()
    sums = lines.ravel()
    column_of_voxels = np.zeros(depth + GROUP, np.float32)
    middle = 0.5 * (slices - 1)
    for begin in range(0, side, LINES):
        for left in range(0, columns, RAYS):
            for view in range(lines.shape[0]):
                for column in range(left, min(left + RAYS, columns)):
                    swapped, start, slope, source, reach = rays[view, column]
                    across, along = depth, grid.shape[1] * depth
                    if swapped != 0.0:
                        across, along = along, across
                    target = (view * columns + column) * lines.shape[2]
                    for line in range(begin, min(begin + LINES, side)):
                        place = start + line * slope
                        if place <= -1.0 or place >= side:
                            continue
                        cell = int(floor(place))
                        weight = np.float32(place - cell)
                        step = (line - source) / reach * zoom
                        bottom = middle - foot * step
                        first, last = groups((-1.0 - bottom) / step, (slices - bottom) / step, rows)
                        where = (cell + MARGIN) * across + (line + MARGIN) * along + pad
                        # slices below the lowest row and above the highest are not read
                        lowest, highest = groups(bottom - 1.0, bottom + (rows - 1) * step + 1.0, slices)
                        blend(
                            np.float32(1.0) - weight, weight, flat, where, where + across,
                            lowest, highest, column_of_voxels, pad,
                        )  # fmt: skip
                        if step <= SAMPLE_ONE:
                            resample(ONE, column_of_voxels, pad, bottom, step, first, last, sums, target)
                        elif step <= STEP_TWO:
                            resample(TWO, column_of_voxels, pad, bottom, step, first, last, sums, target)
                        else:
                            resample(ANY, column_of_voxels, pad, bottom, step, first, last, sums, target)


@njit(cache=True, nogil=True)
def spread_column(registers, lines, at, bottom, step, low, high, weight, sums, near, far):  # type: ignore[no-untyped-def]
    """The transpose of `blend` and `resample`: rows ``lines[at:]``, ``bottom + row step`` apart, into two columns."""
    steps = 1.0 / step
    taps = int(floor(2.0 * steps)) + 1
    for z in range(low, high, GROUP):
        place = (z - bottom - 1.0) * steps
        row = int(floor(place))
        start, wide, scale = np.float32(place - row), np.float32(steps), np.float32(step)
        total = hat(registers, lines, at + row, start, wide, scale, np.float32(0.0))
        for tap in range(1, taps):
            total = add(total, hat(registers, lines, at + row, start, wide, scale, np.float32(tap)))
        store(sums, near + z, fma(total, np.float32(1.0) - weight, load(EIGHT, sums, near + z)))
        store(sums, far + z, fma(total, weight, load(EIGHT, sums, far + z)))


@njit(cache=True, nogil=True)
def spread_cone(lines, pad, rows, foot, slices, zoom, rays, swapped, low, high, grid):  # type: ignore[no-untyped-def]
    """The transpose of `walk_cone` for lines [low, high) of the grid, from the rays that run across such lines.

    Parameters
    ----------
    lines : (views, columns, height) float32
        `rows` values from ``[..., pad]`` on, and zeros on both sides of them.
    rays : (views, columns, 5) float64
        As `bonectl.projection.divergent.Tables.crossings`.
    swapped : bool
        Whether lines are columns of the grid's slices.
    grid : (side, side + 2, depth) float32
        Lines first: (y, x + 1, z), or (x, y + 1, z) when swapped. It is added to.
    """
    side = grid.shape[0]
    depth = grid.shape[2]
    columns = lines.shape[1]
    flat = lines.ravel()
    sums = grid.ravel()
    middle = 0.5 * (slices - 1)
    for left in range(0, columns, RAYS):
        for view in range(lines.shape[0]):
            for column in range(left, min(left + RAYS, columns)):
                there, start, slope, source, reach = rays[view, column]
                if (there != 0.0) != swapped:
                    continue
                at = (view * columns + column) * lines.shape[2] + pad
                for line in range(low, high):
                    place = start + line * slope
                    if place <= -1.0 or place >= side:
                        continue
                    cell = int(floor(place))
                    weight = np.float32(place - cell)
                    step = (line - source) / reach * zoom
                    bottom = middle - foot * step
                    first, last = groups(bottom - 1.0, bottom + (rows - 1) * step + 1.0, slices)
                    near = (line * (side + 2 * MARGIN) + cell + MARGIN) * depth
                    if step * HAT_ONE >= 1.0:
                        spread_column(ONE, flat, at, bottom, step, first, last, weight, sums, near, near + depth)
                    elif step * STEP_TWO >= 1.0:
                        spread_column(TWO, flat, at, bottom, step, first, last, weight, sums, near, near + depth)
                    else:
                        spread_column(ANY, flat, at, bottom, step, first, last, weight, sums, near, near + depth)


@njit(cache=True, nogil=True)
def collect_cone(lines, pad, rows, foot, slices, zoom, views, low, high, grid):  # type: ignore[no-untyped-def]
    """What a voxel's ray holds in every view over its squared distance from the source, added to grid (y, x, z).

    Parameters
    ----------
    lines : (views, columns + 2, height) float32
        With margins; `rows` values from ``[..., pad]`` on, and at least a group of zeros on both sides of them.
    zoom : float
        Distance between the slices, as the detector sees them on the axis [row].
    views : (views, 3, 3) float64
        As `bonectl.projection.divergent.Tables.seen`.
    """
    side = grid.shape[0]
    height = lines.shape[2]
    columns = lines.shape[1] - 2 * MARGIN
    flat = lines.ravel()
    sums = grid.ravel()
    column_of_rows = np.zeros(height + GROUP, np.float32)
    middle = 0.5 * (slices - 1)
    for top in range(low, high, VOXELS):
        for left in range(0, side, VOXELS):
            for y in range(top, min(top + VOXELS, high)):
                for x in range(left, min(left + VOXELS, side)):
                    target = (y * side + x) * grid.shape[2]
                    for view in range(lines.shape[0]):
                        nearness, column, near, far = seen_at(views, view, x, y)
                        if column < -1 or column >= columns:
                            continue
                        step = nearness * zoom
                        bottom = foot - middle * step
                        first, last = groups((-1.0 - bottom) / step, (rows - bottom) / step, slices)
                        where = (view * (columns + 2 * MARGIN) + column + MARGIN) * height + pad
                        lowest, highest = groups(bottom - 1.0, bottom + (slices - 1) * step + 1.0, rows)
                        blend(near, far, flat, where, where + height, lowest, highest, column_of_rows, pad)
                        if step <= SAMPLE_ONE:
                            resample(ONE, column_of_rows, pad, bottom, step, first, last, sums, target)
                        elif step <= STEP_TWO:
                            resample(TWO, column_of_rows, pad, bottom, step, first, last, sums, target)
                        else:
                            resample(ANY, column_of_rows, pad, bottom, step, first, last, sums, target)
