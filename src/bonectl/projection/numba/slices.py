"""Stacks of slices that share their rays, through the kernels that follow them: packing, blocks and threads.

Slices are carried in blocks, innermost in memory (`projection.numba.kernels_joseph`), and work is cut by views or
rows, never by the number of threads.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bonectl.core import pool
from bonectl.core.slabs import Array
from bonectl.projection.fsp import GRAIN
from bonectl.projection.joseph import MARGIN
from bonectl.projection.numba import workspace
from bonectl.projection.numba.kernels_fsp import pack_views, unpack_views
from bonectl.projection.numba.kernels_joseph import pack_grid, unpack_grid, walk
from bonectl.projection.numba.vectors import LANES

# Views and rows of one piece of work.
PIECE = 16

Lanes = tuple[float, ...]
# Adds to rows [low, high) of a grid (y, x, lane) what lines (view, column, lane) of views [begin, end) hold:
# (lanes, lines, begin, end, low, high, grid).
Collect = Callable[[Lanes, Array, int, int, int, int, Array], None]


def width_of(slices: int) -> int:
    """Lanes of a block: whole vectors."""
    return -(-slices // GRAIN) * GRAIN


def lanes_of(width: int) -> Lanes:
    """The widest vectors that a block fills."""
    return LANES[next(lanes for lanes in sorted(LANES, reverse=True) if width % lanes == 0)]


def project(
    volume: Array,
    block: int,
    order: NDArray[np.int64],
    rays: Callable[[int, int], NDArray[np.float64]],
    lengths: Array,
) -> Array:
    """Line integrals (slice, view, column) of a volume (slice, y, x).

    Parameters
    ----------
    volume : (slices, size, size) float32
    block : int
        Slices that are carried together.
    order : (views,) int64
        Views in the order in which they are worked on.
    rays : callable
        The rays of views [low, high) in that order, as `bonectl.projection.numba.kernels_joseph.walk` takes them.
    lengths : (views, columns or 1) float32
        What a sample stands for, in that order.
    """
    columns = rays(0, 1).shape[1]
    scan = np.empty((volume.shape[0], order.size, columns), dtype=np.float32)
    for first, last in pool.cut(volume.shape[0], block):
        width, side = width_of(last - first), volume.shape[1] + 2 * MARGIN
        grid = workspace.zeros(side, side, width)

        def rows(low: int, high: int, first: int = first, last: int = last, grid: Array = grid) -> None:
            pack_grid(volume, first, last, low, high, grid)

        def views(low: int, high: int, first: int = first, last: int = last, grid: Array = grid) -> None:
            lines = workspace.zeros(high - low, columns, grid.shape[2])
            walk(lanes_of(grid.shape[2]), grid, rays(low, high), lines)
            lines *= lengths[low:high, :, None]
            unpack_views(lines, first, last, order, low, scan)

        pool.each(rows, pool.cut(volume.shape[1], PIECE))
        pool.each(views, pool.cut(order.size, PIECE))
    return scan


def collected(
    scan: Array, block: int, size: int, order: NDArray[np.int64], lengths: Array | None, collect: Collect
) -> Array:
    """A volume (slice, y, x) whose voxels collect what they want of the scan (slice, view, column).

    Parameters
    ----------
    lengths : (views, columns or 1) float32, optional
        Factor of the scan's values, in the order of views.
    collect : callable
        Is given lines with a margin of zeros on both sides of the detector.
    """

    def block_of(first: int, last: int) -> Array:
        width = width_of(last - first)
        grid = workspace.zeros(size, size, width)
        for begin, end in pool.cut(order.size, PIECE):
            lines = workspace.zeros(end - begin, scan.shape[2] + 2 * MARGIN, width)
            pack_views(scan, first, last, order, begin, MARGIN, lines)
            if lengths is not None:
                lines[:, MARGIN:-MARGIN] *= lengths[begin:end, :, None]

            def rows(low: int, high: int, begin: int = begin, end: int = end, lines: Array = lines) -> None:
                collect(lanes_of(width), lines, begin, end, low, high, grid)

            pool.each(rows, pool.cut(size, PIECE))
        return grid

    return unpacked(scan.shape[0], block, size, block_of)


def unpacked(slices: int, block: int, size: int, block_of: Callable[[int, int], Array]) -> Array:
    """A volume (slice, y, x) from the grids (y, x, lane) of its blocks."""
    volume = np.empty((slices, size, size), dtype=np.float32)
    for first, last in pool.cut(slices, block):
        grid = block_of(first, last)

        def out(low: int, high: int, first: int = first, last: int = last, grid: Array = grid) -> None:
            unpack_grid(grid, first, last, low, high, volume)

        pool.each(out, pool.cut(size, PIECE))
    return volume
