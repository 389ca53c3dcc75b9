"""Gridding of one slice and its transpose, where there is no second slice to share positions and vectors with.

The cells of a row lie side by side in a vector in place of slices. A slice is real, so that half of each line is
enough: frequencies from 0 up; the others are their conjugates.
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

import numpy as np
from numba import njit

from bonectl.projection.fsp import HALO, TAPS
from bonectl.projection.numba.kernels_gridding import CHUNK, interpolate_one, lane, place, spread_one, taps
from bonectl.projection.numba.lines import reached, turns

# Samples between one and the next that is worked on: those that follow each other on a line share cells, and a
# processor waits for what it has just written in another alignment.
APART = 16


@njit(cache=True, nogil=True)
def gather_one(grid, coefficients, steps, weights, low, length, spectrum):  # type: ignore[no-untyped-def]
    """As `bonectl.projection.numba.kernels_fsp.gather` of one slice.

    Parameters
    ----------
    grid : (cells + HALO, cells + WIDE - 1, 2) float32
        Spectrum of the plane, complex, first cells repeated behind the last.
    length : int
        Samples of a line.
    spectrum : (lines, length // 2 + 1, 2) float32
        Result, complex: what a real transform back takes.
    """
    cells = grid.shape[0] - HALO
    flat, row = grid.ravel(), 2 * grid.shape[1]
    top = weights.shape[1] - 1
    fractions = np.empty((2, CHUNK), np.float32)
    bases, inside = np.empty((2, CHUNK), np.int32), np.empty((2, CHUNK), np.int32)
    spectrum[:] = np.float32(0.0)
    for a in range(spectrum.shape[0]):
        line = spectrum[a]
        for begin in range(0, top + 1, CHUNK):
            count = min(CHUNK, top + 1 - begin)
            place(begin, count, steps[low + a, 0], steps[low + a, 1], cells, fractions, bases, inside)
            for k in range(count):
                m = begin + k
                parity = np.float32(1 - 2 * ((bases[0, k] + bases[1, k]) & 1))
                x, y = taps(coefficients, fractions[0, k]), taps(coefficients, fractions[1, k])
                start = np.int64(inside[1, k]) * row + 2 * np.int64(inside[0, k])
                cell = interpolate_one(flat, start, row, x, y)
                real, imag = weights[low + a, m, 0] * parity, weights[low + a, m, 1] * parity
                here = lane(cell, 0) * real - lane(cell, 1) * imag
                beside = lane(cell, 0) * imag + lane(cell, 1) * real
                if 2 * m <= length:
                    line[m, 0] += here
                    line[m, 1] += beside
                if 0 < length - m <= length // 2:
                    line[length - m, 0] += here
                    line[length - m, 1] -= beside


@njit(cache=True, nogil=True)
def scatter_one(spectrum, coefficients, steps, weights, low, length, band_low, band_high, grid):  # type: ignore[no-untyped-def]
    """Half of the transpose of `gather_one` for rows [band_low, band_high): the real part of its transform counts."""
    cells = grid.shape[0] - HALO
    flat, row = grid.ravel(), 2 * grid.shape[1]
    top = weights.shape[1] - 1
    first_base, last_base = max(band_low - HALO, 0), min(band_high, cells) - 1
    fractions = np.empty((2, CHUNK), np.float32)
    bases, inside = np.empty((2, CHUNK), np.int32), np.empty((2, CHUNK), np.int32)
    for a in range(spectrum.shape[0]):
        line = spectrum[a]
        step_x, step_y = steps[low + a, 0], steps[low + a, 1]
        lowest, highest = turns(step_y, top, cells)
        for period in range(lowest, highest + 1):
            begin, end = reached(step_y, top, first_base + period * cells, last_base + period * cells)
            for first in range(max(begin, 0), end + 1, CHUNK):
                count = min(CHUNK, end + 1 - first)
                place(first, count, step_x, step_y, cells, fractions, bases, inside)
                for offset in range(APART):
                    for k in range(offset, count, APART):
                        base = bases[1, k] - period * cells
                        if base < first_base or base > last_base:
                            continue
                        m = first + k
                        factor = np.float32(1 - 2 * ((bases[0, k] + bases[1, k]) & 1))
                        if m == 0:
                            factor *= np.float32(0.5)
                        real, imag = weights[low + a, m, 0] * factor, -weights[low + a, m, 1] * factor
                        here, beside = line[min(m, length - m), 0], line[min(m, length - m), 1]
                        if 2 * m > length:
                            beside = -beside
                        x, y = taps(coefficients, fractions[0, k]), taps(coefficients, fractions[1, k])
                        start = base * row + 2 * np.int64(inside[0, k])
                        rows = max(0, band_low - base), min(TAPS, band_high - base)
                        value = here * real - beside * imag, here * imag + beside * real
                        spread_one(flat, start, row, x, y, rows[0], rows[1], value[0], value[1])
