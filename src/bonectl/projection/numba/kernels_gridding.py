"""Where the samples of a line lie on a grid, their gridding weights, and what goes through those weights.

Positions and weights are shared by all slices. They are computed for `CHUNK` samples at a time, side by side in
vectors: sample by sample they took as long as sixteen slices.
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from bonectl.projection.fsp import DEGREE, HALF, TAPS
from bonectl.projection.numba.vectors import (
    INDEX,
    FloatVector,
    address,
    load,
    multiply_add,
    multiply_add_all,
    read,
    repeat,
    splat,
    store,
)

# Samples whose positions and weights are held at a time.
CHUNK = 128
# A line that is worked on by one slice is a row of `WIDE` cells, complex: `TAPS` of them count.
WIDE = 8


def _weight(builder: Any, data: Any, sample: Any, tap: int) -> Any:
    return builder.load(builder.gep(data, [builder.add(sample, sample.type(CHUNK * tap))]))


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


@intrinsic
def interpolate(
    _context: Any, lanes: Any, grid: Any, offset: Any, row: Any, cell: Any, weights: Any, sample: Any
) -> Any:
    """The weighted sum of `TAPS` x `TAPS` cells from float `offset` of a grid; row and cell are strides.

    `weights` is the table of `weigh`, and `sample` says whose.
    """
    kind = FloatVector(lanes.count)

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, grid_value, start, row_step, cell_step, table, at_sample = values
        array, wide = signature.args[1], kind.llvm
        data = _data(context, builder, signature.args[5], table)
        columns = [splat(builder, _weight(builder, data, at_sample, i), wide) for i in range(TAPS)]
        total = ir.Constant(wide, None)
        for j in range(TAPS):
            at = builder.add(start, builder.mul(row_step, row_step.type(j)))
            line = None
            for i in range(TAPS):
                here = builder.add(at, builder.mul(cell_step, cell_step.type(i)))
                value = read(builder, address(context, builder, array, grid_value, here, wide))
                if line is None:
                    line = builder.fmul(value, columns[i])
                else:
                    line = multiply_add(builder, value, columns[i], line)
            weight = splat(builder, _weight(builder, data, at_sample, TAPS + j), wide)
            total = multiply_add(builder, line, weight, total)
        return total

    integer = types.intp
    return kind(lanes, grid, integer, integer, integer, weights, integer), code


@intrinsic
def spread(_context: Any, grid: Any, offset: Any, cell: Any, weights: Any, sample: Any, value: Any) -> Any:
    """Add a value to `TAPS` cells in a row, weighted across: one row of the transpose of `interpolate`."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        grid_value, start, cell_step, table, at_sample, vector = values
        array, wide = signature.args[0], value.llvm
        data = _data(context, builder, signature.args[3], table)
        for i in range(TAPS):
            at = builder.add(start, builder.mul(cell_step, cell_step.type(i)))
            where = address(context, builder, array, grid_value, at, wide)
            weight = splat(builder, _weight(builder, data, at_sample, i), wide)
            builder.store(multiply_add(builder, vector, weight, read(builder, where)), where).align = 4
        return context.get_dummy_value()

    return types.void(grid, types.intp, types.intp, weights, types.intp, value), code


