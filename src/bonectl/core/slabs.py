"""Re-cut a stream of slabs along its first axis. No voxel's value ever depends on the cut."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Array = NDArray[Any]
"""An array of numbers; what it holds, and along which axes, is said where it is named."""

# Large enough to lose nothing in a pipe, small enough that the next stage begins early [bytes].
SLAB_BYTES = 2 << 20


def thickness(slice_bytes: int, slab_bytes: int = SLAB_BYTES) -> int:
    """Slices per slab when the user did not say: as many as fit in `slab_bytes`, at least one."""
    return max(1, slab_bytes // max(1, slice_bytes))


def recut(slabs: Iterable[Array], size: int) -> Iterator[Array]:
    """Cut a stream into blocks of exactly `size` slices, aligned to slice 0; the last may be shorter.

    Parameters
    ----------
    slabs : iterable of (n, b, c) arrays
        Consecutive along the first axis, any n >= 1.
    size : int
        Slices per block.

    Yields
    ------
    (size, b, c) array, C-contiguous
    """
    filling = _Block(size)
    for slab in slabs:
        start = 0
        while start < len(slab):
            start += filling.take(slab[start:])
            if filling.count == size:
                block = filling.block()
                filling = _Block(size)  # only the block is held while it is worked on,
                yield block
                del block  # and not even that while the next one arrives
    if filling.count:
        yield filling.block()


class _Block:
    """Slices that become one array: pieces that lie one behind another stay where they are, others are copied in."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.count = 0
        self._pieces: list[Array] = []
        self._array: Array | None = None

    def take(self, slab: Array) -> int:
        """Take as many slices as there is room for; how many."""
        piece = slab[: self.size - self.count]
        if self._array is None and self._pieces and not _follows(piece, self._pieces[-1]):
            self._array = np.empty((self.size, *piece.shape[1:]), piece.dtype)
            place = 0
            for one in self._pieces:
                self._array[place : place + len(one)] = one
                place += len(one)
            self._pieces = []
        if self._array is None:
            self._pieces.append(piece)
        else:
            self._array[self.count : self.count + len(piece)] = piece
        self.count += len(piece)
        return len(piece)

    def block(self) -> Array:
        """What was taken."""
        return _joined(self._pieces) if self._array is None else self._array[: self.count]


def windows(slabs: Iterable[Array], total: int, size: int, halo: int) -> Iterator[tuple[Array, int, int]]:
    """Blocks of `size` slices with up to `halo` neighbours on each side.

    Parameters
    ----------
    slabs : iterable of (n, b, c) arrays
        A stream of `total` slices.
    total, size, halo : int
        Slices in the stream, in a block, and of context on each side. At the ends of the stream the
        context is shorter: what lies beyond is the caller's decision.

    Yields
    ------
    array, lo, hi
        ``array[lo:hi]`` is the block itself, the rest is context.
    """
    stream = recut(slabs, 1)
    held: list[Array] = []
    first = 0  # index in the stream of held[0]
    for start in range(0, total, size):
        stop = min(start + size, total)
        low, high = max(0, start - halo), min(total, stop + halo)
        while first + len(held) < high:
            held.append(next(stream))
        del held[: low - first]
        first = low
        yield _joined(held), start - low, stop - low
    for _ in stream:  # lets the reader check that nothing follows the last slice
        raise AssertionError("more slices arrived than the header announced")


def _joined(pieces: list[Array]) -> Array:
    """One C-contiguous array of all pieces along the first axis; those that lie one behind another are not copied."""
    if len(pieces) == 1:
        return np.ascontiguousarray(pieces[0])
    if not all(_follows(then, one) for one, then in pairwise(pieces)):
        return np.concatenate(pieces)
    return as_strided(pieces[0], (sum(map(len, pieces)), *pieces[0].shape[1:]), pieces[0].strides)


def _follows(piece: Array, before: Array) -> bool:
    """Whether two pieces lie one behind the other in the memory of one array."""
    return (
        before.base is not None
        and piece.base is before.base
        and piece.flags.c_contiguous
        and before.flags.c_contiguous
        and piece.ctypes.data == before.ctypes.data + before.nbytes
    )
