"""Where a strut of the reference is broken in another volume: found by a rule, not by hand."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass, find_objects, label

Mask = NDArray[np.bool_]

HALF = 6  # of the cube that is looked at: 13 voxels, three trabeculae wide
FEWEST = 30  # voxels of bone that a piece must have: less is a speck
_ALL = np.ones((3, 3, 3), bool)


@dataclass(frozen=True)
class Break:
    """A place where the reference is one piece and the other is two.

    Parameters
    ----------
    place : tuple of int
        z, y, x.
    second : int
        Voxels of the reference's strut in the smaller of the other's two largest pieces.
    axis : int
        The slice across which shows it best.
    shown : int
        As `second`, of pixels in that slice; 0 where no slice shows it.
    """

    place: tuple[int, ...]
    second: int
    axis: int
    shown: int


def breaks(reference: Mask, other: Mask) -> Iterator[Break]:
    """All breaks: for each connected part of the bone that is missing, the cube of 13 voxels around its middle.

    A strut is broken where the reference's bone at that place is one piece inside the cube (26 neighbours), and the
    other's bone that touches it is two pieces or more, of which two cover at least 30 voxels of it each.
    """
    lost, count = label(reference & ~other, _ALL)
    if not count:
        return
    middles = center_of_mass(lost > 0, lost, range(1, count + 1))
    for number, box in enumerate(find_objects(lost), start=1):
        own = lost[box] == number
        if own.sum() < 3:
            continue
        middle = np.array(middles[number - 1])
        voxels = np.argwhere(own) + [part.start for part in box]
        place = voxels[((voxels - middle) ** 2).sum(1).argmin()]
        if (place < HALF).any() or (place >= np.array(reference.shape) - HALF).any():
            continue
        cube = tuple(slice(at - HALF, at + HALF + 1) for at in place)
        ours, theirs = reference[cube], other[cube]
        second = smaller(ours, theirs)
        if second >= FEWEST:
            slices = [smaller(ours.take([HALF], axis), theirs.take([HALF], axis)) for axis in range(3)]
            axis = int(np.argmax(slices))
            yield Break(tuple(int(at) for at in place), second, axis, slices[axis])


def smaller(reference: Mask, other: Mask) -> int:
    """How much of the reference's strut in the middle the second largest piece of the other covers."""
    pieces, _ = label(reference, _ALL)
    strut = pieces == pieces[tuple(n // 2 for n in reference.shape)]
    found, _ = label(other, _ALL)
    covered = np.sort(np.bincount(found[strut & other], minlength=3)[1:])[::-1]
    return int(covered[1]) if len(covered) > 1 else 0


def clearest(found: list[Break]) -> Break | None:
    """The break that a slice shows best: the largest second piece in the slice, then in the cube."""
    shown = [one for one in found if one.shown]
    return max(shown, key=lambda one: (one.shown, one.second, one.place), default=None)
