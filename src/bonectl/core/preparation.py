"""What a preparation of a scan knows beforehand, and what it will do: nothing is read of the scan between the two."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bonectl.core.header import Header
from bonectl.core.scan import Frames
from bonectl.core.slabs import Array
from bonectl.errors import DataError, UsageError

PROJECTIONS, SINOGRAMS, EITHER = "projections", "sinograms", "either"

Plane = Array
"""A projection (row, col) or a sinogram (view, col), float32."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Setting:
    """A scan before one of its preparations.

    Parameters
    ----------
    header : Header
        Of what arrives, in the order in which the part works: projections (view, row, col) or sinograms
        (row, view, col).
    flats, darks : Frames, optional
        Readings without sample, and without beam; what an earlier part did to all readings is done to them.
    read : callable
        A file's stack as an array, by its name: what a knob names.
    """

    header: Header
    flats: Frames | None = None
    darks: Frames | None = None
    read: Callable[[str], Array] = field(repr=False)

    @property
    def lengths(self) -> dict[str, int]:
        """Views, rows and columns by the names of the axes."""
        return dict(zip(self.header.axes, self.header.shape, strict=True))

    @property
    def by_views(self) -> bool:
        """Whether planes are projections, and not sinograms."""
        return self.header.axes[0] == "view"

    def pitch(self, axis: str, part: str) -> float:
        """Distance of detector columns or rows [mm].

        Raises
        ------
        UsageError
            When it is not known.
        """
        step = self.header.spacing[self.header.axes.index(axis)]
        if step is None:
            raise UsageError(f"{part} needs the detector's pitch; give --voxel-size in mm")
        return step

    def number(self, given: float | None, fact: str, part: str) -> float:
        """What a knob says, or else the scan's own fact of that name.

        Raises
        ------
        UsageError
            When neither says it.
        """
        found = self.header.acquisition.get(fact) if given is None else given
        if not isinstance(found, int | float):
            knob, _, unit = fact.rpartition("_")
            raise UsageError(f"the scan does not say its {knob}; give {part}({knob}=...) in {unit}")
        return float(found)

    def turning(self) -> NDArray[np.intp] | None:
        """Views in the order of their angles; None where they are in it already, or have none."""
        geometry = self.header.geometry
        if geometry is None:
            return None
        steps = np.diff(geometry.angles.degrees)
        if (steps >= 0).all() or (steps <= 0).all():
            return None
        return np.argsort(np.mod(geometry.angles.degrees, 360.0), kind="stable")


def _nothing() -> str | None:
    return None


@dataclass(frozen=True, eq=False)
class Step:
    """What a part will do.

    Parameters
    ----------
    header : Header
        Of what it gives.
    work : callable
        A plane, (row, col) or (view, col) float32, and its number along the first axis, to the plane in its place. May
        run in several threads, in any order.
    frames : callable, optional
        What is done to a frame of flats or darks, where that is to be done to all readings.
    told : callable
        A line for the log when all is done, or None.
    """

    header: Header
    work: Callable[[Plane, int], Plane] = field(repr=False)
    frames: Callable[[Plane], Plane] | None = field(default=None, repr=False)
    told: Callable[[], str | None] = field(default=_nothing, repr=False)


def gathered(frames: Frames, at: tuple[float, ...]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Frames averaged over those that were read at the same time.

    Parameters
    ----------
    frames : Frames
    at : tuple of float
        When each was read; empty: at one time.

    Returns
    -------
    (n,) array
        Times, ascending.
    (n, row, col) float32 array

    Raises
    ------
    DataError
        When there is not one time for each frame.
    """
    at = at or (0.0,) * frames.count
    if len(at) != frames.count:
        raise DataError(f"{frames.count} frames, and {len(at)} times at which they were read")
    times, group = np.unique(np.array(at, dtype=np.float64), return_inverse=True)
    sums = np.zeros((times.size, *frames.source.header.shape[1:]))
    index = 0
    with frames.source.open() as stack:
        for slab in stack.slabs:
            for frame in slab:
                sums[group[index]] += frame
                index += 1
    return times, (sums / np.bincount(group)[:, None, None]).astype(np.float32)
