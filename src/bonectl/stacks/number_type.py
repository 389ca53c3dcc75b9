"""The values of a stack in another type of numbers: the nearest ones, or whole numbers that stand for a window."""

from collections.abc import Iterator
from math import isfinite, prod

import numpy as np

from bonectl.core import progress
from bonectl.core.counted import counted
from bonectl.core.header import DTYPES
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.stacks.screening import screened


def cast(stack: Stack, dtype: str) -> Stack:
    """The same values in another type, by one rule: the nearest value of that type, or refusal.

    To integers: rounded half to even. To shorter floating types: rounded to nearest. A value outside the
    range of the type is refused, never clipped and never rescaled; a mask type takes 0 and 1 only.

    Parameters
    ----------
    stack : Stack
    dtype : str
        A numpy name such as ``uint8``, ``u1``, ``float32``, ``<f4``.

    Raises
    ------
    UsageError
        When there is no such type; or, from the slabs, when values do not fit, with their number and range.
    """
    try:
        there = np.dtype(dtype).newbyteorder("<")
    except (TypeError, ValueError, SyntaxError) as error:  # numpy knows a language of its own for types
        raise UsageError(_no_type(dtype)) from error
    if there.str not in DTYPES:
        raise UsageError(_no_type(dtype))
    header = stack.header
    if there.str == header.dtype:
        return stack
    low, high = limits(there)

    def fits(slab: Array) -> Array:
        if slab.dtype.kind == "f":
            wide = slab.astype(np.float64)
            nearest = np.rint(wide) if there.kind in "iu" else wide
            above = nearest < float(high) + 1 if there.kind in "iu" else nearest <= high
            inside: Array = (nearest >= low) & above
        else:
            inside = (slab >= low) & (slab <= high)
        return inside & ((slab == 0) | (slab == 1)) if there.kind == "b" else inside

    def refuse(bad: Array, count: int, at: tuple[int, ...]) -> UsageError:
        return UsageError(
            f"{counted(count, 'value does', 'values do')}"
            f" not fit {there.name} ({low:.7g} to {high:.7g}), the first is {bad:.7g} at {at}; "
            "choose a wider type (values are never rescaled)"
        )

    def change(slab: Array) -> Array:
        return (np.rint(slab) if there.kind in "iu" and slab.dtype.kind == "f" else slab).astype(there)

    return screened(stack, fits, refuse).map(change, header.replace(dtype=there.str))


def windowed(stack: Stack, dtype: str, low: float, high: float) -> Stack:
    """Whole numbers of 8 or 16 bits that stand for the values of a window; the header keeps how.

    The least number of the type stands for `low`, the largest for `high`, and the others for equal steps between: a
    value is kept to half a step. What lies outside is clipped, and counted in a note.

    Parameters
    ----------
    stack : Stack
    dtype : str
        uint8, uint16, int8 or int16, by any of numpy's names.
    low, high : float
        In the stack's unit.

    Raises
    ------
    UsageError
        When the type is another, the window is empty, or the stack is a mask.
    """
    try:
        there = np.dtype(dtype).newbyteorder("<")
    except TypeError as error:
        raise UsageError(_no_type(dtype)) from error
    if there.kind not in "iu" or there.itemsize > 2:
        raise UsageError(f"--window is for uint8, uint16, int8 and int16, not {there.name}")
    if not (isfinite(low) and isfinite(high) and low < high and isfinite(high - low)):
        raise UsageError(f"a window from {low:g} to {high:g}; give LO:HI, the lower value first")
    header = stack.header
    if header.unit == "label" or header.dtype == "|b1":
        raise UsageError("a mask has no window; leave out --window")
    least, most = limits(there)
    slope = (high - low) / (most - least)
    intercept = low - least * slope

    def slabs() -> Iterator[Array]:
        below = above = 0
        for slab in stack.slabs:
            below += int(np.count_nonzero(slab < low))
            above += int(np.count_nonzero(slab > high))
            yield np.rint((slab.astype(np.float64) - intercept) / slope).clip(least, most).astype(there)
        if below or above:
            share = (below + above) / prod(header.shape)
            said = counted(below + above, "voxel", "voxels")
            where = f"outside {low:g} to {high:g}: {below} below, {above} above"
            progress.note(f"{said} ({share:.2g} of all) {where}; clipped")

    return Stack(header.replace(dtype=there.str, scaling=(slope, intercept)), slabs())


def limits(dtype: np.dtype) -> tuple[float, float]:
    """Least and largest value of a type."""
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def _no_type(dtype: str) -> str:
    return f"no type {dtype!r}; there are {', '.join(np.dtype(d).name for d in DTYPES)}"
