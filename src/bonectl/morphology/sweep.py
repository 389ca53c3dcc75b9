"""Counts about every voxel of a stack that comes slab by slab, two planes of it held besides the slab."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from bonectl.morphology.bits import Planes
from bonectl.morphology.cells import Labels

Counts = NDArray[np.int64]

# Counts about the centres of all planes but the first and the last. It sees the neighbours of a voxel and no farther,
# and adds up: of two sets of centres it counts what it counts of the first and of the second.
Count = Callable[[Planes], Counts]

# Planes that are counted at a time.
BLOCK = 32


class Sweep:
    """Adds up counts over the volume of interest; `finish` closes the far side of the stack.

    Parameters
    ----------
    *counts : Count
    """

    def __init__(self, *counts: Count) -> None:
        self._counts = counts
        self._totals: tuple[Counts, ...] = ()
        self._before: Labels | None = None

    def add(self, slab: Labels) -> None:
        """Count what the planes of `slab`, (n, y, x), complete."""
        for start in range(0, len(slab), BLOCK):
            self._add(slab[start : start + BLOCK])

    def finish(self) -> tuple[Counts, ...]:
        """Each of the counts of the whole stack; it has a plane at least."""
        assert self._before is not None
        self._add(np.zeros_like(self._before[:1]))
        return self._totals

    def _add(self, planes: Labels) -> None:
        before = np.zeros_like(planes[:1]) if self._before is None else self._before
        around = np.concatenate([before, planes])
        bits = Planes.of(around)
        found = tuple(count(bits) for count in self._counts)
        self._totals = tuple(map(np.add, self._totals, found)) if self._totals else found
        self._before = around[-2:].copy()


def swept(count: Count, slabs: Iterable[Labels]) -> Counts:
    """One count over the volume of interest of a labelled stack.

    Parameters
    ----------
    count : Count
    slabs : iterable of (n, y, x) uint8 arrays
        Consecutive along z, values of `morphology.cells`.
    """
    sweep = Sweep(count)
    for slab in slabs:
        sweep.add(slab)
    return sweep.finish()[0]
