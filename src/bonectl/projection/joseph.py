"""Parallel-beam projection by interpolation along rays, and its exact transpose.

Joseph's method (IEEE Trans. Med. Imaging 1, 192, 1982): a ray is sampled once in every row of the grid, or in every
column when it runs closer to them, by linear interpolation between the two nearest voxels, and the samples are
added up with the distance between them. Nothing is shared with `projection.fsp`: each is the other's check.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bonectl.core import pool
from bonectl.projection.fsp import GRAIN, MM_PER_CM, Array
from bonectl.projection.kernels_fsp import pack_views, unpack_views
from bonectl.projection.kernels_joseph import MARGIN, collect, pack_grid, unpack_grid, walk
from bonectl.projection.vectors import LANES

BLOCK = 32


@dataclass(frozen=True, eq=False)
class Plan:
    """What all slices of one geometry share; made by `plan`, never changed.

    Attributes
    ----------
    size, columns : int
        Side of the slice, and detector columns.
    order : (views,) int64
        Views by direction.
    rays : (views, 5) float64
        In that order: the ray of column c crosses line i of the grid at cell ``rays[0] + c rays[1] + i rays[2]``;
        lines are rows when ``rays[3]`` is 0, columns when it is 1. ``rays[4]`` is 1 / ``rays[1]``.
    lengths : (views,) float32
        Distance between two samples, in units of 10 mm.
    """

    size: int
    columns: int
    order: NDArray[np.int64]
    rays: NDArray[np.float64]
    lengths: Array


@lru_cache(maxsize=8)
def plan(degrees: bytes, columns: int, pitch: float, centre: float, size: int, voxel: float) -> Plan:
    """The plan for one geometry; `degrees` are the bytes of the float64 angles, lengths are in mm."""
    radians = np.deg2rad(np.frombuffer(degrees, dtype=np.float64))
    order = np.argsort(np.mod(radians, np.pi), kind="stable")
    cosine, sine = np.cos(radians[order]), np.sin(radians[order])
    flat = np.abs(sine) > np.abs(cosine)
    major, minor = np.where(flat, sine, cosine), np.where(flat, cosine, sine)
    middle = (size - 1) / 2
    per_column = pitch / voxel / major
    start = (middle * minor) / major + middle - centre * per_column
    return Plan(
        size=size,
        columns=columns,
        order=order,
        rays=np.stack([start, per_column, -minor / major, flat.astype(np.float64), 1 / per_column], axis=1),
        lengths=(voxel / MM_PER_CM / np.abs(major)).astype(np.float32),
    )


def _width(slices: int) -> int:
    return -(-slices // GRAIN) * GRAIN


def _lanes(width: int) -> tuple[float, ...]:
    return LANES[next(lanes for lanes in (32, 16, 8) if width % lanes == 0)]


def project(p: Plan, volume: Array) -> Array:
    """Line integrals (slice, view, column) of a volume (slice, y, x) in 1/cm."""
    scan = np.empty((volume.shape[0], p.order.size, p.columns), dtype=np.float32)
    for first, last in pool.cut(volume.shape[0], BLOCK):
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
        walk(_lanes(width), grid, p.rays, low, high, lines)
        lines *= p.lengths[low:high, None, None]
        unpack_views(lines, first, last, p.order, low, scan)

    pool.each(rows, pool.cut(p.size, 16))
    pool.each(views, pool.cut(p.order.size, 16))


def backproject(p: Plan, scan: Array) -> Array:
    """The transpose of `project`: (slice, view, column) to (slice, y, x)."""
    volume = np.empty((scan.shape[0], p.size, p.size), dtype=np.float32)
    for first, last in pool.cut(scan.shape[0], BLOCK):
        _backproject(p, scan, first, last, volume)
    return volume


def _backproject(p: Plan, scan: Array, first: int, last: int, volume: Array) -> None:
    width = _width(last - first)
    grid = np.zeros((p.size, p.size, width), dtype=np.float32)
    for begin, end in pool.cut(p.order.size, 16):
        lines = np.zeros((end - begin, p.columns + 2 * MARGIN, width), dtype=np.float32)
        pack_views(scan, first, last, p.order, begin, lines[:, MARGIN:-MARGIN])
        lines *= p.lengths[begin:end, None, None]

        def rows(low: int, high: int, begin: int = begin, end: int = end, lines: Array = lines) -> None:
            collect(_lanes(width), lines, p.rays[begin:end], low, high, grid)

        pool.each(rows, pool.cut(p.size, 16))

    def out(low: int, high: int) -> None:
        unpack_grid(grid, first, last, low, high, volume)

    pool.each(out, pool.cut(p.size, 16))
