"""One pass over all 2 x 2 x 2 neighbourhoods of a bone mask, slab by slab.

A *cell* is the cube between eight voxel centres. Which of the eight lie in the volume of interest and which of
them are bone is all that volume, Euler number and mean curvature need (Ohser & Mücklich,
Statistical Analysis of Microstructures in Materials Science, 2000). So the pass counts how often each of the
configurations occurs, in integers; everything else is a weighted sum over a few thousand counts. Beyond the stack
there is neither bone nor volume of interest.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, product
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

# What a voxel of a labelled slab is. Two bits: volume of interest, and bone (only ever inside it).
OUTSIDE, MARROW, BONE = 0, 2, 3

Labels = NDArray[np.uint8]
Counts = NDArray[np.int64]

# Corner k of a cell lies at (k >> 2, k >> 1 & 1, k & 1) = (z, y, x).
CORNERS = np.array(list(product((0, 1), repeat=3)))

CODES = 1 << 16


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _count(before: Labels, slab: Labels, parts: int) -> Counts:
    """How often each code occurs among the cells between `before` and the planes of `slab`; (65536,).

    A code holds two bits per corner: corner k at bits 2k and 2k + 1.
    """
    planes, rows, cols = slab.shape
    counts = np.zeros((parts, CODES), np.int64)
    nothing = np.zeros(cols, np.uint8)
    for part in prange(parts):
        mine = counts[part]
        for z in range(planes * part // parts, planes * (part + 1) // parts):
            upper = slab[z - 1] if z > 0 else before
            lower = slab[z]
            for y in range(rows + 1):
                a = upper[y - 1] if y > 0 else nothing
                b = upper[y] if y < rows else nothing
                c = lower[y - 1] if y > 0 else nothing
                d = lower[y] if y < rows else nothing
                code = np.uint32(0)
                for x in range(cols):
                    fresh = (
                        (np.uint32(a[x]) << 2)
                        | (np.uint32(b[x]) << 6)
                        | (np.uint32(c[x]) << 10)
                        | (np.uint32(d[x]) << 14)
                    )
                    code = ((code >> np.uint32(2)) & np.uint32(0x3333)) | fresh
                    mine[code] += 1
                mine[(code >> np.uint32(2)) & np.uint32(0x3333)] += 1
    total: Counts = counts.sum(axis=0)
    return total


def count(slabs: Iterable[Labels], *, parts: int = 2) -> "Cells":
    """Count the cells of a labelled stack; two planes of it are held besides the slab.

    Parameters
    ----------
    slabs : iterable of (n, y, x) uint8 arrays
        Consecutive along z, values `OUTSIDE`, `MARROW` or `BONE`.
    parts : int
        Into how many parts a slab is cut for the threads. The counts do not depend on it.

    Returns
    -------
    Cells
    """
    counter = Counter(parts)
    for slab in slabs:
        counter.add(slab)
    return counter.finish()


class Counter:
    """Counts cells of slabs as they come; `finish` closes the far side of the stack."""

    def __init__(self, parts: int = 2) -> None:
        self._parts = parts
        self._counts = np.zeros(CODES, np.int64)
        self._before: Labels | None = None

    def add(self, slab: Labels) -> None:
        """Count the cells between the last plane so far and those of `slab`, (n, y, x)."""
        before = np.zeros(slab.shape[1:], np.uint8) if self._before is None else self._before
        self._counts += _count(before, slab, self._parts)
        self._before = slab[-1].copy()

    def finish(self) -> "Cells":
        """The counts of the whole stack."""
        if self._before is not None:
            self.add(np.zeros((1, *self._before.shape), np.uint8))
        return Cells.of(self._counts)


def _edges() -> list[NDArray[np.int64]]:
    """For each of the six grid edges that meet at the cell's centre: the four corners around it."""
    return [np.flatnonzero(CORNERS[:, axis] == side) for axis in range(3) for side in (0, 1)]


def _faces() -> list[NDArray[np.int64]]:
    """For each of the twelve grid faces that meet at the cell's centre: the two corners it parts."""
    return [np.array(p) for p in combinations(range(8), 2) if abs(CORNERS[p[0]] - CORNERS[p[1]]).sum() == 1]


