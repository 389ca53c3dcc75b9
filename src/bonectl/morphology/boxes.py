"""A volume cut into boxes: what adds up over voxels, cells and lines, box by box.

Every voxel and every cell (`morphology.cells`) belongs to exactly one box, so the sums over all boxes are those of
the whole volume.
"""

from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from bonectl.morphology.bits import Planes
from bonectl.morphology.cells import CODES, OUTSIDE, Labels
from bonectl.morphology.sweep import Count

Edges = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

# A box with less of the volume of interest than this share of the fullest box joins its nearest fuller neighbour.
LEAST_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class Boxes:
    """A grid of boxes, and which of them stand together as one part.

    Parameters
    ----------
    edges : three (n + 1,) int arrays
        Where boxes begin and end along z, y, x [voxel]; the grid spans the whole volume.
    part : (boxes,) int array
        The part each box belongs to, boxes in order of z, y, x; parts are numbered from 0.
    """

    edges: Edges
    part: NDArray[np.int64]

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return int(self.part.max()) + 1

    def edges_on(self, shape: tuple[int, ...]) -> Edges:
        """The edges on a grid of that shape over the same volume, to the nearest of its voxels."""
        scaled = [(e * (n / e[-1])).round().astype(np.int64) for e, n in zip(self.edges, shape, strict=True)]
        return scaled[0], scaled[1], scaled[2]

    def gathered(self, values: NDArray[np.number]) -> NDArray[np.float64]:
        """Sums by part, (parts, ...), of values by box, (boxes, ...)."""
        sums = np.zeros((self.parts, *values.shape[1:]), np.float64)
        np.add.at(sums, self.part, values)
        return sums


def boxes(labels: Labels, counts: tuple[int, int, int]) -> Boxes:
    """Cut the box around the volume of interest into equal boxes; the outermost take what lies beyond.

    Parameters
    ----------
    labels : (z, y, x) uint8
        Values of `morphology.cells`; not everything is outside.
    counts : tuple of int
        How many boxes along z, y, x; at most the voxels there are.
    """
    inside = labels != OUTSIDE
    z, y, x = (_edges(inside, axis, number) for axis, number in enumerate(counts))
    edges = (z, y, x)
    return Boxes(edges, _merged(box_sums(inside, edges), edges))


def box_sums(values: NDArray[np.number] | NDArray[np.bool_], edges: Edges) -> NDArray[np.float64]:
    """Sum of the values in each box, (boxes,), in order of z, y, x.

    Parameters
    ----------
    values : (z, y, x) array
    edges : Edges
        Of the same grid.
    """
    z, y, x = edges
    layers = []
    for start, stop in pairwise(z):
        flat = values[start:stop].sum(axis=0, dtype=np.float64)
        layers.append(_between(_between(flat, y), x, axis=1))
    return np.stack(layers).ravel()


def _between(values: NDArray[np.float64], edge: NDArray[np.int64], axis: int = 0) -> NDArray[np.float64]:
    """Sums from each edge to the next along one axis; 0 where two edges are the same."""
    sums = np.insert(np.cumsum(values, axis), 0, 0.0, axis)
    return np.diff(sums.take(edge, axis), axis=axis)


def cell_counts(labels: Labels, edges: Edges) -> NDArray[np.uint32]:
    """How often each cell code of `morphology.cells` occurs in each box, (boxes, 65536).

    A cell belongs to the box of its farthest corner; the cells beyond the last plane, row and column to the last box.
    """
    sides = [np.array([[a, b + (b == edge[-1])] for a, b in pairwise(edge)], np.int64) for edge in edges]
    ranges = np.array([np.concatenate(ends) for ends in product(*sides)], np.int64)
    counts: NDArray[np.uint32] = _count(labels, ranges)
    return counts


def counts_about(labels: Labels, edges: Edges, *counts: Count) -> list[NDArray[np.int64]]:
    """Each of some counts of `morphology.sweep` about the voxels of each box, (boxes, ...)."""
    framed = np.pad(labels, 1)
    found = []
    for z, y, x in product(*([slice(a, b + 2) for a, b in pairwise(edge)] for edge in edges)):
        around = framed[z, y, x]
        centres = np.zeros(around.shape, bool)
        centres[1:-1, 1:-1, 1:-1] = around[1:-1, 1:-1, 1:-1] != OUTSIDE
        planes = Planes.of(around, centres)
        found.append([count(planes) for count in counts])
    return [np.stack(one) for one in zip(*found, strict=True)]


def _edges(inside: NDArray[np.bool_], axis: int, number: int) -> NDArray[np.int64]:
    """Edges along one axis: equal parts of what is inside, the outermost moved to the ends of the volume."""
    others = tuple(other for other in range(3) if other != axis)
    filled = np.flatnonzero(inside.any(axis=others))
    edges = np.linspace(filled[0], filled[-1] + 1, number + 1).round().astype(np.int64)
    edges[0], edges[-1] = 0, inside.shape[axis]
    return edges


def _merged(voxels: NDArray[np.float64], edges: Edges) -> NDArray[np.int64]:
    """The part of each box: its own, or that of the nearest box with enough of the volume of interest."""
    full = voxels >= LEAST_SHARE * voxels.max()
    centres = np.array(list(product(*((edge[1:] + edge[:-1]) / 2 for edge in edges))))
    part = np.cumsum(full) - 1
    keepers = np.flatnonzero(full)
    for box in np.flatnonzero(~full):
        nearest = keepers[np.square(centres[keepers] - centres[box]).sum(1).argmin()]
        part[box] = part[nearest]
    return part.astype(np.int64)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _at(labels: Labels, z: int, y: int, x: int) -> np.uint32:
    """The label there, 0 beyond the volume."""
    if 0 <= z < labels.shape[0] and 0 <= y < labels.shape[1] and 0 <= x < labels.shape[2]:
        return np.uint32(labels[z, y, x])
    return np.uint32(0)


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _count(labels: Labels, ranges: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Counts by code in each range (z0, z1, y0, y1, x0, x1) of cells, (ranges, 65536)."""
    counts = np.zeros((len(ranges), CODES), np.uint32)
    for box in prange(len(ranges)):
        mine = counts[box]
        z0, z1, y0, y1, x0, x1 = ranges[box]
        for z in range(z0, z1):
            for y in range(y0, y1):
                code = np.uint32(0)
                for x in range(x0 - 1, x1):
                    fresh = (
                        (_at(labels, z - 1, y - 1, x) << np.uint32(2))
                        | (_at(labels, z - 1, y, x) << np.uint32(6))
                        | (_at(labels, z, y - 1, x) << np.uint32(10))
                        | (_at(labels, z, y, x) << np.uint32(14))
                    )
                    code = ((code >> np.uint32(2)) & np.uint32(0x3333)) | fresh
                    if x >= x0:
                        mine[code] += np.uint32(1)
    return counts
