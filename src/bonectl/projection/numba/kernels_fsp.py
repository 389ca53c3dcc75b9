"""Compiled steps of the Fourier-slice projector: packing, gridding and its transpose.

A block of slices is stored with the slices innermost, and two neighbouring slices are the real and imaginary part
of one complex number. The operator is real, so both halves pass through the complex transforms without mixing.
Every kernel works on a range of rows, views or bands, and is called for fixed ranges by `bonectl.projection.fsp`.
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from math import ceil, floor
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from bonectl.projection.fsp import DEGREE, HALF, HALO, TAPS
from bonectl.projection.numba.vectors import (
    INDEX,
    FloatVector,
    add,
    address,
    load,
    multiply_add,
    read,
    rotate,
    splat,
    store,
)


@intrinsic
def taps(_context: Any, coefficients: Any, where: Any) -> Any:
    """The `TAPS` gridding weights at fraction `where` of a cell, in the first lanes of a vector of 8.

    `coefficients` is (degree + 1, 8) float32, highest power first (Horner).
    """
    kind = FloatVector(8)

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        array, x = signature.args[0], splat(builder, values[1], kind.llvm)

        def row(power: int) -> Any:
            at = cgutils.intp_t(8 * power)
            return read(builder, address(context, builder, array, values[0], at, kind.llvm))

        value = row(0)
        for power in range(1, DEGREE + 1):
            value = multiply_add(builder, value, x, row(power))
        return value

    return kind(coefficients, types.float32), code


def _lane(builder: Any, vector: Any, lane: int, wide: ir.VectorType) -> Any:
    return splat(builder, builder.extract_element(vector, INDEX(lane)), wide)


@intrinsic
def interpolate(_context: Any, lanes: Any, grid: Any, offset: Any, row: Any, cell: Any, across: Any, along: Any) -> Any:
    """The weighted sum of `TAPS` x `TAPS` cells from float `offset` of a grid; row and cell are strides."""
    kind = FloatVector(lanes.count)

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, grid_value, start, row_step, cell_step, x, y = values
        array = signature.args[1]
        wide = kind.llvm
        columns = [_lane(builder, x, i, wide) for i in range(TAPS)]
        total = ir.Constant(wide, None)
        for j in range(TAPS):
            line = None
            for i in range(TAPS):
                at = builder.add(
                    start,
                    builder.add(builder.mul(row_step, row_step.type(j)), builder.mul(cell_step, cell_step.type(i))),
                )
                value = read(builder, address(context, builder, array, grid_value, at, wide))
                if line is None:
                    line = builder.fmul(value, columns[i])
                else:
                    line = multiply_add(builder, value, columns[i], line)
            total = multiply_add(builder, line, _lane(builder, y, j, wide), total)
        return total

    integer = types.intp
    return kind(lanes, grid, integer, integer, integer, across, along), code


@intrinsic
def spread(_context: Any, grid: Any, offset: Any, cell: Any, across: Any, weight: Any, value: Any) -> Any:
    """Add ``weight * across[i] * value`` to `TAPS` cells in a row: one row of the transpose of `interpolate`."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        grid_value, start, cell_step, x, y, vector = values
        array, wide = signature.args[0], value.llvm
        scaled = builder.fmul(vector, splat(builder, y, wide))
        for i in range(TAPS):
            at = builder.add(start, builder.mul(cell_step, cell_step.type(i)))
            where = address(context, builder, array, grid_value, at, wide)
            total = multiply_add(builder, scaled, _lane(builder, x, i, wide), read(builder, where))
            builder.store(total, where).align = 4
        return context.get_dummy_value()

    return types.void(grid, types.intp, types.intp, across, types.float32, value), code


