"""Re-cut a stream of slabs along its first axis. No voxel's value ever depends on the cut."""

from collections.abc import Iterable, Iterator
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
    held: list[Array] = []
    count = 0
    for slab in slabs:
        start = 0
        while start < len(slab):
            piece = slab[start : start + size - count]
            held.append(piece)
            start += len(piece)
            count += len(piece)
            if count == size:
                block = _joined(held)
                held, count = [], 0  # only the block is held while it is worked on,
                yield block
                del block  # and not even that while the next one arrives
    if held:
        yield _joined(held)


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
    first, base = pieces[0], pieces[0].base
    place = first.ctypes.data
    for piece in pieces:
        if base is None or piece.base is not base or piece.ctypes.data != place or not piece.flags.c_contiguous:
            return np.concatenate(pieces)
        place += piece.nbytes
    return as_strided(first, (sum(map(len, pieces)), *first.shape[1:]), first.strides)
