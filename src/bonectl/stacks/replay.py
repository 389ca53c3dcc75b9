"""A stream that is walked twice: kept in memory where it fits, else in a temporary file."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bonectl.core import progress, temporary
from bonectl.core.cost import scratch
from bonectl.core.slabs import Array, thickness
from bonectl.core.stack import Stack
from bonectl.stacks import view_order


def twice(stack: Stack, *, limit: int | None = None) -> tuple[Stack, Stack]:
    """The stack to be walked first, to its end, and the same to be walked then.

    Parameters
    ----------
    stack : Stack
    limit : int, optional
        Bytes that the process may hold (`bonectl.stacks.view_order`); nothing is most of what is free.

    Raises
    ------
    WriteError
        While the first is walked, when the disk is full.
    """
    first, then = _in_memory(stack) if view_order.is_held(stack.header, limit) else _in_file(stack)
    return replace(stack, slabs=first), replace(stack, slabs=then)


def _in_memory(stack: Stack) -> tuple[Iterator[Array], Iterator[Array]]:
    held: list[Array] = []

    def first() -> Iterator[Array]:
        for slab in stack.slabs:
            held.append(slab)
            yield slab

    def then() -> Iterator[Array]:
        while held:  # which is let go as it leaves
            yield held.pop(0)

    return first(), then()


def _in_file(stack: Stack) -> tuple[Iterator[Array], Iterator[Array]]:
    header = stack.header
    progress.note(f"the scan is looked at first, by way of {scratch(header.total_bytes)}")
    with view_order.on_disk(header):
        file = temporary.unnamed()  # the second walk closes it

    def first() -> Iterator[Array]:
        for slab in stack.slabs:
            with view_order.on_disk(header):
                temporary.write_all(file, slab)
            yield slab

    def then() -> Iterator[Array]:
        with file:
            file.seek(0)
            step = thickness(header.slice_bytes)
            for start in range(0, header.shape[0], step):
                slab = np.empty((min(step, header.shape[0] - start), *header.shape[1:]), header.dtype)
                with view_order.on_disk(header):
                    temporary.read_all(file, slab)
                yield slab

    return first(), then()
