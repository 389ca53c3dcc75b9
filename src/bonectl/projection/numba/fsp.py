"""The Fourier-slice projector of a parallel beam on the CPU, compiled with numba; the method is `projection.fsp`'s."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, ifft

from bonectl.core import pool
from bonectl.core.slabs import Array
from bonectl.projection.fsp import BLOCK, GRAIN, HALO, Tables
from bonectl.projection.numba import single, workspace
from bonectl.projection.numba.kernels_fsp import gather, pack_rows, pack_views, scatter, unpack_rows, unpack_views
from bonectl.projection.numba.vectors import LANES

# Views whose lines are held at a time by the transpose: the grid is gone through once for them.
VIEWS = 128
# Rows of the grid that one piece of work of the transpose owns.
BAND = 64


def _blocks(slices: int, block: int) -> list[tuple[int, int, int]]:
    """(first, last, lanes) of each block of pairs; the last one is padded to a multiple of `GRAIN` lanes."""
    return [(low, high, -(-(high - low) // GRAIN) * GRAIN) for low, high in pool.cut(slices - slices % 2, block)]


def _lanes(width: int) -> tuple[float, ...]:
    return LANES[16] if width % 16 == 0 else LANES[8]


def _complex(array: Array) -> NDArray[np.complex64]:
    return array.view(np.complex64)


def _transform(direction: Any, array: Array, axis: int) -> None:
    """A transform of complex lanes along an axis, in place and without scaling."""
    norm = "backward" if direction is fft else "forward"
    view = _complex(array)
    result = direction(view, axis=axis, norm=norm, overwrite_x=True)
    if not np.shares_memory(result, view):
        view[...] = result


def project(p: Tables, volume: Array) -> Array:
    """Line integrals (slice, view, column) of a volume (slice, y, x) in 1/cm."""
    scan = np.empty((volume.shape[0], p.order.size, p.columns), dtype=np.float32)
    for first, last, width in _blocks(volume.shape[0], BLOCK):
        _project(p, volume, first, last, width, scan)
    if volume.shape[0] % 2:  # by itself whatever comes before it, so that any cut into blocks gives the same bits
        single.project(p, volume[-1], scan[-1])
    return scan


def _project(p: Tables, volume: Array, first: int, last: int, width: int, scan: Array) -> None:
    cells, origin = p.cells, p.origin
    grid = workspace.zeros(cells + HALO, cells + HALO, width)
    lanes = _lanes(width)

    def rows(low: int, high: int) -> None:
        pack_rows(volume, first, last, low, high, p.spread_out, grid, origin)
        _transform(fft, grid[origin + low : origin + high, :cells], 1)

    def columns(low: int, high: int) -> None:
        _transform(fft, grid[:cells, low:high], 0)

    def views(low: int, high: int) -> None:
        spectrum = workspace.empty(high - low, p.length, width)
        gather(lanes, LANES[16], grid, p.coefficients, p.steps, p.weights, low, spectrum)
        _transform(ifft, spectrum, 1)
        unpack_views(spectrum, first, last, p.order, low, scan)

    pool.each(rows, pool.cut(p.size, 16))
    pool.each(columns, pool.cut(cells, 16))
    grid[:, cells:] = grid[:, :HALO]
    grid[cells:] = grid[:HALO]
    pool.each(views, pool.cut(p.order.size, 8))


def backproject(p: Tables, scan: Array) -> Array:
    """The transpose of `project`: (slice, view, column) to (slice, y, x)."""
    volume = np.empty((scan.shape[0], p.size, p.size), dtype=np.float32)
    for first, last, width in _blocks(scan.shape[0], BLOCK):
        _backproject(p, scan, first, last, width, volume)
    if scan.shape[0] % 2:
        single.backproject(p, scan[-1], volume[-1])
    return volume


def _backproject(p: Tables, scan: Array, first: int, last: int, width: int, volume: Array) -> None:
    cells, origin = p.cells, p.origin
    grid = workspace.zeros(cells + HALO, cells + HALO, width)
    lanes = _lanes(width)
    kept = workspace.empty(min(VIEWS, p.order.size), p.length, width)
    for begin, end in pool.cut(p.order.size, VIEWS):
        spectrum = kept[: end - begin]

        def views(low: int, high: int, begin: int = begin, spectrum: Array = spectrum) -> None:
            part = spectrum[low:high]
            pack_views(scan, first, last, p.order, begin + low, 0, part)
            _transform(fft, part, 1)

        def bands(low: int, high: int, begin: int = begin, spectrum: Array = spectrum) -> None:
            scatter(lanes, LANES[16], spectrum, p.coefficients, p.steps, p.weights, begin, low, high, grid)

        pool.each(views, pool.cut(end - begin, 8))
        pool.each(bands, pool.cut(cells + HALO, BAND))

    def columns(low: int, high: int) -> None:
        _transform(ifft, grid[:cells, low:high], 0)

    def rows(low: int, high: int) -> None:
        _transform(ifft, grid[origin + low : origin + high, :cells], 1)
        unpack_rows(grid, origin, first, last, low, high, p.spread_out, volume)

    grid[:HALO] += grid[cells:]
    grid[:, :HALO] += grid[:, cells:]
    pool.each(columns, pool.cut(cells, 16))
    pool.each(rows, pool.cut(p.size, 16))
