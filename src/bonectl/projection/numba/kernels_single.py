"""Gridding of one slice and its transpose, where there is no second slice to share positions and vectors with.

The cells of a row lie side by side in a vector in place of slices. A slice is real, so that half of each line is
enough, frequencies from 0 up, and half of the plane, from x = 0 up: the others are their conjugates. A sample on the
left is worked on as the one on the right that mirrors it.
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from math import ceil

import numpy as np
from numba import njit

from bonectl.projection.fsp import HALO, TAPS
from bonectl.projection.numba.kernels_gridding import CHUNK, WIDE, interpolate_one, lane, place, spread_one, taps
from bonectl.projection.numba.lines import reached, turns

# Columns left of x = 0 that the kernel of a sample on the right reaches, and cells beside the half that vectors reach.
LEFT = TAPS // 2
BESIDE = LEFT + WIDE


@njit(cache=True, nogil=True)
def halves(step, top, cells):  # type: ignore[no-untyped-def]
    """Halves of the grid that samples 0 to `top` go through, `step` >= 0 cells apart."""
    return int(2 * top * step / cells) + 1


@njit(cache=True, nogil=True)
def within(half, count, step, top, cells):  # type: ignore[no-untyped-def]
    """The first and the last sample in one of `count` halves of the grid."""
    first = 0 if half == 0 else ceil(half * cells / (2 * step))
    last = top if half == count - 1 else ceil((half + 1) * cells / (2 * step)) - 1
    return first, last


@njit(cache=True, nogil=True)
def fold(count, half, cells, bases, fractions, columns):  # type: ignore[no-untyped-def]
    """The first column of each sample's cells in the half that is kept; in every other half the cells are mirrored."""
    for k in range(count):
        if half & 1:
            columns[k] = LEFT + (half + 1) // 2 * cells - bases[0, k] - (TAPS - 1)
            fractions[0, k] = np.float32(1.0) - fractions[0, k]
        else:
            columns[k] = LEFT + bases[0, k] - half // 2 * cells


@njit(cache=True, nogil=True)
def gather_one(grid, coefficients, steps, weights, low, length, spectrum):  # type: ignore[no-untyped-def]
    """As `bonectl.projection.numba.kernels_fsp.gather` of one slice.

    Parameters
    ----------
    grid : (cells + HALO, cells // 2 + 1 + BESIDE, 2) float32
        Right half of the plane's spectrum, complex, from x = -LEFT; first rows repeated behind the last.
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
    columns = np.empty(CHUNK, np.int64)
    spectrum[:] = np.float32(0.0)
    for a in range(spectrum.shape[0]):
        line = spectrum[a]
        step_x, step_y = abs(steps[low + a, 0]), steps[low + a, 1]
        count = halves(step_x, top, cells)
        for half in range(count):
            side = np.float32(1.0) if (half & 1 == 0) == (steps[low + a, 0] >= 0) else np.float32(-1.0)
            start, stop = within(half, count, step_x, top, cells)
            for begin in range(start, stop + 1, CHUNK):
                part = min(CHUNK, stop + 1 - begin)
                place(begin, part, step_x, side * step_y, cells, fractions, bases, inside)
                fold(part, half, cells, bases, fractions, columns)
                for k in range(part):
                    m = begin + k
                    parity = np.float32(1 - 2 * ((bases[0, k] + bases[1, k]) & 1))
                    x, y = taps(coefficients, fractions[0, k]), taps(coefficients, fractions[1, k])
                    cell = interpolate_one(flat, np.int64(inside[1, k]) * row + 2 * columns[k], row, x, y)
                    real, imag = weights[low + a, m, 0] * parity, weights[low + a, m, 1] * parity
                    there, across = lane(cell, 0), side * lane(cell, 1)
                    here = there * real - across * imag
                    beside = there * imag + across * real
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
    columns = np.empty(CHUNK, np.int64)
    for a in range(spectrum.shape[0]):
        line = spectrum[a]
        step_x = abs(steps[low + a, 0])
        count = halves(step_x, top, cells)
        for half in range(count):
            side = np.float32(1.0) if (half & 1 == 0) == (steps[low + a, 0] >= 0) else np.float32(-1.0)
            step_y = side * steps[low + a, 1]
            start, stop = within(half, count, step_x, top, cells)
            lowest, highest = turns(step_y, top, cells)
            for period in range(lowest, highest + 1):
                begin, end = reached(step_y, top, first_base + period * cells, last_base + period * cells)
                begin, end = max(begin, start), min(end, stop)
                for first in range(begin, end + 1, CHUNK):
                    part = min(CHUNK, end + 1 - first)
                    place(first, part, step_x, step_y, cells, fractions, bases, inside)
                    fold(part, half, cells, bases, fractions, columns)
                    for k in range(part):
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
                        rows = max(0, band_low - base), min(TAPS, band_high - base)
                        value = here * real - beside * imag, side * (here * imag + beside * real)
                        spread_one(flat, base * row + 2 * columns[k], row, x, y, rows[0], rows[1], value[0], value[1])
