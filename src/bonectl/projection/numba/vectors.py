"""Vectors of floats as numba values, so that kernels say which loop runs in the registers.

numba turns a plain loop into vector code only when it can prove that arrays do not overlap; a gather or a
scatter through computed indices defeats that proof, at two to four times the time. The functions here emit the
vector instructions themselves: LLVM maps ``<16 x float>`` on whatever the machine has (two AVX2 registers, one
AVX-512 register, four NEON registers), and every lane does the same operations in the same order whatever the
width, so that results do not depend on it.

The width rides in the type of a tuple: ``LANES[16]`` is a tuple of sixteen zeros, and ``load(lanes, array, i)``
gives a vector of ``len(lanes)`` floats. Offsets count floats from the start of a C-contiguous float32 array; they
are not checked. numba's cache watches the file of a kernel only: after a change here, remove what it kept of those that
import it.
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

FLOAT = ir.FloatType()
INDEX = ir.IntType(32)

LANES = {width: (0.0,) * width for width in (8, 16, 32, 64)}


class FloatVector(types.Type):  # type: ignore[misc]
    """The numba type of a vector of `width` float32 values."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"FloatVector({width})")

    @property
    def llvm(self) -> ir.VectorType:
        """The LLVM type."""
        return ir.VectorType(FLOAT, self.width)


@register_model(FloatVector)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: FloatVector) -> None:
        super().__init__(manager, kind, kind.llvm)


def address(context: Any, builder: Any, kind: Any, array: Any, offset: Any, vector: ir.VectorType) -> Any:
    """The address of float `offset` of an array, as one of a vector."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())


def splat(builder: Any, value: Any, vector: ir.VectorType) -> Any:
    """A vector of equal lanes."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, INDEX(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(INDEX, vector.count), None))


def read(builder: Any, pointer: Any) -> Any:
    """The vector at an address that is aligned as a float is."""
    value = builder.load(pointer)
    value.align = 4
    return value


def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c`` with one rounding."""
    vector = a.type
    kind = ir.FunctionType(vector, [vector] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{vector.count}f32")
    return builder.call(function, [a, b, c])


@intrinsic
def load(_context: Any, lanes: Any, array: Any, offset: Any) -> Any:
    """The floats ``array[offset : offset + len(lanes)]``."""
    kind = FloatVector(lanes.count)

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return read(builder, address(context, builder, signature.args[1], values[1], values[2], kind.llvm))

    return kind(lanes, array, types.intp), code


@intrinsic
def zeros(_context: Any, lanes: Any) -> Any:
    """``len(lanes)`` zeros."""
    kind = FloatVector(lanes.count)

    def code(_context: Any, _builder: Any, _signature: Any, _values: Any) -> Any:
        return ir.Constant(kind.llvm, None)

    return kind(lanes), code


@intrinsic
def store(_context: Any, array: Any, offset: Any, vector: Any) -> Any:
    """Write a vector to ``array[offset:]``."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        where = address(context, builder, signature.args[0], values[0], values[1], signature.args[2].llvm)
        builder.store(values[2], where).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), code


