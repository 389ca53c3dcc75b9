"""Planes of a mask packed to a bit per voxel, 64 voxels of a row to a word, lowest bit first."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bonectl.morphology.cells import BONE, OUTSIDE, Labels

Words = NDArray[np.uint64]

_ONE, _TWO, _FOUR, _LAST = (np.uint64(k) for k in (1, 2, 4, 63))
_ODD, _PAIRS, _NIBBLES = (np.uint64(k) for k in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F))
_SUM, _TOP = np.uint64(0x0101010101010101), np.uint64(56)


def packed(mask: NDArray[np.bool_]) -> Words:
    """The mask (z, y, x) in a frame of empty words and rows, (z, y + 2, words + 2)."""
    bits = np.packbits(mask, axis=2, bitorder="little")
    planes, rows, filled = bits.shape
    framed = np.zeros((planes, rows + 2, 8 * (-(-filled // 8) + 2)), np.uint8)
    framed[:, 1:-1, 8 : 8 + filled] = bits
    words: Words = framed.view("<u8")
    return words


@dataclass(frozen=True, eq=False)
class Planes:
    """Labelled planes, packed: the first and the last are only seen as neighbours.

    Parameters
    ----------
    centres : (z, y + 2, words + 2) uint64
        The voxels about which is counted; in the volume of interest.
    voi, bone : arrays of the same shape
    """

    centres: Words
    voi: Words
    bone: Words

    @classmethod
    def of(cls, labels: Labels, centres: NDArray[np.bool_] | None = None) -> Self:
        """Pack labels (z, y, x), values of `morphology.cells`; centres are all of the volume of interest."""
        voi = packed(labels != OUTSIDE)
        return cls(voi if centres is None else packed(centres), voi, packed(labels == BONE))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def ones(word: np.uint64) -> np.int64:
    """How many bits of a word are set, summed in pairs, nibbles and bytes."""
    word -= (word >> _ONE) & _ODD
    word = (word & _PAIRS) + ((word >> _TWO) & _PAIRS)
    word = (word + (word >> _FOUR)) & _NIBBLES
    return np.int64((word * _SUM) >> _TOP)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def shifted(row: NDArray[np.uint64], w: int, step: int) -> np.uint64:
    """The word whose bit x is that of voxel x + step of the row; `step` is -1, 0 or 1."""
    word: np.uint64 = row[w]
    if step > 0:
        word = (word >> _ONE) | (row[w + 1] << _LAST)
    elif step < 0:
        word = (word << _ONE) | (row[w - 1] >> _LAST)
    return word
