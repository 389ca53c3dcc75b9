"""Fan-beam projection by interpolation along rays (Joseph 1982), its exact transpose, and back-projection.

All slices share one fan. The transpose is computed line by line of the grid, rays that run closer to x on a
transposed copy: each line belongs to one piece of work, so that nothing is added to from two sides at once.
"""

import numpy as np
from numpy.typing import NDArray

from bonectl.core import pool
from bonectl.core.slabs import Array
from bonectl.projection.divergent import Tables, block
from bonectl.projection.joseph import MARGIN
from bonectl.projection.numba import slices, workspace
from bonectl.projection.numba.kernels_fan import collect_fan, spread_fan
from bonectl.projection.numba.kernels_fsp import pack_views

# Views whose lines are held at a time by the transpose.
VIEWS = 64


def _order(p: Tables) -> NDArray[np.int64]:
    return np.arange(len(p.views), dtype=np.int64)


def project(p: Tables, volume: Array) -> Array:
    """Line integrals (slice, view, column) of a volume (slice, y, x) in 1/cm."""
    return slices.project(volume, block(p.size), _order(p), p.crossings, p.lengths)


def backproject(p: Tables, scan: Array) -> Array:
    """The transpose of `project`: (slice, view, column) to (slice, y, x)."""

    def block_of(first: int, last: int) -> Array:
        return _backproject(p, scan, first, last)

    return slices.unpacked(scan.shape[0], block(p.size), p.size, block_of)


def _backproject(p: Tables, scan: Array, first: int, last: int) -> Array:
    width = slices.width_of(last - first)
    grids = workspace.zeros(2, p.size, p.size + 2 * MARGIN, width)
    for begin, end in pool.cut(len(p.views), VIEWS):
        lines = workspace.empty(end - begin, p.columns, width)
        rays = p.crossings(begin, end)

        def views(low: int, high: int, begin: int = begin, lines: Array = lines) -> None:
            pack_views(scan, first, last, _order(p), begin + low, 0, lines[low:high])
            lines[low:high] *= p.lengths[begin + low : begin + high, :, None]

        def spread(low: int, high: int, lines: Array = lines, rays: NDArray[np.float64] = rays) -> None:
            for swapped in (False, True):
                spread_fan(slices.lanes_of(width), lines, rays, swapped, low, high, grids[int(swapped)])

        pool.each(views, pool.cut(end - begin, 8))
        pool.each(spread, pool.cut(p.size, slices.PIECE))
    inner = slice(MARGIN, -MARGIN)
    upright, turned = grids[0][:, inner], grids[1][:, inner]
    grid = workspace.empty(p.size, p.size, width)

    def add(low: int, high: int) -> None:
        np.add(upright[low:high], turned[:, low:high].transpose(1, 0, 2), out=grid[low:high])

    pool.each(add, pool.cut(p.size, slices.PIECE))
    return grid


def collect(p: Tables, scan: Array) -> Array:
    """The sum over views of the scan (slice, view, column) at each voxel's column, over U squared.

    U is the voxel's distance from the source along the perpendicular to the detector, which must be upright, as a share
    of sod (Kak and Slaney 1988, eq. 3.127). Columns are interpolated linearly, beyond the detector is 0. The result is
    (slice, y, x).
    """

    def rows(lanes: slices.Lanes, lines: Array, begin: int, end: int, low: int, high: int, grid: Array) -> None:
        collect_fan(lanes, lines, p.seen[begin:end], low, high, grid)

    return slices.collected(scan, block(p.size), p.size, _order(p), None, rows)
