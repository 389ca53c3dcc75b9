"""Slabs on their way out: each is what the header announced, and the last one waits for the end."""

from collections.abc import Iterator

import numpy as np

from bonectl.core.ahead import ahead
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack


def held_back(stack: Stack) -> Iterator[Array]:
    """The slabs, C-contiguous, each yielded only when the next one has arrived or the stack has ended.

    So whoever writes them as they come has a complete output only if all work before it succeeded. While one is
    written, the work on the one after the next goes on.
    """
    held: Array | None = None
    for slab in ahead(_checked(stack)):
        if held is not None:
            yield held
        held = slab
    assert held is not None  # a stack has at least one slice, and `_checked` has counted them
    yield held


def _checked(stack: Stack) -> Iterator[Array]:
    """Compare each slab with the header. It is our own tools' promise, so a breach is a bug."""
    header, count = stack.header, 0
    row, dtype = header.shape[1:], np.dtype(header.dtype)
    for slab in stack.slabs:
        count += len(slab)
        if slab.shape[1:] != row or slab.dtype != dtype or count > header.shape[0]:
            raise AssertionError(f"{slab.shape} {slab.dtype} in a stack of {header.shape} {header.dtype}")
        yield np.ascontiguousarray(slab)
    if count != header.shape[0]:
        raise AssertionError(f"{count} slices were made, {header.shape[0]} announced")
