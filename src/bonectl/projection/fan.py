"""Fan-beam projection by interpolation along rays (Joseph 1982), its exact transpose, and back-projection.

All slices share one fan. The transpose is computed line by line of the grid, rays that run closer to x on a
transposed copy: each line belongs to one piece of work, so that nothing is added to from two sides at once.
"""

from collections.abc import Callable

import numpy as np

from bonectl.core import pool
from bonectl.projection.divergent import Plan
from bonectl.projection.fsp import GRAIN, Array
from bonectl.projection.kernels_fan import collect_fan, spread_fan, walk_fan
from bonectl.projection.kernels_fsp import pack_views, unpack_views
from bonectl.projection.kernels_joseph import MARGIN, pack_grid, unpack_grid
from bonectl.projection.vectors import LANES

LARGE = 1024


def block(size: int) -> int:
    """Slices carried together for slices of this side: about what the caches hold."""
    return 64 if size < LARGE else 32


def _width(slices: int) -> int:
    return -(-slices // GRAIN) * GRAIN


def _lanes(width: int) -> tuple[float, ...]:
    return LANES[next(lanes for lanes in (64, 32, 16, 8) if width % lanes == 0)]


def _order(p: Plan) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.arange(len(p.views), dtype=np.int64)


def project(p: Plan, volume: Array) -> Array:
    """Line integrals (slice, view, column) of a volume (slice, y, x) in 1/cm."""
    scan = np.empty((volume.shape[0], len(p.views), p.columns), dtype=np.float32)
    for first, last in pool.cut(volume.shape[0], block(p.size)):
        _project(p, volume, first, last, scan)
    return scan


def _project(p: Plan, volume: Array, first: int, last: int, scan: Array) -> None:
    width = _width(last - first)
    side = p.size + 2 * MARGIN
    grid = np.zeros((side, side, width), dtype=np.float32)

    def rows(low: int, high: int) -> None:
        pack_grid(volume, first, last, low, high, grid)

    def views(low: int, high: int) -> None:
        lines = np.zeros((high - low, p.columns, width), dtype=np.float32)
        walk_fan(_lanes(width), grid, p.views, low, high, lines)
        lines *= p.lengths[low:high, :, None]
        unpack_views(lines, first, last, _order(p), low, scan)

    pool.each(rows, pool.cut(p.size, 16))
    pool.each(views, pool.cut(len(p.views), 16))


def backproject(p: Plan, scan: Array) -> Array:
    """The transpose of `project`: (slice, view, column) to (slice, y, x)."""
    return _by_blocks(p, scan, _backproject)


def _by_blocks(p: Plan, scan: Array, back: Callable[[Plan, Array, int, int], Array]) -> Array:
    volume = np.empty((scan.shape[0], p.size, p.size), dtype=np.float32)
    for first, last in pool.cut(scan.shape[0], block(p.size)):
        grid = back(p, scan, first, last)

        def out(low: int, high: int, first: int = first, last: int = last, grid: Array = grid) -> None:
            unpack_grid(grid, first, last, low, high, volume)

        pool.each(out, pool.cut(p.size, 16))
    return volume


def _backproject(p: Plan, scan: Array, first: int, last: int) -> Array:
    width = _width(last - first)
    grids = np.zeros((2, p.size, p.size + 2 * MARGIN, width), dtype=np.float32)
    for begin, end in pool.cut(len(p.views), 64):
        lines = np.zeros((end - begin, p.columns, width), dtype=np.float32)

        def views(low: int, high: int, begin: int = begin, lines: Array = lines) -> None:
            pack_views(scan, first, last, _order(p), begin + low, lines[low:high])
            lines[low:high] *= p.lengths[begin + low : begin + high, :, None]

        def spread(low: int, high: int, begin: int = begin, end: int = end, lines: Array = lines) -> None:
            for swapped in (False, True):
                spread_fan(_lanes(width), lines, p.views[begin:end], swapped, low, high, grids[int(swapped)])

        pool.each(views, pool.cut(end - begin, 8))
        pool.each(spread, pool.cut(p.size, 16))
    inner = slice(MARGIN, -MARGIN)
    upright, turned = grids[0][:, inner], grids[1][:, inner]
    grid = np.empty((p.size, p.size, width), dtype=np.float32)

    def add(low: int, high: int) -> None:
        np.add(upright[low:high], turned[:, low:high].transpose(1, 0, 2), out=grid[low:high])

    pool.each(add, pool.cut(p.size, 16))
    return grid


def collect(p: Plan, scan: Array) -> Array:
    """The sum over views of the scan (slice, view, column) at each voxel's column, over U squared.

    U is the voxel's distance from the source along the perpendicular to the detector, as a share of sod (Kak and
    Slaney 1988, eq. 3.127). Columns are interpolated linearly, beyond the detector is 0. The result is (slice, y, x).
    """
    return _by_blocks(p, scan, _collect)


def _collect(p: Plan, scan: Array, first: int, last: int) -> Array:
    width = _width(last - first)
    grid = np.zeros((p.size, p.size, width), dtype=np.float32)
    for begin, end in pool.cut(len(p.views), 16):
        lines = np.zeros((end - begin, p.columns + 2 * MARGIN, width), dtype=np.float32)
        pack_views(scan, first, last, _order(p), begin, lines[:, MARGIN:-MARGIN])

        def rows(low: int, high: int, begin: int = begin, end: int = end, lines: Array = lines) -> None:
            collect_fan(_lanes(width), lines, p.seen[begin:end], low, high, grid)

        pool.each(rows, pool.cut(p.size, 16))
    return grid