@intrinsic
def spread_all(_context: Any, grid: Any, offset: Any, row: Any, cell: Any, across: Any, along: Any, value: Any) -> Any:
    """Add ``along[j] * across[i] * value`` to `TAPS` x `TAPS` cells: the transpose of `interpolate`."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        grid_value, start, row_step, cell_step, x, y, vector = values
        array, wide = signature.args[0], value.llvm
        columns = [_lane(builder, x, i, wide) for i in range(TAPS)]
        for j in range(TAPS):
            scaled = builder.fmul(vector, _lane(builder, y, j, wide))
            at = builder.add(start, builder.mul(row_step, row_step.type(j)))
            for i in range(TAPS):
                here = builder.add(at, builder.mul(cell_step, cell_step.type(i)))
                where = address(context, builder, array, grid_value, here, wide)
                total = multiply_add(builder, scaled, columns[i], read(builder, where))
                builder.store(total, where).align = 4
        return context.get_dummy_value()

    return types.void(grid, types.intp, types.intp, types.intp, across, along, value), code


@intrinsic
def lane(_context: Any, vector: Any, index: Any) -> Any:
    """One lane of a vector."""

    def code(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.extract_element(values[0], builder.trunc(values[1], INDEX))

    return types.float32(vector, types.intp), code


# Slices lie a power of two apart in memory, so that pixels of all slices at one place compete for one cache set:
# runs of this many neighbours are copied slice by slice.
RUN = 16


@njit(cache=True, nogil=True)
def pack_rows(volume, first, last, low, high, spread_out, grid, origin):  # type: ignore[no-untyped-def]
    """Rows [low, high) of slices [first, last) into the grid, times `spread_out` of row and column.

    volume (slice, y, x); grid (rows, cells, lanes), of which columns outside the image and lanes without a slice
    become 0.
    """
    size = volume.shape[2]
    count = last - first
    for y in range(low, high):
        row = grid[origin + y]
        row[:origin] = np.float32(0.0)
        row[origin + size :] = np.float32(0.0)
        for begin in range(0, size, RUN):
            end = min(begin + RUN, size)
            for z in range(count):
                for x in range(begin, end):
                    row[origin + x, z] = volume[first + z, y, x] * (spread_out[y] * spread_out[x])
            row[origin + begin : origin + end, count:] = np.float32(0.0)


@njit(cache=True, nogil=True)
def unpack_rows(grid, origin, first, last, low, high, spread_out, volume):  # type: ignore[no-untyped-def]
    """The transpose of `pack_rows`."""
    size = volume.shape[2]
    for y in range(low, high):
        row = grid[origin + y]
        for begin in range(0, size, RUN):
            end = min(begin + RUN, size)
            for z in range(last - first):
                for x in range(begin, end):
                    volume[first + z, y, x] = row[origin + x, z] * (spread_out[y] * spread_out[x])


@njit(cache=True, nogil=True)
def unpack_views(spectrum, first, last, order, low, scan):  # type: ignore[no-untyped-def]
    """Real lines (view, column, lane) into scan (slice, view, column); `order` names the view of a line."""
    columns = scan.shape[2]
    for a in range(spectrum.shape[0]):
        view = order[low + a]
        line = spectrum[a]
        for begin in range(0, columns, RUN):
            end = min(begin + RUN, columns)
            for z in range(last - first):
                for column in range(begin, end):
                    scan[first + z, view, column] = line[column, z]


@njit(cache=True, nogil=True)
def pack_views(scan, first, last, order, low, spectrum):  # type: ignore[no-untyped-def]
    """The transpose of `unpack_views`: columns outside the detector and lanes without a slice become 0."""
    count = last - first
    columns = scan.shape[2]
    for a in range(spectrum.shape[0]):
        view = order[low + a]
        line = spectrum[a]
        line[columns:] = np.float32(0.0)
        for begin in range(0, columns, RUN):
            end = min(begin + RUN, columns)
            for z in range(count):
                for column in range(begin, end):
                    line[column, z] = scan[first + z, view, column]
            line[begin:end, count:] = np.float32(0.0)


@njit(cache=True, nogil=True, inline="always")
def _base(position):  # type: ignore[no-untyped-def]
    """The first of the `TAPS` cells around a position [cells], before wrapping."""
    return int(ceil(position - HALF))


@njit(cache=True, nogil=True)
def gather(lanes, grid, coefficients, steps, weights, low, spectrum):  # type: ignore[no-untyped-def]
    """Sample the plane's spectrum along the lines of views low, low + 1, ...; fold the first alias in.

    Parameters
    ----------
    lanes : tuple
        Its length is the width of the vectors.
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
    width = spectrum.shape[2]
    length = spectrum.shape[1]
    top = weights.shape[1] - 1
    flat = grid.ravel()
    lines = spectrum.ravel()
    row = grid.shape[1] * width
    span = len(lanes)
    tile = 64
    count = spectrum.shape[0]
    for q in range(top + 1, length - top):
        spectrum[:, q] = np.float32(0.0)
    for sign in (1, -1):
        for begin in range(0 if sign > 0 else 1, top + 1, tile):
            for a in range(count):
                step_x = steps[low + a, 0]
                step_y = steps[low + a, 1]
                for m in range(begin, min(begin + tile, top + 1)):
                    at_x = sign * m * step_x
                    at_y = sign * m * step_y
                    base_x = _base(at_x)
                    base_y = _base(at_y)
                    x = taps(coefficients, np.float32(base_x - at_x + HALF))
                    y = taps(coefficients, np.float32(base_y - at_y + HALF))
                    # the image sits in the middle of its grid, which alternates the signs of its spectrum
                    parity = np.float32(1 - 2 * ((base_x + base_y) & 1))
                    real = weights[low + a, m, 0] * parity
                    imag = weights[low + a, m, 1] * parity * np.float32(sign)
                    start = (base_y - cells * int(floor(base_y / cells))) * row + (
                        base_x - cells * int(floor(base_x / cells))
                    ) * width
                    target = (a * length + (m if sign > 0 else length - m)) * width
                    for z in range(0, width, span):
                        value = rotate(interpolate(lanes, flat, start + z, row, width, x, y), real, imag)
                        if sign < 0 and length - m <= top:
                            value = add(value, load(lanes, lines, target + z))
                        store(lines, target + z, value)


