"""What adds up over a specimen, by the parts that windows cut it into: what sub-volumes are drawn from.

A number whose value follows from such sums has an interval: its file then has a function `resampled`, which works out
the sums once, and gives what makes the number of those parts that were drawn.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from bonectl.core.lengths import Spacing
from bonectl.morphology import cells, lines, rim
from bonectl.morphology.cells import BONE, OUTSIDE, Cells, Labels
from bonectl.morphology.lines import Lines
from bonectl.morphology.rim import Rim
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.sums import DENSITY_BINS, Moments, Sums, density_bins
from bonectl.morphology.tapers import SubVolumes

# How often each part was drawn, (parts,), and what numbers by name are made of it.
Weights = NDArray[np.int64]
Statistic = Callable[[Weights], Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class PartedMoments:
    """Moments by part: counts, sums and squares (parts, 3), and histograms (parts, bins)."""

    sums: NDArray[np.float64]
    histograms: NDArray[np.float64]

    @classmethod
    def of(cls, mask: NDArray[np.bool_], grey: NDArray[np.number], seen: SubVolumes) -> "PartedMoments":
        """Of the values where the mask is set."""
        values = np.where(mask, grey, 0).astype(np.float64)
        sums = np.stack([seen.sums(column) for column in (mask, values, np.square(values))], axis=1)
        bins = density_bins(grey)
        histograms = [
            np.bincount(bins[box][mask[box]], minlength=DENSITY_BINS)
            for box in product(*([slice(a, b) for a, b in pairwise(edge)] for edge in seen.edges))
        ]
        return cls(sums, seen.of_halves(np.array(histograms)))

    def drawn(self, weights: Weights) -> Moments:
        """The moments of the parts, each as often as it was drawn."""
        count, total, squares = weights @ self.sums
        histogram = (weights @ self.histograms).astype(np.int64)
        return Moments(int(count), float(total), float(squares), tuple(histogram.tolist()))


@dataclass(frozen=True, eq=False)
class PartedSums:
    """Sums by part.

    Parameters
    ----------
    cells : Cells
        Of the whole.
    counts : (parts, n) int array
        How many cells of each configuration each part has.
    along : (parts, 13, 3) int array
        As `Lines`.
    border : (parts, 6, 256) int array
        As `Rim`.
    spacing : tuple of float
        [mm].
    unit : str
    total, bone : PartedMoments, optional
        Of the grey values.
    """

    cells: Cells
    counts: NDArray[np.int64]
    along: NDArray[np.int64]
    border: NDArray[np.int64]
    spacing: Spacing
    unit: str
    total: PartedMoments | None
    bone: PartedMoments | None

    @classmethod
    def of(cls, labels: Labels, grey: NDArray[np.number] | None, specimen: Specimen, seen: SubVolumes) -> "PartedSums":
        """Count and add up by part."""
        whole = cells.count([labels])
        along, border = seen.about(labels, lines.number, rim.number)
        unit = specimen.unit if grey is not None else "label"
        total = bone = None
        if grey is not None and unit == "mgHA/cm3":
            total, bone = (PartedMoments.of(mask, grey, seen) for mask in (labels != OUTSIDE, labels == BONE))
        return cls(whole, seen.cells(labels, whole), along, border, specimen.spacing, unit, total, bone)

    @property
    def volumes(self) -> NDArray[np.float64]:
        """Voxels of the volume of interest in each part, (parts,); a voxel is shared by the cells around it."""
        return np.asarray(self.counts @ self.cells.voi.sum(1) / 8)

    def drawn(self, weights: Weights) -> Sums:
        """The sums of the parts, each as often as it was drawn."""
        cells = self.cells.counted(self._evened(weights @ self.counts))
        moments = (None if part is None else part.drawn(weights) for part in (self.total, self.bone))
        along, border = (np.tensordot(weights, counts, 1) for counts in (self.along, self.border))
        return Sums(cells, Lines(along), Rim(border), self.spacing, self.unit, *moments)

    def _evened(self, drawn: NDArray[np.int64]) -> NDArray[np.int64]:
        """The drawn cells with as many of each kind, by what of them lies in the volume of interest, as it has.

        For a volume of interest of the size of what was drawn. Its walls, edges and corners are where they are: only
        the bone is a sample.
        """
        kind = self.cells.voi @ (1 << np.arange(8))
        corners = self.cells.voi.sum(1)
        size = (corners @ drawn) / (corners @ self.cells.number)
        there, wanted = (np.bincount(kind, number, minlength=256) for number in (drawn, self.cells.number * size))
        evened = drawn * np.divide(wanted, there, out=np.zeros(256), where=there > 0)[kind]
        number: NDArray[np.int64] = np.rint(evened * (corners @ drawn) / (corners @ evened)).astype(np.int64)
        return number