@dataclass(frozen=True, eq=False)
class Cells:
    """How often each cell configuration occurs.

    Parameters
    ----------
    voi, bone : (n, 8) bool
        Which corners lie in the volume of interest, and which of them are bone.
    number : (n,) int64
        How many cells look like that.
    """

    voi: NDArray[np.bool_]
    bone: NDArray[np.bool_]
    number: Counts
    _weights: dict[Any, NDArray[Any]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, counts: Counts) -> "Cells":
        """From counts by code, (65536,)."""
        codes = np.flatnonzero(counts)
        bits = codes[:, None] >> (2 * np.arange(8))
        return cls((bits >> 1 & 1).astype(bool), (bits & 1).astype(bool), counts[codes])

    def counted(self, number: Counts) -> "Cells":
        """The same configurations in other numbers; what each of them weighs is worked out once for both."""
        return replace(self, number=number)

    def total(self, key: object, weights: Callable[[], NDArray[Any]]) -> Any:
        """Sum over all cells of what a cell of each configuration weighs, (n,), worked out when `key` is new."""
        if key not in self._weights:
            self._weights[key] = weights()
        return self._weights[key] @ self.number

    def _sum(self, key: object, weights: Callable[[], NDArray[Any]]) -> int:
        return int(self.total(key, lambda: weights().astype(np.int64)))

    @cached_property
    def total_voxels(self) -> int:
        """Voxels in the volume of interest (TV)."""
        return self._sum("voi", lambda: self.voi.sum(1)) // 8

    @cached_property
    def bone_voxels(self) -> int:
        """Bone voxels (BV)."""
        return self._sum("bone", lambda: self.bone.sum(1)) // 8

    @cached_property
    def euler(self) -> int:
        """Euler number χ of the bone, 26-connected; marrow 6-connected; no bone beyond the volume of interest.

        Vertices minus edges plus faces minus cubes of the union of closed bone voxels, each shared out among the
        8, 4, 2 and 1 voxel octants that see it (Toriwaki & Yonekura, Forma 17:183, 2002).
        """
        return self._sum("euler", self._turns) // 8

    @cached_property
    def euler_in_voi(self) -> float:
        """Δχ: what the bone adds to the Euler number of the whole of which the volume of interest is a part.

        The sum of `euler` over the cells that lie all within the volume of interest, no cell at its border: the
        expected sum of such cells is the same wherever the border runs (minus sampling; Ohser & Mücklich 2000). For a
        box this is Odgaard & Gundersen's χ - ½ Σχ(faces) + ¼ Σχ(edges) - ⅛ Σχ(corners) (Bone 14:173, 1993), as the
        shares of cells at a flat wall, at its edges and its corners cancel. At the steps of any other border they do
        not: the voxels that lie there are taken to be like the others, and Δχ grows by their share of the bone.

        Of bone that fills a box of n³ voxels it is ((n - 1) / n)³ of the Euler number per volume, as in BoneJ: half a
        voxel at each flat wall belongs to no cell. Of other borders the factor lies between that and 1.
        """
        within = self.voi.all(1)

        def weights() -> NDArray[Any]:
            return np.asarray(within * self._turns())

        inner = self._sum("euler within", weights) / 8
        bone = self._sum("bone within", lambda: within * self.bone.sum(1))
        steps = self._sum("bone at steps", lambda: (~within & ~self._flat()) * self.bone.sum(1))
        return inner * (1 + steps / bone) if bone else inner

    def _turns(self) -> NDArray[Any]:
        """What each cell adds to eight times the Euler number, (n,)."""
        vertices = 8 * self.bone.any(1)
        edges = sum(4 * self.bone[:, edge].any(1) for edge in _edges())
        faces = sum(2 * self.bone[:, face].any(1) for face in _faces())
        return np.asarray(vertices - edges + faces - self.bone.sum(1))

    def _flat(self) -> NDArray[np.bool_]:
        """Where the corners in the volume of interest are those of a box, (n,): a wall, an edge or a corner of it."""
        box = np.ones(len(self.voi), np.int64)
        for axis in range(3):
            near, far = (self.voi[:, CORNERS[:, axis] == end].any(1) for end in (0, 1))
            box *= near.astype(np.int64) + far
        return np.asarray(box == self.voi.sum(1))
