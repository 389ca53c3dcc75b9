"""What the lines through a bone mask's voxel centres, in 13 directions, cross: all that surface area needs.

A line of direction s visits voxels p, p + s, p + 2s ... Along it three things are counted, in integers:

*crossings*  neighbours of which exactly one is bone.
*ends*       the same at the end of a line, the bone at the border of the volume of interest. A line reaches half a
             step beyond its outermost voxel centre; bone that is cut by the border goes on there as it does one step
             before. Marrow at the border does not count, so that a rim of marrow around a shape changes nothing.
*lone*       single voxels of bone between two of marrow, and of marrow between two of bone.

Planes are packed to a bit per voxel, 64 voxels to a word.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from bonectl.morphology.cells import BONE, OUTSIDE, Labels

Step = tuple[int, int, int]
Words = NDArray[np.uint64]
Counts = NDArray[np.int64]

# One of each pair of opposite neighbours among the 26.
STEPS: tuple[Step, ...] = tuple((z, y, x) for z, y, x in product((-1, 0, 1), repeat=3) if (z or y or x) > 0)

_STEPS = np.array(STEPS)

# Planes that are packed at a time.
BLOCK = 32

_ONE, _TWO, _FOUR, _LAST = (np.uint64(k) for k in (1, 2, 4, 63))
_ODD, _PAIRS, _NIBBLES = (np.uint64(k) for k in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F))
_SUM, _TOP = np.uint64(0x0101010101010101), np.uint64(56)


@dataclass(frozen=True, eq=False)
class Lines:
    """What lines in each of the directions `STEPS` cross.

    Parameters
    ----------
    number : (13, 3) int64
        Crossings, ends and lone voxels.
    """

    number: Counts

    @property
    def crossings(self) -> Counts:
        """Neighbours in the volume of interest of which exactly one is bone, (13,)."""
        return self.number[:, 0]

    @property
    def ends(self) -> Counts:
        """Crossings next to bone that ends at the border of the volume of interest, (13,)."""
        return self.number[:, 1]

    @property
    def lone(self) -> Counts:
        """Voxels that differ from both their neighbours in the volume of interest, (13,)."""
        return self.number[:, 2]


class Counter:
    """Counts along lines of slabs as they come, holding two planes; `finish` closes the far side of the stack."""

    def __init__(self) -> None:
        self._number = np.zeros((len(STEPS), 3), np.int64)
        self._before: Labels | None = None

    def add(self, slab: Labels) -> None:
        """Count what the planes of `slab`, (n, y, x), complete."""
        for start in range(0, len(slab), BLOCK):
            self._add(slab[start : start + BLOCK])

    def finish(self) -> Lines:
        """The counts of the whole stack."""
        if self._before is not None:
            self._add(np.zeros_like(self._before[:1]))
        return Lines(self._number)

    def _add(self, planes: Labels) -> None:
        before = np.zeros_like(planes[:1]) if self._before is None else self._before
        around = np.concatenate([before, planes])
        self._number += number(around != OUTSIDE, around)
        self._before = around[-2:].copy()


def count(slabs: Iterable[Labels]) -> Lines:
    """Count along the lines of a labelled stack.

    Parameters
    ----------
    slabs : iterable of (n, y, x) uint8 arrays
        Consecutive along z, values of `morphology.cells`.
    """
    counter = Counter()
    for slab in slabs:
        counter.add(slab)
    return counter.finish()


def number(centres: NDArray[np.bool_], labels: Labels) -> Counts:
    """Crossings, ends and lone voxels about the chosen voxels of all planes but the first and the last; (13, 3).

    Parameters
    ----------
    centres : (z, y, x) bool
        Where crossings begin and lone voxels lie; in the volume of interest.
    labels : (z, y, x) uint8
    """
    counts: Counts = _number(_packed(centres), _packed(labels != OUTSIDE), _packed(labels == BONE), _STEPS)
    return counts


def _packed(mask: NDArray[np.bool_]) -> Words:
    """64 voxels of a row in a word, lowest bit first, in a frame of empty words and rows; (z, y + 2, words + 2)."""
    bits = np.packbits(mask, axis=2, bitorder="little")
    planes, rows, filled = bits.shape
    framed = np.zeros((planes, rows + 2, 8 * (-(-filled // 8) + 2)), np.uint8)
    framed[:, 1:-1, 8 : 8 + filled] = bits
    words: Words = framed.view("<u8")
    return words


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _ones(word: np.uint64) -> np.int64:
    """How many bits of a word are set, summed in pairs, nibbles and bytes."""
    word -= (word >> _ONE) & _ODD
    word = (word & _PAIRS) + ((word >> _TWO) & _PAIRS)
    word = (word + (word >> _FOUR)) & _NIBBLES
    return np.int64((word * _SUM) >> _TOP)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _shifted(row: NDArray[np.uint64], w: int, step: int) -> np.uint64:
    """The word whose bit x is that of voxel x + step of the row."""
    word: np.uint64 = row[w]
    if step > 0:
        word = (word >> _ONE) | (row[w + 1] << _LAST)
    elif step < 0:
        word = (word << _ONE) | (row[w - 1] >> _LAST)
    return word


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _number(centres: Words, voi: Words, bone: Words, steps: Counts) -> Counts:
    planes, rows, words = centres.shape
    counts = np.zeros((max(planes - 2, 0), len(steps), 3), np.int64)
    for k in prange(max(planes - 2, 0)):
        z = k + 1
        for i in range(len(steps)):
            up, down, along = steps[i]
            crossings = ends = lone = 0
            for y in range(1, rows - 1):
                for w in range(1, words - 1):
                    here = centres[z, y, w]
                    if not here:
                        continue
                    middle = bone[z, y, w]
                    near = _shifted(bone[z - up, y - down], w, -along)
                    far = _shifted(bone[z + up, y + down], w, along)
                    inside_near = _shifted(voi[z - up, y - down], w, -along)
                    inside_far = _shifted(voi[z + up, y + down], w, along)
                    before, after = here & inside_near & (middle ^ near), here & inside_far & (middle ^ far)
                    crossings += _ones(after)
                    ended = (middle & after & ~inside_near) | (middle & before & ~inside_far)
                    if ended:
                        ends += _ones(ended)
                    if before & after:
                        lone += _ones(before & after)
            counts[k, i, 0] = crossings
            counts[k, i, 1] = ends
            counts[k, i, 2] = lone
    total: Counts = counts.sum(axis=0)
    return total
