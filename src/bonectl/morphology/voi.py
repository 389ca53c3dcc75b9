"""Volumes of interest that follow from a stack's shape."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bonectl.core.header import Header
from bonectl.core.stack import Stack

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
