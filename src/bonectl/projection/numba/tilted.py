"""Cone-beam projection onto a detector whose columns are not parallel to the axis, and its exact transpose.

Joseph's method (1982) in three dimensions: along a ray, in every row of the slices (or column, when it runs closer to
x), the four nearest voxels are interpolated. Each line of the grid belongs to one piece of work of the transpose.
"""

import numpy as np

from bonectl.core import pool
from bonectl.core.lengths import MM_PER_CM
from bonectl.core.slabs import Array
from bonectl.projection.divergent import Tables
from bonectl.projection.joseph import MARGIN
from bonectl.projection.numba import workspace
from bonectl.projection.numba.kernels_cone import pack_columns
from bonectl.projection.numba.kernels_joseph import unpack_grid
from bonectl.projection.numba.kernels_tilted import spread_tilted, walk_tilted

INNER = slice(MARGIN, -MARGIN)


def project(p: Tables, volume: Array) -> Array:
    """Line integrals (row, view, column) of a volume (z, y, x) in 1/cm."""
    side = p.size + 2 * MARGIN
    grid = workspace.zeros(side, side, p.slices + 2 * MARGIN)
    scan = np.empty((p.rows, len(p.views), p.columns), dtype=np.float32)

    def pack(low: int, high: int) -> None:
        pack_columns(volume, low, high, grid, MARGIN)

    def views(low: int, high: int) -> None:
        lines = workspace.zeros(high - low, p.columns, p.rows)
        walk_tilted(grid, p.rays, low, high, lines)
        lines *= np.float32(p.voxel / MM_PER_CM)
        scan[:, low:high] = lines.transpose(2, 0, 1)

    pool.each(pack, pool.cut(p.size, 8))
    pool.each(views, pool.cut(len(p.views), 4))
    return scan


def backproject(p: Tables, scan: Array) -> Array:
    """The transpose of `project`: (row, view, column) to (z, y, x)."""
    grids = workspace.zeros(2, p.size, p.size + 2 * MARGIN, p.slices + 2 * MARGIN)
    for begin, end in pool.cut(len(p.views), 32):
        lines = scan[:, begin:end].transpose(1, 2, 0) * np.float32(p.voxel / MM_PER_CM)
        lines = np.ascontiguousarray(lines)

        def spread(low: int, high: int, begin: int = begin, end: int = end, lines: Array = lines) -> None:
            for swapped in (False, True):
                spread_tilted(lines, p.rays[begin:end], swapped, low, high, grids[int(swapped)])

        pool.each(spread, pool.cut(p.size, 8))
    grid = grids[0][:, INNER, INNER]
    grid += grids[1][:, INNER, INNER].transpose(1, 0, 2)
    volume = np.empty((p.slices, p.size, p.size), dtype=np.float32)

    def out(low: int, high: int) -> None:
        unpack_grid(grid, 0, p.slices, low, high, volume)

    pool.each(out, pool.cut(p.size, 16))
    return volume
