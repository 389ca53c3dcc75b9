"""The cells next to the border of the volume of interest: what curvature needs to go on to the border.

Cells (`morphology.cells`) lie between voxel centres, the volume of interest reaches half a voxel farther. A cell whose
eight corners all lie in it, and next to which on some side lies one of which that is not so, is at its *rim* on that
side. How often each configuration of bone occurs there is counted for each of the six sides, in integers.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numba import njit, prange

from bonectl.morphology.bits import Planes, Words, ones, shifted
from bonectl.morphology.cells import CORNERS, Labels
from bonectl.morphology.sweep import Counts, swept

# (axis, which end of it): side 2 · axis + end.
SIDES = tuple((axis, end) for axis in range(3) for end in (0, 1))

# Bone at the eight corners, corner k at bit k.
CONFIGURATIONS = 256

_CORNERS = np.ascontiguousarray(CORNERS)
_ONE, _NONE = np.uint64(1), np.uint64(0)


@dataclass(frozen=True, eq=False)
class Rim:
    """The cells at the rim of a volume of interest.

    Parameters
    ----------
    number : (6, 256) int64
        How often each configuration occurs, by `SIDES`.
    """

    number: Counts


def count(slabs: Iterable[Labels]) -> Rim:
    """Count the cells at the rim of a labelled stack.

    Parameters
    ----------
    slabs : iterable of (n, y, x) uint8 arrays
        Consecutive along z, values of `morphology.cells`.
    """
    return Rim(swept(number, slabs))


def number(planes: Planes) -> Counts:
    """Cells at the rim, (6, 256), as a `morphology.sweep.Count`.

    Parameters
    ----------
    planes : Planes
        A cell at the rim belongs, of its corners on the side of the border, to the one farthest along the other axes.
    """
    counts: Counts = _number(planes.centres, planes.voi, planes.bone)
    return counts


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _within(voi: Words, z: int, y: int, w: int, farther: int) -> np.uint64:
    """Of 64 voxels in a row, those before which the cell lies all within; along axis `farther`, behind which."""
    within = ~_NONE
    for dz in range(2):
        for dy in range(2):
            row = voi[z - 1 + dz + (farther == 0), y - 1 + dy + (farther == 1)]
            for dx in range(2):
                within &= shifted(row, w, dx - 1 + (farther == 2))
    return within


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add(counts: Counts, rim: np.uint64, bone: Words, z: int, y: int, w: int, farther: int) -> None:
    """Count the configurations of the cells of `_within` whose bit is set."""
    words = np.empty(len(_CORNERS), np.uint64)
    for k in range(len(_CORNERS)):
        dz, dy, dx = _CORNERS[k]
        row = bone[z - 1 + dz + (farther == 0), y - 1 + dy + (farther == 1)]
        words[k] = shifted(row, w, dx - 1 + (farther == 2))
    while rim:
        place = np.uint64(ones((rim & (~rim + _ONE)) - _ONE))
        code = np.uint64(0)
        for k in range(len(_CORNERS)):
            code |= (words[k] >> place & _ONE) << np.uint64(k)
        counts[code] += 1
        rim &= rim - _ONE


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _number(centres: Words, voi: Words, bone: Words) -> Counts:
    planes, rows, words = centres.shape
    counts = np.zeros((max(planes - 2, 0), 6, 256), np.int64)
    for k in prange(max(planes - 2, 0)):
        z = k + 1
        for y in range(1, rows - 1):
            for w in range(1, words - 1):
                here = centres[z, y, w]
                if not here:
                    continue
                before = _within(voi, z, y, w, -1)
                for axis in range(3):
                    behind = _within(voi, z, y, w, axis)
                    if here & behind & ~before:
                        _add(counts[k, 2 * axis], here & behind & ~before, bone, z, y, w, axis)
                    if here & before & ~behind:
                        _add(counts[k, 2 * axis + 1], here & before & ~behind, bone, z, y, w, -1)
    total: Counts = counts.sum(axis=0)
    return total
