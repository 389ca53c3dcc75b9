"""Matrices of floats turned so that rows become columns: how slices come to lie innermost, and back.

Eight by eight floats are turned in the registers. Float by float it took a fifth of a reconstruction.
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

from bonectl.projection.numba.vectors import INDEX, address, read

SIDE = 8


def _exchanged(builder: Any, rows: list[Any], distance: int) -> list[Any]:
    """Rows of which every two, so far apart, have exchanged their blocks of `distance` columns off the diagonal."""
    result, columns = list(rows), range(SIDE)
    for r in range(SIDE):
        if r & distance:
            continue
        upper = [SIDE + c - distance if c & distance else c for c in columns]
        lower = [SIDE + c if c & distance else c + distance for c in columns]
        for row, order in ((r, upper), (r + distance, lower)):
            mask = ir.Constant(ir.VectorType(INDEX, SIDE), order)
            result[row] = builder.shuffle_vector(rows[r], rows[r + distance], mask)
    return result


@intrinsic
def _turn(_context: Any, source: Any, offset: Any, stride: Any, target: Any, to: Any, apart: Any) -> Any:
    """As `turn`, of `SIDE` x `SIDE` floats."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        from_, start, step, into, begin, away = values
        kind = ir.VectorType(ir.FloatType(), SIDE)

        def place(array: Any, value: Any, first: Any, width: Any, row: int) -> Any:
            at = builder.add(first, builder.mul(width, width.type(row)))
            return address(context, builder, array, value, at, kind)

        rows = [read(builder, place(signature.args[0], from_, start, step, row)) for row in range(SIDE)]
        for distance in (4, 2, 1):
            rows = _exchanged(builder, rows, distance)
        for row, value in enumerate(rows):
            builder.store(value, place(signature.args[3], into, begin, away, row)).align = 4
        return context.get_dummy_value()

    integer = types.intp
    return types.void(source, integer, integer, target, integer, integer), code


@njit(cache=True, nogil=True)
def turn(source, offset, stride, rows, columns, target, to, apart):  # type: ignore[no-untyped-def]
    """``target[to + c apart + r] = source[offset + r stride + c]`` for all rows r, columns c of flat arrays."""
    whole_rows, whole_columns = rows - rows % SIDE, columns - columns % SIDE
    for c in range(0, whole_columns, SIDE):
        for r in range(0, whole_rows, SIDE):
            _turn(source, offset + r * stride + c, stride, target, to + c * apart + r, apart)
    for r in range(rows):
        for c in range(whole_columns if r < whole_rows else 0, columns):
            target[to + c * apart + r] = source[offset + r * stride + c]
