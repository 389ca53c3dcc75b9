"""The order of a scan's views, changed: in memory where the scan fits, else by way of a temporary file.

A scan comes by projections from the scanner and is reconstructed by sinograms, of which the first needs every
projection.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from bonectl.core import memory, pool, progress, temporary
from bonectl.core.cost import scratch
from bonectl.core.counted import counted
from bonectl.core.header import PROJECTIONS, SINOGRAMS, Header
from bonectl.core.slabs import Array, thickness
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError, WriteError

ORDERS = {"sinogram": SINOGRAMS, "projection": PROJECTIONS}

# A scan is held when it takes no more than this share of what the process may still come to hold.
SHARE = 0.5

# Bytes that a thread moves at a time.
PIECE = 1 << 20

# Less is held without a word [byte].
WORTH_A_WORD = 64 << 20


def is_held(header: Header, limit: int | None = None) -> bool:
    """Whether the order of a scan's views is changed in memory.

    Parameters
    ----------
    header : Header
    limit : int, optional
        Bytes that the process may hold; nothing is most of what is free.
    """
    return header.total_bytes <= SHARE * ((limit or memory.available()) - memory.resident())


def ordered(stack: Stack, order: str, *, limit: int | None = None, held: bool | None = None) -> Stack:
    """A scan by sinograms (row, view, col) or by projections (view, row, col).

    Parameters
    ----------
    stack : Stack
    order : str
        "sinogram" or "projection".
    limit : int, optional
        Bytes that the process may hold (`is_held`); nothing is most of what is free.
    held : bool, optional
        Whether it is turned in memory, where that has been decided.

    Raises
    ------
    UsageError
        When the stack is a volume, or there is no such order.
    """
    if order not in ORDERS:
        raise UsageError(f"no order {order!r}; there are {', '.join(ORDERS)}")
    header = stack.header
    if not header.is_scan:
        raise UsageError("a volume has no order of views; only scans can be turned (declare one with --axes)")
    if header.axes == ORDERS[order]:
        return stack
    (a, b, c), (da, db, dc) = header.shape, header.spacing
    changed = header.replace(axes=ORDERS[order], shape=(b, a, c), spacing=(db, da, dc))
    return Stack(changed, swapped(stack, held=is_held(header, limit) if held is None else held), stack.finite)


def swapped(stack: Stack, *, held: bool) -> Iterator[Array]:
    """The slabs of a stack whose first two axes have changed places.

    Parameters
    ----------
    stack : Stack
        (a, b, c).
    held : bool
        Whether it is held in memory; else it passes through a temporary file of its size, which is gone in the end.

    Yields
    ------
    (n, a, c) arrays
        Together (b, a, c).

    Raises
    ------
    DataError
        When fewer or more slices arrive than the header announces.
    WriteError
        When the disk is full.
    """
    if held:
        if stack.header.total_bytes >= WORTH_A_WORD:
            progress.note(f"holding {memory.spoken(stack.header.total_bytes)} in memory to change the order of views")
        yield from _in_memory(stack)
        return
    progress.note(f"the order of views changes by way of {scratch(stack.header.total_bytes)}")
    yield from _in_file(stack)


@contextmanager
def on_disk(header: Header) -> Iterator[None]:
    """Say what is wrong with the disk."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise WriteError(f"{reason}: the scan needs {scratch(header.total_bytes)}") from error


def _placed(stack: Stack) -> Iterator[tuple[int, Array]]:
    """Where each slab begins, and the slab with its axes changed, (b, n, c)."""
    at, count = 0, stack.header.shape[0]
    for slab in stack.slabs:
        if at + len(slab) <= count:
            yield at, slab.swapaxes(0, 1)
        at += len(slab)
    if at != count:
        raise DataError(f"{counted(at, 'slice')} arrived, {counted(count, 'was', 'were')} announced")


def _in_memory(stack: Stack) -> Iterator[Array]:
    first, second, third = stack.header.shape
    whole = np.empty((second, first, third), stack.header.dtype)
    for at, slab in _placed(stack):

        def put(low: int, high: int, at: int = at, slab: Array = slab) -> None:
            whole[low:high, at : at + slab.shape[1]] = slab[low:high]

        pool.each(put, pool.cut(second, thickness(slab[:1].nbytes, PIECE)))
    step = thickness(whole[:1].nbytes)
    for start in range(0, second, step):
        yield whole[start : start + step]


def _in_file(stack: Stack) -> Iterator[Array]:
    first, second, third = stack.header.shape
    line = third * stack.header.item_bytes
    with on_disk(stack.header):
        file = temporary.unnamed()
    with file:
        for at, slab in _placed(stack):
            with on_disk(stack.header):
                for row, lines in enumerate(slab):
                    file.seek((row * first + at) * line)
                    temporary.write_all(file, lines)
        file.seek(0)
        step = thickness(first * line)
        for start in range(0, second, step):
            rows = np.empty((min(step, second - start), first, third), stack.header.dtype)
            with on_disk(stack.header):
                temporary.read_all(file, rows)
            yield rows
