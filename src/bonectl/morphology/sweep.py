"""Counts about every voxel of a stack that comes slab by slab, two planes of it held besides the slab."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from bonectl.morphology.cells import OUTSIDE, Labels

Counts = NDArray[np.int64]

# Counts about the chosen voxels of all planes but the first and the last: (centres, labels), both (z, y, x).
Count = Callable[[NDArray[np.bool_], Labels], Counts]

# Planes that are counted at a time.
BLOCK = 32


class Sweep:
    """Adds up a count over the volume of interest; `finish` closes the far side of the stack.

    Parameters
    ----------
    count : callable
        Sees the neighbours of a voxel and no farther, and adds up: of two sets of centres it counts what it counts of
        the first and of the second.
    """

    def __init__(self, count: Count) -> None:
        self._count = count
        self._total: Counts | None = None
        self._before: Labels | None = None

    def add(self, slab: Labels) -> None:
        """Count what the planes of `slab`, (n, y, x), complete."""
        for start in range(0, len(slab), BLOCK):
            self._add(slab[start : start + BLOCK])

    def finish(self) -> Counts:
        """The counts of the whole stack; it has a plane at least."""
        assert self._before is not None
        self._add(np.zeros_like(self._before[:1]))
        assert self._total is not None
        return self._total

    def _add(self, planes: Labels) -> None:
        before = np.zeros_like(planes[:1]) if self._before is None else self._before
        around = np.concatenate([before, planes])
        found = self._count(around != OUTSIDE, around)
        self._total = found if self._total is None else self._total + found
        self._before = around[-2:].copy()


def swept(count: Count, slabs: Iterable[Labels]) -> Counts:
    """The count over the volume of interest of a labelled stack.

    Parameters
    ----------
    count : callable
        As for `Sweep`.
    slabs : iterable of (n, y, x) uint8 arrays
        Consecutive along z, values of `morphology.cells`.
    """
    sweep = Sweep(count)
    for slab in slabs:
        sweep.add(slab)
    return sweep.finish()
