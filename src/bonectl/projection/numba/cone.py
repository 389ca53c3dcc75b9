"""Cone-beam projection by interpolation along rays (Joseph 1982), its exact transpose, and back-projection.

A circular orbit and a flat detector whose columns are parallel to the axis: what happens across the axis is the
fan beam's, and along the axis everything is evenly spaced (`projection.numba.kernels_cone`). The middle slice lies in
the plane of the orbit. Detectors with other columns are `projection.numba.tilted`'s.
"""

from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from bonectl.core import pool
from bonectl.core.slabs import Array
from bonectl.projection.divergent import Tables
from bonectl.projection.joseph import MARGIN
from bonectl.projection.numba import tilted, workspace
from bonectl.projection.numba.kernels_cone import GROUP, STEP_TWO, collect_cone, pack_columns, spread_cone, walk_cone
from bonectl.projection.numba.kernels_joseph import unpack_grid


def _grouped(count: int) -> int:
    return -(-count // GROUP) * GROUP


def _pad(step: float) -> int:
    """Zeros on either side that a group and its taps can reach at steps of up to this many inputs."""
    return ceil((GROUP + 2) * max(step, STEP_TWO)) + 2 * GROUP + 4


def _reach(p: Tables) -> float:
    """Largest distance from the axis at which a ray is sampled, as a share of sod; below 1."""
    return min((p.size / sqrt(2) + 2) * p.voxel / p.sod, 1 - 1e-3)


def project(p: Tables, volume: Array) -> Array:
    """Line integrals (row, view, column) of a volume (z, y, x) in 1/cm."""
    if not p.is_aligned:
        return tilted.project(p, volume)
    pad = _pad(p.zoom * p.sod / p.sdd * (1 + _reach(p)))
    side = p.size + 2 * MARGIN
    grid = workspace.zeros(side, side, _grouped(p.slices) + 2 * pad)
    scan = np.empty((p.rows, len(p.views), p.columns), dtype=np.float32)
    stretch = np.sqrt(1 + p.slants() ** 2).astype(np.float32)

    def pack(low: int, high: int) -> None:
        pack_columns(volume, low, high, grid, pad)

    def views(low: int, high: int) -> None:
        lines = workspace.zeros(high - low, p.columns, _grouped(p.rows))
        walk_cone(grid, pad, p.slices, p.zoom, p.rows, p.row_centre, p.crossings(low, high), lines)
        done = lines[..., : p.rows] * p.lengths[low:high, :, None] * stretch
        scan[:, low:high] = done.transpose(2, 0, 1)

    pool.each(pack, pool.cut(p.size, 8))
    pool.each(views, pool.cut(len(p.views), 4))
    return scan


def backproject(p: Tables, scan: Array) -> Array:
    """The transpose of `project`: (row, view, column) to (z, y, x)."""
    if not p.is_aligned:
        return tilted.backproject(p, scan)
    pad = _pad(p.sdd / p.sod / p.zoom / (1 - _reach(p)))
    depth = _grouped(p.slices)
    grids = workspace.zeros(2, p.size, p.size + 2 * MARGIN, depth)
    stretch = np.sqrt(1 + p.slants() ** 2).astype(np.float32)
    for begin, end in pool.cut(len(p.views), 32):
        lines = workspace.zeros(end - begin, p.columns, p.rows + 2 * pad)
        rays = p.crossings(begin, end)

        def pack(low: int, high: int, begin: int = begin, lines: Array = lines) -> None:
            part = scan[:, begin + low : begin + high].transpose(1, 2, 0)
            lines[low:high, :, pad:-pad] = part * p.lengths[begin + low : begin + high, :, None] * stretch

        def spread(low: int, high: int, lines: Array = lines, rays: NDArray[np.float64] = rays) -> None:
            for swapped in (False, True):
                spread_cone(
                    lines, pad, p.rows, p.row_centre, p.slices, p.zoom, rays, swapped, low, high,
                    grids[int(swapped)],
                )  # fmt: skip

        pool.each(pack, pool.cut(end - begin, 4))
        pool.each(spread, pool.cut(p.size, 8))
    inner = slice(MARGIN, -MARGIN)
    grid = grids[0][:, inner]
    grid += grids[1][:, inner].transpose(1, 0, 2)
    return _unpacked(p, grid)


def collect(p: Tables, scan: Array) -> Array:
    """The sum over views of the scan (row, view, column) where each voxel is seen, over U squared.

    U is the voxel's distance from the source along the perpendicular to the detector, as a share of sod (Feldkamp,
    Davis and Kress, J. Opt. Soc. Am. A 1, 612, 1984; Kak and Slaney 1988, eq. 3.176). Linear interpolation, 0 beyond
    the detector, which must be upright. The result is (z, y, x).
    """
    zoom = p.sdd / p.sod / p.zoom
    pad = _pad(zoom / (1 - _reach(p)))
    grid = workspace.zeros(p.size, p.size, _grouped(p.slices))
    for begin, end in pool.cut(len(p.views), 16):
        lines = workspace.zeros(end - begin, p.columns + 2 * MARGIN, _grouped(p.rows) + 2 * pad)

        def pack(low: int, high: int, begin: int = begin, lines: Array = lines) -> None:
            part = scan[:, begin + low : begin + high].transpose(1, 2, 0)
            lines[low:high, MARGIN:-MARGIN, pad : pad + p.rows] = part

        def rows(low: int, high: int, begin: int = begin, end: int = end, lines: Array = lines) -> None:
            collect_cone(lines, pad, p.rows, p.row_centre, p.slices, zoom, p.seen[begin:end], low, high, grid)

        pool.each(pack, pool.cut(end - begin, 4))
        pool.each(rows, pool.cut(p.size, 16))
    return _unpacked(p, grid)


def _unpacked(p: Tables, grid: Array) -> Array:
    volume = np.empty((p.slices, p.size, p.size), dtype=np.float32)

    def out(low: int, high: int) -> None:
        unpack_grid(grid, 0, p.slices, low, high, volume)

    pool.each(out, pool.cut(p.size, 16))
    return volume
