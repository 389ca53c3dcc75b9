"""Values that a command cannot use, refused or replaced while they pass: NaN, infinite, too large.

Every function takes a stack and returns one, and streams.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from bonectl.core import progress
from bonectl.core.counted import counted
from bonectl.core.header import Header
from bonectl.core.slabs import Array, thickness
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError

# What is looked at at a time stays in the processor's cache [byte].
PIECE = 1 << 20


def finite(stack: Stack, name: str) -> Stack:
    """The same stack, refusing NaN and infinite values; not looked through where it is known to hold none.

    Raises
    ------
    DataError
        From the slabs, with the number of such values in the whole stack and the index of the first.
    """
    if stack.finite or not _may_be_infinite(stack.header):
        return replace(stack, finite=True)
    good = screened(stack, np.isfinite, lambda bad, count, at: _not_finite(name, count, at))
    return replace(good, finite=True)


def single(stack: Stack, name: str) -> Stack:
    """The same stack, refusing what becomes infinite in float32, in which most commands work.

    Raises
    ------
    DataError
        From the slabs, with the number of such values in the whole stack, and the first with its index.
    """
    if stack.header.dtype != "<f8":
        return stack
    most = np.finfo(np.float32).max

    def refuse(bad: Array, count: int, at: tuple[int, ...]) -> DataError:
        values = counted(count, "value is", "values are")
        return DataError(f"{name}: {values} beyond float32 (±{most:.4g}), the first {bad:.4g} at {at}")

    return replace(screened(stack, lambda slab: ~(np.abs(slab) > most), refuse), finite=stack.finite)


def kept_finite(stack: Stack) -> Stack:
    """The same stack, refusing values that became infinite or NaN on the way: the input was too large to compute with.

    Raises
    ------
    DataError
        From the slabs, as `finite`.
    """
    if stack.finite or not _may_be_infinite(stack.header):
        return replace(stack, finite=True)
    kind = np.dtype(stack.header.dtype).name

    def refuse(bad: Array, count: int, at: tuple[int, ...]) -> DataError:
        values = counted(count, "value is", "values are")
        return DataError(f"{values} beyond {kind} after this, the first at {at}; the input's values are too large")

    return replace(screened(stack, np.isfinite, refuse), finite=True)


def zero_filled(stack: Stack, name: str) -> Stack:
    """The same stack with 0 for NaN and infinite values; their number is noted.

    Raises
    ------
    UsageError
        For counts and transmissions, in which 0 says that nothing passed.
    """
    if not _may_be_infinite(stack.header):
        return stack
    if stack.header.unit in ("counts", "transmission"):
        raise UsageError(f"--nan zero: {stack.header.unit} of 0 would be full absorption; --nan fill takes neighbours")

    def slabs() -> Iterator[Array]:
        count = 0
        for slab in stack.slabs:
            good = np.isfinite(slab)
            count += good.size - int(np.count_nonzero(good))
            yield np.where(good, slab, slab.dtype.type(0))
        if count:
            what = counted(count, "value that is NaN or infinite was", "values that are NaN or infinite were")
            progress.note(f"{name}: {what} set to 0")

    return Stack(stack.header, slabs(), finite=True)


def screened(
    stack: Stack, good: Callable[[Array], Array], refuse: Callable[[Array, int, tuple[int, ...]], Exception]
) -> Stack:
    """The same stack, as long as all values are good; the first bad one is located, and all are counted."""

    def slabs() -> Iterator[Array]:
        start = count = 0
        first: tuple[Array, tuple[int, ...]] | None = None
        for slab in stack.slabs:
            if not _all(good, slab):
                mask = good(slab)
                count += mask.size - int(np.count_nonzero(mask))
                if first is None:
                    z, y, x = (int(i) for i in np.argwhere(~mask)[0])
                    first = slab[z, y, x], (start + z, y, x)
            start += len(slab)
            if first is None:
                yield slab
        if first is not None:
            raise refuse(first[0], count, first[1])

    return Stack(stack.header, slabs())


def _all(good: Callable[[Array], Array], slab: Array) -> bool:
    """Whether all values are good."""
    step = thickness(slab[:1].nbytes, PIECE)
    return all(good(slab[start : start + step]).all() for start in range(0, len(slab), step))


def _may_be_infinite(header: Header) -> bool:
    return header.dtype[1] == "f"


def _not_finite(name: str, count: int, at: tuple[int, ...]) -> DataError:
    values = counted(count, "value is", "values are")
    return DataError(f"{name}: {values} NaN or infinite, the first at {at}; --nan zero makes them 0, fill mends them")
