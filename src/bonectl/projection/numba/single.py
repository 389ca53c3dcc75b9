"""The Fourier-slice projector of one slice on the CPU: what `projection.numba.fsp` does with blocks, for the odd one.

A slice has no partner to be the imaginary part: transforms are real, and of each line and of the plane the half is
worked on that tells the other.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, ifft, irfft, rfft

from bonectl.core import pool
from bonectl.core.slabs import Array
from bonectl.projection.fsp import HALO, TAPS, Tables
from bonectl.projection.numba import workspace
from bonectl.projection.numba.kernels_single import BESIDE, LEFT, gather_one, scatter_one

# Rows of the grid, or columns, or views of one piece of work: handing it to a thread takes as long as some rows do.
PIECE = 96


def project(p: Tables, slice_: Array, scan: Array) -> None:
    """Line integrals of a slice (y, x), into a scan (view, column)."""
    cells, origin = p.cells, p.origin
    grid = _half_plane(cells)
    plane = _complex(grid)
    half = slice(LEFT, LEFT + cells // 2 + 1)

    def rows(low: int, high: int) -> None:
        part = np.zeros((high - low, cells), dtype=np.float32)
        np.multiply(slice_[low:high], _weights(p, low, high), out=part[:, origin : origin + p.size])
        plane[origin + low : origin + high, half] = rfft(part, axis=1)

    def columns(low: int, high: int) -> None:
        plane[:cells, low:high] = fft(plane[:cells, low:high], axis=0)

    def views(low: int, high: int) -> None:
        spectrum = workspace.empty(high - low, p.length // 2 + 1, 2)
        gather_one(grid, p.coefficients, p.steps, p.weights, low, p.length, spectrum)
        lines = irfft(_complex(spectrum), n=p.length, axis=1, norm="forward")
        scan[p.order[low:high]] = lines[:, : p.columns]

    pool.each(rows, pool.cut(p.size, PIECE))
    pool.each(columns, _cut(half))
    for beyond, inside in _mirrored(cells):
        plane[:cells, beyond] = _opposite(plane[:cells, inside]).conj()
    grid[cells:] = grid[:HALO]
    pool.each(views, pool.cut(p.order.size, PIECE))


def backproject(p: Tables, scan: Array, slice_: Array) -> None:
    """The transpose of `project`: a scan (view, column), into a slice (y, x)."""
    cells, origin = p.cells, p.origin
    grid = _half_plane(cells)
    plane = _complex(grid)
    half = slice(LEFT, LEFT + cells // 2 + 1)
    spectrum = workspace.empty(p.order.size, p.length // 2 + 1, 2)

    def views(low: int, high: int) -> None:
        _complex(spectrum[low:high])[...] = rfft(scan[p.order[low:high]], n=p.length, axis=1)

    def bands(low: int, high: int) -> None:
        scatter_one(spectrum, p.coefficients, p.steps, p.weights, 0, p.length, low, high, grid)

    def columns(low: int, high: int) -> None:
        plane[:cells, low:high] = ifft(plane[:cells, low:high], axis=0, norm="forward")

    def rows(low: int, high: int) -> None:
        part = irfft(plane[origin + low : origin + high, half], n=cells, axis=1, norm="forward")
        np.multiply(part[:, origin : origin + p.size], _weights(p, low, high), out=slice_[low:high])

    pool.each(views, pool.cut(p.order.size, PIECE))
    pool.each(bands, pool.cut(cells + HALO, PIECE))
    grid[:HALO] += grid[cells:]
    for beyond, inside in _mirrored(cells):
        plane[:cells, inside] += _opposite(plane[:cells, beyond]).conj()
    # a real transform back counts all columns twice but these
    plane[:cells, LEFT :: cells // 2][:, :2] *= 2
    pool.each(columns, _cut(half))
    pool.each(rows, pool.cut(p.size, PIECE))


def _half_plane(cells: int) -> Array:
    """Zeros, complex: columns from x = -LEFT, HALO rows more, and what vectors reach beside the last column."""
    return workspace.zeros(cells + HALO, cells // 2 + 1 + BESIDE, 2)


def _cut(columns: slice) -> list[tuple[int, int]]:
    return [(columns.start + low, columns.start + high) for low, high in pool.cut(columns.stop - columns.start, PIECE)]


def _mirrored(cells: int) -> list[tuple[int, int]]:
    """Columns beside the half plane, and where in it that one lies which mirrors it."""
    middle, end = LEFT, LEFT + cells // 2
    return [(middle - i, middle + i) for i in range(1, LEFT + 1)] + [(end + i, end - i) for i in range(1, TAPS)]


def _opposite(column: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """A column at -y."""
    return np.roll(column[::-1], 1)


def _complex(pairs: Array) -> NDArray[np.complex64]:
    """(..., 2) float32 as complex numbers (...)."""
    result: NDArray[np.complex64] = pairs.view(np.complex64)[..., 0]
    return result


def _weights(p: Tables, low: int, high: int) -> Any:
    """What undoes the gridding kernel in rows [low, high) of a slice."""
    return p.spread_out[low:high, None] * p.spread_out
