"""The Fourier-slice projector of one slice on the CPU: what `projection.numba.fsp` does with blocks, for the odd one.

A slice has no partner to be the imaginary part, so transforms are real where they can be, and of each line the half is
worked on that tells the other.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, ifft, irfft, rfft

from bonectl.core import pool
from bonectl.core.slabs import Array
from bonectl.projection.fsp import HALO, Tables
from bonectl.projection.numba import workspace
from bonectl.projection.numba.kernels_gridding import WIDE
from bonectl.projection.numba.kernels_single import gather_one, scatter_one

# Rows of the grid, or columns, or views of one piece of work.
PIECE = 32
# Views whose lines are held at a time by the transpose.
VIEWS = 256


def project(p: Tables, slice_: Array, scan: Array) -> None:
    """Line integrals of a slice (y, x), into a scan (view, column)."""
    cells, origin = p.cells, p.origin
    grid = workspace.zeros(cells + HALO, cells + WIDE - 1, 2)
    plane = _complex(grid)

    def rows(low: int, high: int) -> None:
        part = np.zeros((high - low, cells), dtype=np.float32)
        part[:, origin : origin + p.size] = slice_[low:high] * _weights(p, low, high)
        plane[origin + low : origin + high, :cells] = fft(part, axis=1)

    def columns(low: int, high: int) -> None:
        plane[:cells, low:high] = fft(plane[:cells, low:high], axis=0)

    def views(low: int, high: int) -> None:
        spectrum = workspace.empty(high - low, p.length // 2 + 1, 2)
        gather_one(grid, p.coefficients, p.steps, p.weights, low, p.length, spectrum)
        lines = irfft(_complex(spectrum), n=p.length, axis=1, norm="forward")
        scan[p.order[low:high]] = lines[:, : p.columns]

    pool.each(rows, pool.cut(p.size, PIECE))
    pool.each(columns, pool.cut(cells, PIECE))
    grid[:, cells:] = grid[:, : WIDE - 1]
    grid[cells:] = grid[:HALO]
    pool.each(views, pool.cut(p.order.size, PIECE))


def backproject(p: Tables, scan: Array, slice_: Array) -> None:
    """The transpose of `project`: a scan (view, column), into a slice (y, x)."""
    cells, origin = p.cells, p.origin
    grid = workspace.zeros(cells + HALO, cells + WIDE - 1, 2)
    plane = _complex(grid)
    kept = workspace.empty(min(VIEWS, p.order.size), p.length // 2 + 1, 2)
    for begin, end in pool.cut(p.order.size, VIEWS):

        def views(low: int, high: int, begin: int = begin) -> None:
            lines = rfft(scan[p.order[begin + low : begin + high]], n=p.length, axis=1)
            _complex(kept[low:high])[...] = lines

        def bands(low: int, high: int, begin: int = begin, end: int = end) -> None:
            lines = kept[: end - begin]
            scatter_one(lines, p.coefficients, p.steps, p.weights, begin, p.length, low, high, grid)

        pool.each(views, pool.cut(end - begin, PIECE))
        pool.each(bands, pool.cut(cells + HALO, PIECE))

    def columns(low: int, high: int) -> None:
        plane[:cells, low:high] = ifft(plane[:cells, low:high], axis=0, norm="forward")

    def rows(low: int, high: int) -> None:
        part = ifft(plane[origin + low : origin + high, :cells], axis=1, norm="forward")
        np.multiply(part.real[:, origin : origin + p.size], 2 * _weights(p, low, high), out=slice_[low:high])

    grid[:HALO] += grid[cells:]
    grid[:, : WIDE - 1] += grid[:, cells:]
    pool.each(columns, pool.cut(cells, PIECE))
    pool.each(rows, pool.cut(p.size, PIECE))


def _complex(pairs: Array) -> NDArray[np.complex64]:
    """(..., 2) float32 as complex numbers (...)."""
    result: NDArray[np.complex64] = pairs.view(np.complex64)[..., 0]
    return result


def _weights(p: Tables, low: int, high: int) -> Any:
    """What undoes the gridding kernel in rows [low, high) of a slice."""
    return p.spread_out[low:high, None] * p.spread_out
