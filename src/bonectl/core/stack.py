"""What flows: a header, and the slabs it announces."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from bonectl.core.counted import counted
from bonectl.core.header import Header
from bonectl.core.slabs import Array, recut, thickness
from bonectl.errors import DataError


@dataclass(frozen=True, eq=False)
class Stack:
    """A header and an iterator of slabs along the first axis, to be walked once.

    Parameters
    ----------
    header : Header
        Complete before the first slab.
    slabs : iterator of (n, b, c) arrays
        C-contiguous, of the header's dtype, n >= 1, together `header.shape`. Whoever takes one may not write to it: it
        can be the memory of whoever made the stack.
    finite : bool
        Whether what the slabs hold is known to be finite: they refuse NaN themselves, or have none.
    """

    header: Header
    slabs: Iterator[Array] = field(repr=False)
    finite: bool = False

    @classmethod
    def of(cls, array: Array, header: Header) -> Self:
        """A stack over an array (memory-mapped or not) that already exists; `header.shape` must be its own."""
        if array.shape != header.shape:
            raise ValueError(f"array of shape {array.shape}, header of shape {header.shape}")
        dtype = np.dtype(header.dtype)
        size = thickness(header.slice_bytes)
        cut = (np.ascontiguousarray(array[start : start + size], dtype=dtype) for start in range(0, len(array), size))
        return cls(header, cut)

    def collect(self) -> Array:
        """All voxels in one array: the only way to hold a whole stack.

        Memory grows with the slabs that arrive, not with what the header promises.

        Raises
        ------
        DataError
            When fewer or more slices arrive than the header announces.
        """
        held = list(self.slabs)
        count = sum(len(slab) for slab in held)
        if count != self.header.shape[0]:
            raise DataError(
                f"{counted(count, 'slice')} arrived, {counted(self.header.shape[0], 'was', 'were')} announced"
            )
        return held[0] if len(held) == 1 else np.concatenate(held)

    def map(self, function: Callable[[Array], Array], header: Header) -> "Stack":
        """The stack whose slabs are `function` of these, under another header."""
        return Stack(header, (np.ascontiguousarray(function(slab)) for slab in self.slabs))

    def restored(self) -> "Stack":
        """The values that stored whole numbers stand for, float32 in the unit; itself where nothing is scaled."""
        if self.header.scaling is None:
            return self
        slope, intercept = self.header.scaling
        return self.map(
            lambda slab: (slab * np.float64(slope) + intercept).astype("<f4"),
            self.header.replace(dtype="<f4", scaling=None),
        )

    def blocks(self, size: int) -> Iterator[Array]:
        """The slabs re-cut to `size` slices, aligned to slice 0."""
        return recut(self.slabs, size)


def chain(header: Header, slabs: Iterable[Array]) -> Stack:
    """A stack of lazily made slabs."""
    return Stack(header, iter(slabs))
