"""Everything about a specimen that adds up slab by slab: cells, lines, and sums of grey values."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

from bonectl.core.lengths import Spacing
from bonectl.errors import UsageError
from bonectl.morphology import cells, lines, rim
from bonectl.morphology.cells import BONE, OUTSIDE, Cells, Labels
from bonectl.morphology.lines import Lines
from bonectl.morphology.rim import Rim
from bonectl.morphology.sweep import Sweep

# Bins of a density histogram [mgHA/cm3]: fixed, so that histograms of two volumes can be laid over each other.
DENSITY_START, DENSITY_STEP, DENSITY_BINS = -2000.0, 10.0, 600


@dataclass(frozen=True)
class Moments:
    """Sums over voxels.

    Parameters
    ----------
    count : int
    total, squares : float
        Sum of the values, and of their squares.
    histogram : tuple of int
        In bins of `DENSITY_STEP` from `DENSITY_START`; the first and last take what lies outside.
    """

    count: int
    total: float
    squares: float
    histogram: tuple[int, ...]

    @property
    def mean(self) -> float:
        """NaN of no voxels."""
        return self.total / self.count if self.count else nan

    @property
    def deviation(self) -> float:
        """Standard deviation over the voxels (divided by their number)."""
        if not self.count:
            return nan
        return sqrt(max(0.0, self.squares / self.count - self.mean**2))


class _Growing:
    """Moments as they grow, slice by slice: the same for any slab size."""

    def __init__(self) -> None:
        self._count, self._total, self._squares = 0, 0.0, 0.0
        self._histogram = np.zeros(DENSITY_BINS, np.int64)

    def add(self, values: NDArray[np.float64]) -> None:
        """Add the values of one slice, (n,)."""
        self._count += values.size
        self._total += float(values.sum())
        self._squares += float(np.square(values).sum())
        self._histogram += np.bincount(density_bins(values), minlength=DENSITY_BINS)

    def finish(self) -> Moments:
        return Moments(self._count, self._total, self._squares, tuple(self._histogram.tolist()))


def density_bins(values: NDArray[np.number]) -> NDArray[np.int64]:
    """The bin of each value."""
    bins: NDArray[np.float64] = (values.astype(np.float64) - DENSITY_START) / DENSITY_STEP
    return bins.clip(0, DENSITY_BINS - 1).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Sums:
    """The additive part of a specimen.

    Parameters
    ----------
    cells : Cells
    lines : Lines
    rim : Rim
    spacing : tuple of float
        Voxel side along z, y, x [mm].
    unit : str
        Of the grey values; "label" when there are none.
    total, bone : Moments, optional
        Of the grey values in the volume of interest, and in the bone; None without grey values.
    """

    cells: Cells
    lines: Lines
    rim: Rim
    spacing: Spacing
    unit: str
    total: Moments | None = None
    bone: Moments | None = None

    @property
    def voxel_volume(self) -> float:
        """[mm³]."""
        return self.spacing[0] * self.spacing[1] * self.spacing[2]

    @property
    def bone_volume(self) -> float:
        """BV [mm³]."""
        return self.cells.bone_voxels * self.voxel_volume

    @property
    def total_volume(self) -> float:
        """TV [mm³]."""
        return self.cells.total_voxels * self.voxel_volume

    def densities(self) -> tuple[Moments, Moments]:
        """Moments over the volume of interest and over the bone.

        Raises
        ------
        UsageError
            When the values are not mineral density.
        """
        if self.unit != "mgHA/cm3" or self.total is None or self.bone is None:
            raise UsageError(
                f"mineral density of a volume in unit {self.unit!r}; calibrate it to mgHA/cm3 first "
                "(`bonectl reconstruct --energy`, `bonectl convert --calibrate`)"
            )
        return self.total, self.bone


def sums_of(slabs: Iterable[tuple[Labels, NDArray[np.number] | None]], spacing: Spacing, unit: str) -> Sums:
    """Add up a specimen slab by slab.

    Parameters
    ----------
    slabs : iterable of (labels, grey)
        Each (n, y, x), consecutive along z; labels as in `morphology.cells`, grey values in `unit` or None.
    spacing : tuple of float
        Voxel side along z, y, x [mm].
    unit : str
        Grey values are summed only when this is mgHA/cm3.
    """
    counter, around, total, bone = cells.Counter(), Sweep(lines.number, rim.number), _Growing(), _Growing()
    dense = unit == "mgHA/cm3"
    for labels, grey in slabs:
        counter.add(labels)
        around.add(labels)
        if dense and grey is not None:
            for mask, values in zip(labels, grey, strict=True):
                total.add(values[mask != OUTSIDE].astype(np.float64))
                bone.add(values[mask == BONE].astype(np.float64))
    moments = (total.finish(), bone.finish()) if dense else (None, None)
    along, border = around.finish()
    return Sums(counter.finish(), Lines(along), Rim(border), spacing, unit, *moments)
