"""A volume seen through overlapping windows: what adds up over voxels, cells and lines, window by window.

Windows stand side by side in a regular grid. From its centre each falls off to nothing at the centres of its
neighbours, along every axis, and those at the border do not fall off towards it; so at every place the windows add up
to the same, and the sums over all windows are those of the whole volume. Sharp boxes cut what evens out across their
walls (the noise of a reconstruction, the curvature of bone), and count it as if it did not.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numba import get_num_threads, njit, prange, set_num_threads
from numpy.typing import NDArray

from bonectl.morphology.bits import Planes
from bonectl.morphology.cells import OUTSIDE, Cells, Labels
from bonectl.morphology.sweep import Count

Edges = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
Hats = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

# All windows together, at any place along one axis and in space: weights are whole numbers, and so are counts.
WHOLE = 64
TOGETHER = WHOLE**3

# A window with less of the volume of interest than this share of the fullest joins its nearest fuller neighbour.
LEAST_SHARE = 0.25


@contextmanager
def _one_thread() -> Iterator[None]:
    """numba's kernels on one thread meanwhile."""
    before = get_num_threads()
    set_num_threads(1)
    try:
        yield
    finally:
        set_num_threads(before)


@dataclass(frozen=True, eq=False)
class SubVolumes:
    """A grid of windows, and which of them stand together as one part.

    Parameters
    ----------
    shape : tuple of int
        Of the volume.
    centres : three (n,) float arrays
        Of the windows, as a share of the volume's length along z, y, x.
    edges : three (2 n + 1,) int arrays
        Where the halves of the windows' middles begin and end [voxel]; the first and the last span the volume.
    part : (windows,) int array
        The part each window belongs to, windows in order of z, y, x; parts are numbered from 0.
    spread : float
        What the standard deviation of a sum over resampled parts is multiplied by: of values that do not know of each
        other it is then right.
    freedom : float
        Degrees of freedom of that standard deviation.
    """

    shape: tuple[int, ...]
    centres: tuple[NDArray[np.float64], ...]
    edges: Edges
    part: NDArray[np.int64]
    spread: float
    freedom: float

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return int(self.part.max()) + 1

    def sums(self, values: NDArray[np.number] | NDArray[np.bool_]) -> NDArray[np.float64]:
        """Sum of the values in each part, (parts,), in units of 1 / `TOGETHER`.

        Parameters
        ----------
        values : (z, y, x) array
            Over the same volume; its voxels may be larger.
        """
        return self._gathered(_window_sums(values, _voxel_hats(self.centres, values.shape)))

    def cells(self, labels: Labels, whole: Cells) -> NDArray[np.int64]:
        """How often each configuration of `whole` occurs in each part, (parts, n), in units of 1 / `TOGETHER`."""
        places = (np.arange(length + 1) / length for length in self.shape)
        z, y, x = (_hats(centre, place) for centre, place in zip(self.centres, places, strict=True))
        codes = ((2 * whole.voi.astype(np.int64) + whole.bone) << (2 * np.arange(8))).sum(1)
        column = np.zeros(1 << 16, np.int64)
        column[codes] = np.arange(len(codes))
        return self._gathered(_count_cells(labels, z, y, x, column, len(codes))).astype(np.int64)

    def about(self, labels: Labels, *counts: Count) -> list[NDArray[np.int64]]:
        """Each of some counts of `morphology.sweep` in each part, (parts, ...), in units of 1 / `TOGETHER`.

        The halves of the windows' middles are counted, each with the weights at its own middle.
        """
        framed = np.pad(labels, 1)
        found = []
        with _one_thread():  # hundreds of small pieces: waking threads for each costs more than counting it
            for z, y, x in product(*([slice(a, b + 2) for a, b in pairwise(edge)] for edge in self.edges)):
                around = framed[z, y, x]
                centres = np.zeros(around.shape, bool)
                centres[1:-1, 1:-1, 1:-1] = around[1:-1, 1:-1, 1:-1] != OUTSIDE
                planes = Planes.of(around, centres)
                found.append([count(planes) for count in counts])
        return [self.of_halves(np.stack(one)).astype(np.int64) for one in zip(*found, strict=True)]

    def of_halves(self, values: NDArray[np.number]) -> NDArray[np.float64]:
        """Sums by part, (parts, ...), of values by half, (halves, ...), in order of z, y, x."""
        hats = [np.repeat(np.eye(len(c), dtype=np.int64), 2, 1) * (3 * WHOLE // 4) for c in self.centres]
        for hat in hats:  # a quarter to the neighbour on that side, or to the window itself where there is none
            n = len(hat)
            for half in range(2 * n):
                hat[min(max(half // 2 + (1 if half % 2 else -1), 0), n - 1), half] += WHOLE // 4
        blocks = values.reshape(*(2 * len(c) for c in self.centres), *values.shape[1:])
        for axis, hat in enumerate(hats):
            blocks = np.moveaxis(np.tensordot(hat, blocks, (1, axis)), 0, axis)
        return self._gathered(blocks.reshape(-1, *values.shape[1:]))

    def _gathered(self, values: NDArray[np.number]) -> NDArray[np.float64]:
        sums = np.zeros((self.parts, *values.shape[1:]), np.float64)
        np.add.at(sums, self.part, values)
        return sums


def sub_volumes(labels: Labels, counts: tuple[int, int, int]) -> SubVolumes:
    """Windows over the box around a volume of interest.

    Parameters
    ----------
    labels : (z, y, x) uint8
        Values of `morphology.cells`; not everything is outside.
    counts : tuple of int
        How many along z, y, x; at most the voxels there are.
    """
    inside = labels != OUTSIDE
    spans = [_span(inside, axis) for axis in range(3)]
    centres = tuple(
        (first + (np.arange(n) + 0.5) * (last - first) / n) / length
        for (first, last), n, length in zip(spans, counts, labels.shape, strict=True)
    )
    z, y, x = (_edges(span, 2 * n, length) for span, n, length in zip(spans, counts, labels.shape, strict=True))
    hats = _voxel_hats(centres, labels.shape)
    part = _merged(_window_sums(inside, hats), centres, labels.shape)
    spread, freedom = _spread(inside, hats, part)
    return SubVolumes(labels.shape, centres, (z, y, x), part, spread, freedom)


def _span(inside: NDArray[np.bool_], axis: int) -> tuple[int, int]:
    filled = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
    return int(filled[0]), int(filled[-1]) + 1


def _edges(span: tuple[int, int], number: int, length: int) -> NDArray[np.int64]:
    """Edges along one axis: equal parts of what is inside, the outermost moved to the ends of the volume."""
    edges = np.linspace(*span, number + 1).round().astype(np.int64)
    edges[0], edges[-1] = 0, length
    return edges


def _hats(centres: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.int64]:
    """Weights of windows at places along one axis, (windows, places), adding up to `WHOLE` at each."""
    shares = [np.interp(places, centres, one) for one in np.eye(len(centres))]
    rising = np.rint(WHOLE * np.cumsum(shares, axis=0)).astype(np.int64)
    return np.diff(rising, axis=0, prepend=0)


def _voxel_hats(centres: Sequence[NDArray[np.float64]], shape: tuple[int, ...]) -> Hats:
    """Weights at the middles of the voxels of a grid over the volume."""
    z, y, x = (_hats(c, (np.arange(n) + 0.5) / n) for c, n in zip(centres, shape, strict=True))
    return z, y, x


def _window_sums(
    values: NDArray[np.number] | NDArray[np.bool_], hats: Sequence[NDArray[np.number]]
) -> NDArray[np.float64]:
    """Weighted sums, (windows,), in order of z, y, x."""
    z, y, x = (hat.astype(np.float64) for hat in hats)
    sums = np.zeros((len(z), len(y), len(x)))
    for plane, weights in zip(values, z.T, strict=True):
        sums += weights[:, None, None] * (y @ plane.astype(np.float64) @ x.T)
    return sums.ravel()


def _merged(
    voxels: NDArray[np.float64], centres: Sequence[NDArray[np.float64]], shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """The part of each window: its own, or that of the nearest window with enough of the volume of interest."""
    full = voxels >= LEAST_SHARE * voxels.max()
    places = np.array(list(product(*centres))) * shape
    part = np.cumsum(full) - 1
    keepers = np.flatnonzero(full)
    for window in np.flatnonzero(~full):
        part[window] = part[keepers[np.square(places[keepers] - places[window]).sum(1).argmin()]]
    return part.astype(np.int64)


def _spread(inside: NDArray[np.bool_], hats: Hats, part: NDArray[np.int64]) -> tuple[float, float]:
    """`SubVolumes.spread` and `SubVolumes.freedom`, from how the windows overlap.

    Of independent values of variance 1 at F voxels, less their mean, the parts hold sums of covariance
    Q = G - v vᵀ / F: G what two windows have in common, v their volumes. Resampling gives the variance tr Q for F, and
    its square varies as that of tr(Q)² / ‖Q‖² degrees of freedom.
    """
    numbers = [len(hat) for hat in hats]
    # Along one axis a window meets itself and the next, at a + a and a + a + 1 of these products.
    common = [np.array([hat[k // 2] * hat[(k + 1) // 2] for k in range(2 * len(hat) - 1)]) for hat in hats]
    shared = _window_sums(inside, common).reshape([2 * n - 1 for n in numbers])
    index = np.stack(np.unravel_index(np.arange(len(part)), numbers))
    near = (np.abs(index[:, :, None] - index[:, None]) <= 1).all(0)
    overlaps = np.where(near, shared[tuple(index[:, :, None] + index[:, None])], 0.0) / TOGETHER**2
    member = np.eye(int(part.max()) + 1)[part]
    total = float(np.count_nonzero(inside))
    volumes = member.T @ _window_sums(inside, hats) / TOGETHER
    covariance = member.T @ overlaps @ member - np.outer(volumes, volumes) / total
    trace = float(np.trace(covariance))
    if not trace > 0:
        return float("nan"), 0.0
    return float(np.sqrt(total / trace)), trace**2 / float(np.square(covariance).sum())


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _at(labels: Labels, z: int, y: int, x: int) -> np.uint32:
    """The label there, 0 beyond the volume."""
    if 0 <= z < labels.shape[0] and 0 <= y < labels.shape[1] and 0 <= x < labels.shape[2]:
        return np.uint32(labels[z, y, x])
    return np.uint32(0)


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _count_cells(
    labels: Labels,
    hats_z: NDArray[np.int64],
    hats_y: NDArray[np.int64],
    hats_x: NDArray[np.int64],
    column: NDArray[np.int64],
    columns: int,
) -> NDArray[np.int64]:
    """Weights of the cells of each code, added up in its column, (windows, columns)."""
    rows, across = len(hats_y), len(hats_x)
    counts = np.zeros((len(hats_z) * rows * across, columns), np.int64)
    for window in prange(len(counts)):
        mine = counts[window]
        weights_z, weights_y = hats_z[window // (rows * across)], hats_y[window // across % rows]
        weights_x = hats_x[window % across]
        first = 0
        while first < len(weights_x) and weights_x[first] == 0:
            first += 1
        for z in range(len(weights_z)):
            for y in range(len(weights_y)):
                weight = weights_z[z] * weights_y[y]
                if weight == 0:
                    continue
                code = np.uint32(0)
                for x in range(first - 1, len(weights_x)):
                    if x > first and weights_x[x] == 0:
                        break
                    fresh = (
                        (_at(labels, z - 1, y - 1, x) << np.uint32(2))
                        | (_at(labels, z - 1, y, x) << np.uint32(6))
                        | (_at(labels, z, y - 1, x) << np.uint32(10))
                        | (_at(labels, z, y, x) << np.uint32(14))
                    )
                    code = ((code >> np.uint32(2)) & np.uint32(0x3333)) | fresh
                    if x >= first:
                        mine[column[code]] += weight * weights_x[x]
    return counts
