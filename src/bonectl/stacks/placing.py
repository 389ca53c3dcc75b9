"""Where a volume lies in the scan that it was cut from, and a mask put in its place by that."""

from collections.abc import Iterator, Mapping, Sequence
from math import isclose

import numpy as np

from bonectl.core import progress
from bonectl.core.header import Fact, Header
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import DataError

# Facts of the exposure that say where a volume's first voxel lies in the scan [voxel].
PLACE = ("position_z", "position_y", "position_x")
# Voxels whose sides differ by less than this share are the same.
SAME = 1e-3


def position(header: Header) -> tuple[int, int, int] | None:
    """Where the first voxel lies, (z, y, x) [voxel]; None where that is not known."""
    z, y, x = (header.acquisition.get(fact) for fact in PLACE)
    return (z, y, x) if isinstance(z, int) and isinstance(y, int) and isinstance(x, int) else None


def without(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    """Facts of the exposure without the place, which a volume of other voxels does not have."""
    return {fact: value for fact, value in facts.items() if fact not in PLACE}


def moved(header: Header, picked: Sequence[range]) -> Mapping[str, Fact]:
    """The facts of the exposure of what is cut out of a volume: its place moves, or goes where voxels are skipped.

    Parameters
    ----------
    header : Header
        Of the whole.
    picked : sequence of range
        Voxels that are kept, along z, y and x.
    """
    there = position(header)
    facts = without(header.acquisition)
    if there is None or header.is_scan or any(part.step != 1 for part in picked):
        return facts
    return facts | {fact: at + part.start for fact, at, part in zip(PLACE, there, picked, strict=True)}


def placed(mask: Stack, onto: Header) -> Stack:
    """A mask on the grid of a volume, by where both lie in their scan; itself where either does not say, or it fits.

    Parameters
    ----------
    mask : Stack
        Zero outside of what it knows.
    onto : Header
        Of the volume.

    Raises
    ------
    DataError
        When the voxels differ in size, or the mask lies wholly beside the volume.
    """
    here, there = position(mask.header), position(onto)
    if here is None or there is None or (here == there and mask.header.shape == onto.shape):
        return mask
    for one, other in zip(mask.header.spacing, onto.spacing, strict=True):
        if one and other and not isclose(one, other, rel_tol=SAME):
            raise DataError(f"the mask has voxels of {one:g} mm, the volume of {other:g} mm; they must match")
    offset = [a - b for a, b in zip(here, there, strict=True)]
    inside = [
        range(max(0, at), min(length, at + own))
        for at, own, length in zip(offset, mask.header.shape, onto.shape, strict=True)
    ]
    if any(len(part) == 0 for part in inside):
        raise DataError(f"the mask lies at {here}, beside the volume at {there} of {onto.shape} voxels (z, y, x)")
    if any(len(part) < own for part, own in zip(inside, mask.header.shape, strict=True)):
        progress.note("part of the mask lies beyond the volume, and is left out")
    facts = dict(mask.header.acquisition) | dict(zip(PLACE, there, strict=True))
    header = mask.header.replace(shape=onto.shape, acquisition=facts)
    return Stack(header, _slices(mask, header, offset, inside), mask.finite)


def _slices(mask: Stack, header: Header, offset: Sequence[int], inside: Sequence[range]) -> Iterator[Array]:
    own = tuple(slice(part.start - at, part.stop - at) for at, part in zip(offset[1:], inside[1:], strict=True))
    here = tuple(slice(part.start, part.stop) for part in inside[1:])
    empty = np.zeros((1, *header.shape[1:]), header.dtype)
    for _ in range(inside[0].start):
        yield empty
    for z, one in enumerate((one for slab in mask.slabs for one in slab), offset[0]):
        if z in inside[0]:
            whole = empty.copy()
            whole[0][here] = one[own]
            yield whole
    for _ in range(inside[0].stop, header.shape[0]):
        yield empty
