"""Joseph's projector of a parallel beam on the CPU, compiled with numba, and its exact transpose."""

from bonectl.core.slabs import Array
from bonectl.projection.joseph import BLOCK, Tables
from bonectl.projection.numba import slices
from bonectl.projection.numba.kernels_joseph import collect


def project(p: Tables, volume: Array) -> Array:
    """Line integrals (slice, view, column) of a volume (slice, y, x) in 1/cm."""
    return slices.project(volume, BLOCK, p.order, p.crossings, p.lengths[:, None])


def backproject(p: Tables, scan: Array) -> Array:
    """The transpose of `project`: (slice, view, column) to (slice, y, x)."""

    def rows(lanes: slices.Lanes, lines: Array, begin: int, end: int, low: int, high: int, grid: Array) -> None:
        collect(lanes, lines, p.rays[begin:end], low, high, grid)

    return slices.collected(scan, BLOCK, p.size, p.order, p.lengths[:, None], rows)