@intrinsic
def spread_all(
    _context: Any, grid: Any, offset: Any, row: Any, cell: Any, weights: Any, sample: Any, value: Any
) -> Any:
    """Add a value to `TAPS` x `TAPS` cells: the transpose of `interpolate`."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        grid_value, start, row_step, cell_step, table, at_sample, vector = values
        array, wide = signature.args[0], value.llvm
        data = _data(context, builder, signature.args[4], table)
        columns = [splat(builder, _weight(builder, data, at_sample, i), wide) for i in range(TAPS)]
        for j in range(TAPS):
            scaled = builder.fmul(vector, splat(builder, _weight(builder, data, at_sample, TAPS + j), wide))
            at = builder.add(start, builder.mul(row_step, row_step.type(j)))
            for i in range(TAPS):
                here = builder.add(at, builder.mul(cell_step, cell_step.type(i)))
                where = address(context, builder, array, grid_value, here, wide)
                total = multiply_add(builder, scaled, columns[i], read(builder, where))
                builder.store(total, where).align = 4
        return context.get_dummy_value()

    return types.void(grid, types.intp, types.intp, types.intp, weights, types.intp, value), code


@njit(cache=True, nogil=True)
def place(first, count, step_x, step_y, cells, fractions, bases, inside):  # type: ignore[no-untyped-def]
    """Where samples first, first + 1, ... of a line lie.

    The cells of a sample on the other side of the middle are the mirrored ones, even where it lies midway between two:
    then the spectrum of a real slice is that of a real line, and nothing leaks into the slice that it is paired with.

    Parameters
    ----------
    step_x, step_y : float
        From one sample to the next [cells].
    fractions : (2, CHUNK) float32
        Becomes the part of a cell between a position and its first cell, in x and y.
    bases : (2, CHUNK) int32
        Becomes the first of the `TAPS` cells in x and y, before wrapping.
    inside : (2, CHUNK) int32
        Becomes that cell on the grid.
    """
    for k in range(count):
        at_x, at_y = (first + k) * step_x, (first + k) * step_y
        x, y = np.ceil(abs(at_x) - HALF), np.ceil(abs(at_y) - HALF)
        x, y = x if at_x >= 0 else 1 - TAPS - x, y if at_y >= 0 else 1 - TAPS - y
        fractions[0, k], fractions[1, k] = np.float32(x - at_x + HALF), np.float32(y - at_y + HALF)
        bases[0, k], bases[1, k] = np.int32(x), np.int32(y)
        inside[0, k] = np.int32(x - cells * np.floor(x / cells))
        inside[1, k] = np.int32(y - cells * np.floor(y / cells))


@njit(cache=True, nogil=True)
def weigh(lanes, count, coefficients, fractions, weights):  # type: ignore[no-untyped-def]
    """The gridding weights at fractions of a cell (Horner): `weights` (2 TAPS, CHUNK), first across, then along.

    `coefficients` is (degree + 1, 8) float32, highest power first.
    """
    places, table = fractions.ravel(), weights.ravel()
    for axis in range(2):
        for tap in range(TAPS):
            for k in range(0, count, len(lanes)):
                x = load(lanes, places, axis * CHUNK + k)
                value = repeat(lanes, coefficients[0, tap])
                for power in range(1, DEGREE + 1):
                    value = multiply_add_all(value, x, repeat(lanes, coefficients[power, tap]))
                store(table, (axis * TAPS + tap) * CHUNK + k, value)


@intrinsic
def taps(_context: Any, coefficients: Any, where: Any) -> Any:
    """The `TAPS` gridding weights at fraction `where` of a cell, in the first lanes of a vector of 8; then zeros."""
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


def _twice(builder: Any, vector: Any) -> Any:
    """Each of `WIDE` lanes twice: what weighs complex cells."""
    order = ir.Constant(ir.VectorType(INDEX, 2 * WIDE), [i // 2 for i in range(2 * WIDE)])
    return builder.shuffle_vector(vector, vector, order)


@intrinsic
def interpolate_one(_context: Any, grid: Any, offset: Any, row: Any, across: Any, along: Any) -> Any:
    """As `interpolate` for the complex cells of one slice, by the weights of `taps`: the real and imaginary part."""
    kind = FloatVector(2)

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        grid_value, start, row_step, x, y = values
        wide = ir.VectorType(y.type.element, 2 * WIDE)
        total = ir.Constant(wide, None)
        for j in range(TAPS):
            at = builder.add(start, builder.mul(row_step, row_step.type(j)))
            value = read(builder, address(context, builder, signature.args[0], grid_value, at, wide))
            total = multiply_add(builder, value, _lane(builder, y, j, wide), total)
        total = builder.fmul(total, _twice(builder, x))
        width = 2 * WIDE
        while width > 2:
            width //= 2
            low, high = (
                builder.shuffle_vector(
                    total, total, ir.Constant(ir.VectorType(INDEX, width), [first + i for i in range(width)])
                )
                for first in (0, width)
            )
            total = builder.fadd(low, high)
        return total

    return kind(grid, types.intp, types.intp, across, along), code


@intrinsic
def spread_one(
    _context: Any,
    grid: Any,
    offset: Any,
    row: Any,
    across: Any,
    along: Any,
    first: Any,
    last: Any,
    real: Any,
    imag: Any,
) -> Any:
    """Add a complex value to rows [first, last) of `TAPS` x `WIDE` cells of one slice, by the weights of `taps`."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        grid_value, start, row_step, x, y, from_row, to_row, real_part, imag_part = values
        wide = ir.VectorType(y.type.element, 2 * WIDE)
        pair = builder.insert_element(ir.Constant(wide, ir.Undefined), real_part, INDEX(0))
        pair = builder.insert_element(pair, imag_part, INDEX(1))
        order = ir.Constant(ir.VectorType(INDEX, 2 * WIDE), [i % 2 for i in range(2 * WIDE)])
        value = builder.fmul(builder.shuffle_vector(pair, pair, order), _twice(builder, x))
        for j in range(TAPS):
            index = from_row.type(j)
            counts = builder.and_(builder.icmp_signed(">=", index, from_row), builder.icmp_signed("<", index, to_row))
            with builder.if_then(counts, likely=True):
                at = builder.add(start, builder.mul(row_step, row_step.type(j)))
                where = address(context, builder, signature.args[0], grid_value, at, wide)
                total = multiply_add(builder, value, _lane(builder, y, j, wide), read(builder, where))
                builder.store(total, where).align = 4
        return context.get_dummy_value()

    integer = types.intp
    return types.void(grid, integer, integer, across, along, integer, integer, types.float32, types.float32), code


@intrinsic
def lane(_context: Any, vector: Any, index: Any) -> Any:
    """One lane of a vector."""

    def code(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.extract_element(values[0], builder.trunc(values[1], INDEX))

    return types.float32(vector, types.intp), code
