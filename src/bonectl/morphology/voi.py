"""Volumes of interest that follow from a stack's shape, or from where it holds data."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.morphology.cells import BONE, OUTSIDE, Labels

# Slices made at a time.
BLOCK = 16


def cylinder(header: Header) -> Stack:
    """The largest upright cylinder in a volume, as a mask: the field of view of most scanners.

    Parameters
    ----------
    header : Header
        Of the volume.

    Returns
    -------
    Stack
        In unit "label": 1 where the voxel's centre lies within half the shorter side of the middle of the slice.
    """
    sides = [side or 1.0 for side in header.spacing[1:]]
    y, x = ((np.arange(n) - (n - 1) / 2) * side for n, side in zip(header.shape[1:], sides, strict=True))
    radius = min(n * side for n, side in zip(header.shape[1:], sides, strict=True)) / 2
    section = (y[:, None] ** 2 + x**2 <= radius**2).astype(np.uint8)
    plain = Header(shape=header.shape, dtype="|u1", axes=header.axes, spacing=header.spacing, unit="label")
    return Stack(plain, _repeated(section, header.shape[0]))


def _repeated(section: NDArray[np.uint8], planes: int) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, planes, BLOCK):
        yield np.ascontiguousarray(np.broadcast_to(section, (min(BLOCK, planes - start), *section.shape)))


def field_of_view(values: NDArray[np.number]) -> NDArray[np.bool_]:
    """In each slice the convex hull of what is not padding.

    Parameters
    ----------
    values : (z, y, x) array

    Returns
    -------
    (z, y, x) bool
        Padding is the value that stands in all four corners of a slice; where the corners differ, the slice is all
        inside. Pixels inside that happen to have the value of the padding are in the hull.
    """
    return np.stack([_hull(plane) for plane in values])


def _hull(plane: NDArray[np.number]) -> NDArray[np.bool_]:
    fill = plane[0, 0]
    if not (plane[[0, 0, -1, -1], [0, -1, 0, -1]] == fill).all():
        return np.ones(plane.shape, bool)
    data = np.asarray(plane != fill)
    rows = np.flatnonzero(data.any(1))
    if not rows.size:
        return data
    first, last = data[rows].argmax(1), data.shape[1] - 1 - data[rows, ::-1].argmax(1)
    span = np.arange(rows[0], rows[-1] + 1)
    left, right = _envelope(rows, first, span), -_envelope(rows, -last, span)
    columns = np.arange(plane.shape[1])
    hull = np.zeros(plane.shape, bool)
    # Interpolated bounds are exact at the pixels that carry them, up to rounding.
    hull[span] = (columns >= left[:, None] - 1e-9) & (columns <= right[:, None] + 1e-9)
    return hull


def _envelope(rows: NDArray[np.int64], edge: NDArray[np.int64], span: NDArray[np.int64]) -> NDArray[np.float64]:
    """The largest convex function of the row that nowhere exceeds `edge`, at each row of `span`."""
    kept: list[tuple[int, int]] = []
    for row, column in zip(rows.tolist(), edge.tolist(), strict=True):
        while len(kept) > 1:
            (r0, c0), (r1, c1) = kept[-2:]
            if (c1 - c0) * (row - r0) < (column - c0) * (r1 - r0):
                break
            kept.pop()
        kept.append((row, column))
    corners = np.array(kept, np.float64)
    return np.interp(span, corners[:, 0], corners[:, 1])


class Extent:
    """How far a volume of interest and the bone in it reach, from slabs of labels as they come.

    Parameters
    ----------
    shape : tuple of int
        Of the whole volume, (z, y, x).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._inside, self._bone = ([np.zeros(n, np.int64) for n in shape] for _ in range(2))
        self._start = 0

    def add(self, labels: Labels) -> None:
        """The next slab, (n, y, x), values of `morphology.cells`."""
        for sums, mask in ((self._inside, labels != OUTSIDE), (self._bone, labels == BONE)):
            z, y, x = sums
            z[self._start : self._start + len(labels)] = [np.count_nonzero(plane) for plane in mask]
            plane = np.add.reduce(mask, axis=0, dtype=np.uint32)
            y += plane.sum(axis=1, dtype=np.int64)
            x += plane.sum(axis=0, dtype=np.int64)
        self._start += len(labels)

    @property
    def voxels(self) -> tuple[int, ...]:
        """Sides of the box around what is inside; 0 where nothing is."""
        places = (np.flatnonzero(filled) for filled in self._inside)
        return tuple(int(place[-1] - place[0] + 1) if place.size else 0 for place in places)

    @property
    def shell(self) -> int:
        """Voxels on all six sides without bone, around bone that was cut flat; 0 is none.

        Bone is cut where its outermost plane holds half as much of it as the planes do on average: what ends by itself
        ends in few voxels.
        """
        margins = []
        for inside, bone in zip(self._inside, self._bone, strict=True):
            filled, reach = np.flatnonzero(bone), np.flatnonzero(inside)
            if not filled.size:
                return 0
            ends = bone[filled[[0, -1]]]
            if ends.min() < bone[filled[0] : filled[-1] + 1].mean() / 2:
                return 0
            margins += [int(filled[0] - reach[0]), int(reach[-1] - filled[-1])]
        return min(margins)


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The least box that holds all of a mask, which holds something."""
    ends = [np.flatnonzero(mask.any(axis=others))[[0, -1]] for others in ((1, 2), (0, 2), (0, 1))]
    return tuple(slice(int(first), int(last) + 1) for first, last in ends)
