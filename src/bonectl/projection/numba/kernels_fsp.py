"""Compiled steps of the Fourier-slice projector: packing, gridding and its transpose.

A block of slices is stored with the slices innermost, and two neighbouring slices are the real and imaginary part
of one complex number. The operator is real, so both halves pass through the complex transforms without mixing.
Every kernel works on a range of rows, views or bands, and is called for fixed ranges by `bonectl.projection.fsp`.
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

import numpy as np
from numba import njit

from bonectl.projection.fsp import HALO, TAPS
from bonectl.projection.numba.kernels_gridding import CHUNK, interpolate, place, spread, spread_all, weigh
from bonectl.projection.numba.lines import reached, turns
from bonectl.projection.numba.turning import turn
from bonectl.projection.numba.vectors import add, load, rotate, store, times


@njit(cache=True, nogil=True)
def pack_rows(volume, first, last, low, high, spread_out, grid, origin):  # type: ignore[no-untyped-def]
    """Rows [low, high) of slices [first, last) into the grid, times `spread_out` of row and column.

    volume (slice, y, x); grid (rows, cells, lanes), of which columns outside the image and lanes without a slice
    become 0.
    """
    size, count = volume.shape[2], last - first
    values, cells = volume.ravel(), grid.ravel()
    width = grid.shape[2]
    for y in range(low, high):
        row = grid[origin + y]
        row[:origin] = np.float32(0.0)
        row[origin + size :] = np.float32(0.0)
        row[origin : origin + size, count:] = np.float32(0.0)
        to = ((origin + y) * grid.shape[1] + origin) * width
        turn(values, (first * size + y) * size, size * size, count, size, cells, to, width)
        for x in range(size):
            row[origin + x] *= spread_out[y] * spread_out[x]


@njit(cache=True, nogil=True)
def unpack_rows(grid, origin, first, last, low, high, spread_out, volume):  # type: ignore[no-untyped-def]
    """The transpose of `pack_rows`; what it takes of the grid is weighted in place."""
    size, count = volume.shape[2], last - first
    values, cells = volume.ravel(), grid.ravel()
    width = grid.shape[2]
    for y in range(low, high):
        row = grid[origin + y]
        for x in range(size):
            row[origin + x] *= spread_out[y] * spread_out[x]
        at = ((origin + y) * grid.shape[1] + origin) * width
        turn(cells, at, width, size, count, values, (first * size + y) * size, size * size)


@njit(cache=True, nogil=True)
def unpack_views(spectrum, first, last, order, low, scan):  # type: ignore[no-untyped-def]
    """Real lines (view, column, lane) into scan (slice, view, column); `order` names the view of a line."""
    views, columns = scan.shape[1:]
    values, lines = scan.ravel(), spectrum.ravel()
    width = spectrum.shape[2]
    for a in range(spectrum.shape[0]):
        to = (first * views + order[low + a]) * columns
        turn(lines, a * spectrum.shape[1] * width, width, columns, last - first, values, to, views * columns)


@njit(cache=True, nogil=True)
def pack_views(scan, first, last, order, low, margin, spectrum):  # type: ignore[no-untyped-def]
    """The transpose of `unpack_views`, from column `margin` of the lines on; all else in them becomes 0."""
    count = last - first
    views, columns = scan.shape[1:]
    values, lines = scan.ravel(), spectrum.ravel()
    width = spectrum.shape[2]
    for a in range(spectrum.shape[0]):
        spectrum[a, :margin] = np.float32(0.0)
        spectrum[a, margin + columns :] = np.float32(0.0)
        spectrum[a, margin : margin + columns, count:] = np.float32(0.0)
        at = (first * views + order[low + a]) * columns
        to = (a * spectrum.shape[1] + margin) * width
        turn(values, at, views * columns, count, columns, lines, to, width)


@njit(cache=True, nogil=True)
def gather(lanes, side_by_side, grid, coefficients, steps, weights, low, spectrum):  # type: ignore[no-untyped-def]
    """Sample the plane's spectrum along the lines of views low, low + 1, ...; fold the first alias in.

    Parameters
    ----------
    lanes, side_by_side : tuple
        Their lengths are the widths of the vectors of slices, and of gridding weights.
    grid : (cells + HALO, cells + HALO, width) float32
        Spectrum of the plane, complex lanes, first cells repeated behind the last.
    steps : (views, 2) float64
        Step of a line (x, y) per frequency [cells].
    weights : (views, frequencies, 2) float32
        Complex weight of frequencies 0, 1, ...; those of negative ones are the conjugates.
    spectrum : (lines, length, width) float32
        Result, complex lanes, in FFT order.
    """
    cells = grid.shape[0] - HALO
    width, length = spectrum.shape[2], spectrum.shape[1]
    top = weights.shape[1] - 1
    flat, lines = grid.ravel(), spectrum.ravel()
    row = grid.shape[1] * width
    fractions = np.empty((2, CHUNK), np.float32)
    bases, inside = np.empty((2, CHUNK), np.int32), np.empty((2, CHUNK), np.int32)
    table = np.empty((2 * TAPS, CHUNK), np.float32)
    for q in range(top + 1, length - top):
        spectrum[:, q] = np.float32(0.0)
    for sign in (1, -1):
        for begin in range(0 if sign > 0 else 1, top + 1, CHUNK):
            count = min(CHUNK, top + 1 - begin)
            for a in range(spectrum.shape[0]):
                step_x, step_y = sign * steps[low + a, 0], sign * steps[low + a, 1]
                place(begin, count, step_x, step_y, cells, fractions, bases, inside)
                weigh(side_by_side, count, coefficients, fractions, table)
                for k in range(count):
                    m = begin + k
                    # the image sits in the middle of its grid, which alternates the signs of its spectrum
                    parity = np.float32(1 - 2 * ((bases[0, k] + bases[1, k]) & 1))
                    real = weights[low + a, m, 0] * parity
                    imag = weights[low + a, m, 1] * parity * np.float32(sign)
                    start = np.int64(inside[1, k]) * row + np.int64(inside[0, k]) * width
                    target = (a * length + (m if sign > 0 else length - m)) * width
                    for z in range(0, width, len(lanes)):
                        value = rotate(interpolate(lanes, flat, start + z, row, width, table, k), real, imag)
                        if sign < 0 and length - m <= top:
                            value = add(value, load(lanes, lines, target + z))
                        store(lines, target + z, value)


@njit(cache=True, nogil=True)
def scatter(lanes, side_by_side, spectrum, coefficients, steps, weights, low, band_low, band_high, grid):  # type: ignore[no-untyped-def]
    """The transpose of `gather` for rows [band_low, band_high) of the grid: what the lines add to them."""
    cells = grid.shape[0] - HALO
    width, length = spectrum.shape[2], spectrum.shape[1]
    top = weights.shape[1] - 1
    flat, lines = grid.ravel(), spectrum.ravel()
    row = grid.shape[1] * width
    first_base, last_base = max(band_low - HALO, 0), min(band_high, cells) - 1
    fractions = np.empty((2, CHUNK), np.float32)
    bases, inside = np.empty((2, CHUNK), np.int32), np.empty((2, CHUNK), np.int32)
    table = np.empty((2 * TAPS, CHUNK), np.float32)
    for a in range(spectrum.shape[0]):
        step_x, step_y = steps[low + a, 0], steps[low + a, 1]
        lowest, highest = turns(step_y, top, cells)
        for period in range(lowest, highest + 1):
            begin, end = reached(step_y, top, first_base + period * cells, last_base + period * cells)
            for first in range(begin, end + 1, CHUNK):
                count = min(CHUNK, end + 1 - first)
                place(first, count, step_x, step_y, cells, fractions, bases, inside)
                weigh(side_by_side, count, coefficients, fractions, table)
                for k in range(count):
                    base = bases[1, k] - period * cells
                    if base < first_base or base > last_base:
                        continue
                    m = first + k
                    parity = np.float32(1 - 2 * ((bases[0, k] + bases[1, k]) & 1))
                    real = weights[low + a, abs(m), 0] * parity
                    imag = weights[low + a, abs(m), 1] * parity
                    if m >= 0:
                        imag = -imag
                    source = (a * length + (m if m >= 0 else length + m)) * width
                    start = base * row + np.int64(inside[0, k]) * width
                    rows_low, rows_high = max(0, band_low - base), min(TAPS, band_high - base)
                    for z in range(0, width, len(lanes)):
                        value = rotate(load(lanes, lines, source + z), real, imag)
                        if rows_high - rows_low == TAPS:
                            spread_all(flat, start + z, row, width, table, k, value)
                            continue
                        for j in range(rows_low, rows_high):
                            scaled = times(value, table[TAPS + j, k])
                            spread(flat, start + j * row + z, width, table, k, scaled)
