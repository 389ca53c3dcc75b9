"""What the lines through a bone mask's voxel centres, in 13 directions, cross: all that surface area needs.

A line of direction s visits voxels p, p + s, p + 2s ... Along it three things are counted, in integers:

*crossings*  neighbours of which exactly one is bone.
*ends*       the same at the end of a line, the bone at the border of the volume of interest. A line reaches half a
             step beyond its outermost voxel centre; bone that is cut by the border goes on there as it does one step
             before. Marrow at the border does not count, so that a rim of marrow around a shape changes nothing.
*lone*       single voxels of bone between two of marrow, and of marrow between two of bone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numba import njit, prange

from bonectl.morphology.bits import Planes, Words, ones, shifted
from bonectl.morphology.cells import Labels
from bonectl.morphology.sweep import Counts, swept

Step = tuple[int, int, int]

# One of each pair of opposite neighbours among the 26.
STEPS: tuple[Step, ...] = tuple((z, y, x) for z, y, x in product((-1, 0, 1), repeat=3) if (z or y or x) > 0)

_STEPS = np.array(STEPS)


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


def count(slabs: Iterable[Labels]) -> Lines:
    """Count along the lines of a labelled stack.

    Parameters
    ----------
    slabs : iterable of (n, y, x) uint8 arrays
        Consecutive along z, values of `morphology.cells`.
    """
    return Lines(swept(number, slabs))


def number(planes: Planes) -> Counts:
    """Crossings, ends and lone voxels, (13, 3), as a `morphology.sweep.Count`.

    Parameters
    ----------
    planes : Planes
        The centres are where crossings begin and lone voxels lie.
    """
    counts: Counts = _number(planes.centres, planes.voi, planes.bone, _STEPS)
    return counts


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
                    near = shifted(bone[z - up, y - down], w, -along)
                    far = shifted(bone[z + up, y + down], w, along)
                    inside_near = shifted(voi[z - up, y - down], w, -along)
                    inside_far = shifted(voi[z + up, y + down], w, along)
                    before, after = here & inside_near & (middle ^ near), here & inside_far & (middle ^ far)
                    crossings += ones(after)
                    ended = (middle & after & ~inside_near) | (middle & before & ~inside_far)
                    if ended:
                        ends += ones(ended)
                    if before & after:
                        lone += ones(before & after)
            counts[k, i, 0] = crossings
            counts[k, i, 1] = ends
            counts[k, i, 2] = lone
    total: Counts = counts.sum(axis=0)
    return total