@intrinsic
def add(_context: Any, a: Any, b: Any) -> Any:
    """The sum, lane by lane."""

    def code(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.fadd(values[0], values[1])

    return a(a, b), code


@intrinsic
def times(_context: Any, vector: Any, factor: Any) -> Any:
    """``vector * factor`` with a float factor."""

    def code(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.fmul(values[0], splat(builder, values[1], vector.llvm))

    return vector(vector, types.float32), code


@intrinsic
def fma(_context: Any, vector: Any, factor: Any, addend: Any) -> Any:
    """``vector * factor + addend`` with a float factor and one rounding."""

    def code(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return multiply_add(builder, values[0], splat(builder, values[1], vector.llvm), values[2])

    return vector(vector, types.float32, addend), code


@intrinsic
def multiply_add_all(_context: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c`` of vectors with one rounding."""

    def code(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return multiply_add(builder, *values)

    return a(a, b, c), code


@intrinsic
def repeat(_context: Any, lanes: Any, value: Any) -> Any:
    """``len(lanes)`` times a float."""
    kind = FloatVector(lanes.count)

    def code(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return splat(builder, values[1], kind.llvm)

    return kind(lanes, types.float32), code


@intrinsic
def rotate(_context: Any, vector: Any, real: Any, imag: Any) -> Any:
    """Lanes as complex pairs (re, im), times the complex number ``real + i imag``."""

    def code(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        count = vector.width
        swap = ir.Constant(ir.VectorType(INDEX, count), [i ^ 1 for i in range(count)])
        swapped = builder.shuffle_vector(values[0], values[0], swap)
        pair = ir.VectorType(FLOAT, 2)
        signed = builder.insert_element(ir.Constant(pair, ir.Undefined), builder.fneg(values[2]), INDEX(0))
        signed = builder.insert_element(signed, values[2], INDEX(1))
        repeat = ir.Constant(ir.VectorType(INDEX, count), [i & 1 for i in range(count)])
        signed = builder.shuffle_vector(signed, signed, repeat)
        real_part = builder.fmul(values[0], splat(builder, values[1], vector.llvm))
        return multiply_add(builder, swapped, signed, real_part)

    return vector(vector, types.float32, types.float32), code


# How many registers of eight inputs the eight outputs of `sample` or `hat` come from, in the length of a tuple:
# ONE while a step spans at most one input, TWO up to two; ANY reads them one by one, whatever the step.
ANY, ONE, TWO = (), (0.0,), (0.0, 0.0)
EIGHT = FloatVector(8)


def _indices(value: int) -> Any:
    return ir.Constant(ir.VectorType(INDEX, 8), [value] * 8)


def _call(builder: Any, name: str, *operands: Any) -> Any:
    kind = ir.FunctionType(operands[0].type, [operand.type for operand in operands])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), operands)


def _ramp(builder: Any, start: Any, step: Any) -> Any:
    """start, start + step, ... start + 7 step."""
    count = ir.Constant(EIGHT.llvm, [float(lane) for lane in range(8)])
    return multiply_add(builder, splat(builder, step, EIGHT.llvm), count, splat(builder, start, EIGHT.llvm))


def _permutes(context: Any) -> bool:
    """Whether the machine that is compiled for has AVX2's permutation of a register by another."""
    return "+avx2" in str(context.codegen().magic_tuple())


def _pick(context: Any, builder: Any, base: Any, place: Any, registers: int) -> Any:
    """Floats ``base[place]`` for eight places of at least 0: below 8 for one register, below 16 for two."""
    if registers == 0 or not _permutes(context):
        result = ir.Constant(EIGHT.llvm, ir.Undefined)
        for lane in range(8):
            one = builder.load(builder.gep(base, [builder.extract_element(place, INDEX(lane))]))
            result = builder.insert_element(result, one, INDEX(lane))
        return result
    vector = EIGHT.llvm.as_pointer()
    low = _call(builder, "llvm.x86.avx2.permps", read(builder, builder.bitcast(base, vector)), place)
    if registers == 1:
        return low
    next_ = read(builder, builder.bitcast(builder.gep(base, [INDEX(8)]), vector))
    high = _call(builder, "llvm.x86.avx2.permps", next_, place)
    return builder.select(builder.icmp_signed(">", place, _indices(7)), high, low)


def _base(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [offset])


@intrinsic
def sample(_context: Any, registers: Any, array: Any, offset: Any, start: Any, step: Any) -> Any:
    """Linear interpolation of ``array[offset:]`` at the eight places start + j step, with start in [0, 1)."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        base = _base(context, builder, signature.args[1], values[1], values[2])
        ramp = _ramp(builder, values[3], values[4])
        whole = _call(builder, "llvm.floor.v8f32", ramp)
        place = builder.fptosi(whole, ir.VectorType(INDEX, 8))
        low = _pick(context, builder, base, place, registers.count)
        high = _pick(context, builder, builder.gep(base, [INDEX(1)]), place, registers.count)
        return multiply_add(builder, builder.fsub(ramp, whole), builder.fsub(high, low), low)

    return EIGHT(registers, array, types.intp, types.float32, types.float32), code


@intrinsic
def hat(_context: Any, registers: Any, array: Any, offset: Any, start: Any, step: Any, scale: Any, tap: Any) -> Any:
    """One tap of the transpose of `sample`: what input `tap` above each of eight outputs' lowest neighbours gives.

    Outputs lie at start + j step + step on the axis of the inputs (start in [0, 1)), and take input k times
    max(0, 1 - scale |k - place|), with scale the reciprocal of step; the first k is start + j step, rounded up.
    """

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        base = _base(context, builder, signature.args[1], values[1], values[2])
        ramp = _ramp(builder, values[3], values[4])
        whole = _call(builder, "llvm.ceil.v8f32", ramp)
        place = builder.fptosi(whole, ir.VectorType(INDEX, 8))
        shifted = builder.gep(base, [builder.fptosi(values[6], INDEX)])
        value = _pick(context, builder, shifted, place, registers.count)
        input_ = builder.fadd(whole, splat(builder, values[6], EIGHT.llvm))
        apart = builder.fsub(builder.fsub(input_, ramp), splat(builder, values[4], EIGHT.llvm))
        apart = _call(builder, "llvm.fabs.v8f32", apart)
        one = ir.Constant(EIGHT.llvm, [1.0] * 8)
        none = ir.Constant(EIGHT.llvm, [0.0] * 8)
        weight = multiply_add(builder, builder.fneg(splat(builder, values[5], EIGHT.llvm)), apart, one)
        weight = builder.select(builder.fcmp_ordered(">", weight, none), weight, none)
        return builder.fmul(weight, value)

    return EIGHT(registers, array, types.intp, types.float32, types.float32, types.float32, types.float32), code