@njit(cache=True, nogil=True, inline="always")
def _reached(step, top, first, last):  # type: ignore[no-untyped-def]
    """Frequencies within [-top, top], `step` cells apart, among which are all whose base lies in [first, last]."""
    begin, end = -top, top
    if abs(step) * top > 1e-6:
        one = (first - 1 + HALF) / step
        two = (last + HALF) / step
        begin = int(max(-top, floor(min(one, two)) - 1))
        end = int(min(top, ceil(max(one, two)) + 1))
    return begin, end


@njit(cache=True, nogil=True)
def scatter(lanes, spectrum, coefficients, steps, weights, low, band_low, band_high, grid):  # type: ignore[no-untyped-def]
    """The transpose of `gather` for rows [band_low, band_high) of the grid: what the lines add to them."""
    cells = grid.shape[0] - HALO
    width = spectrum.shape[2]
    length = spectrum.shape[1]
    top = weights.shape[1] - 1
    flat = grid.ravel()
    lines = spectrum.ravel()
    row = grid.shape[1] * width
    span = len(lanes)
    first_base = max(band_low - HALO, 0)
    last_base = min(band_high, cells) - 1
    for a in range(spectrum.shape[0]):
        step_x = steps[low + a, 0]
        step_y = steps[low + a, 1]
        reach = abs(top * step_y)
        for turn in range(int(floor(_base(-reach) / cells)), int(floor(_base(reach) / cells)) + 1):
            shift = turn * cells
            begin, end = _reached(step_y, top, first_base + shift, last_base + shift)
            for m in range(begin, end + 1):
                at_y = m * step_y
                base_y = _base(at_y)
                inside = base_y - shift
                if inside < first_base or inside > last_base:
                    continue
                at_x = m * step_x
                base_x = _base(at_x)
                x = taps(coefficients, np.float32(base_x - at_x + HALF))
                y = taps(coefficients, np.float32(base_y - at_y + HALF))
                parity = np.float32(1 - 2 * ((base_x + base_y) & 1))
                real = weights[low + a, abs(m), 0] * parity
                imag = weights[low + a, abs(m), 1] * parity
                if m >= 0:
                    imag = -imag
                source = (a * length + (m if m >= 0 else length + m)) * width
                start = (base_x - cells * int(floor(base_x / cells))) * width + inside * row
                if inside >= band_low and inside + TAPS <= band_high:
                    for z in range(0, width, span):
                        value = rotate(load(lanes, lines, source + z), real, imag)
                        spread_all(flat, start + z, row, width, x, y, value)
                    continue
                for z in range(0, width, span):
                    value = rotate(load(lanes, lines, source + z), real, imag)
                    for j in range(max(0, band_low - inside), min(TAPS, band_high - inside)):
                        spread(flat, start + j * row + z, width, x, lane(y, j), value)
