"""Confidence intervals of bone numbers: a bootstrap over sub-volumes.

The volume of interest is seen through a grid of overlapping windows, and as many are drawn from them with replacement,
many times (tapered block bootstrap; Künsch, Ann. Stat. 17:1217, 1989; Paparoditis & Politis, Biometrika 88:1105, 2001).
A volume and its reference are drawn alike, so that what they share leaves their difference. Drawn are the sums that a
number is made of, window by window, never the number itself: counts of cells and lines and moments of density (all
metrics of a tally, and connd), sums over local thickness (Tb.Th, Tb.Sp, Tb.N), over squared error (PSNR) and over
voxels in common (Dice).
Numbers that are no function of such sums (largest values, components, anisotropy, Fourier shell correlation) have no
interval.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, product
from math import floor, isfinite, log10, nan, sqrt
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from bonectl.core import draws, progress
from bonectl.core.table import Finding, Interval, Number, Row, Table
from bonectl.errors import UsageError
from bonectl.metrics import tbsp, tbth
from bonectl.morphology import cells, lines, rim
from bonectl.morphology.cells import BONE, OUTSIDE, Cells, Labels
from bonectl.morphology.lines import Lines
from bonectl.morphology.minkowski import surface_area
from bonectl.morphology.rim import Rim
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.tally import DENSITY_BINS, Moments, Spacing, Tally, density_bins
from bonectl.morphology.tapers import TOGETHER, Windows, windows

# How often sub-volumes are drawn, the confidence, and how few and how many sub-volumes there may be.
DRAWS = 500
LEVEL = 0.95
FEWEST, MOST = 8, 512

# Distance of sub-volumes in plate-model separations, when nothing is said.
GAPS = 2.0

# Draws on which is seen how a number grows with the specimen.
TRIALS = 8

# A number that changes less than this when the specimen is counted twice does not grow with the specimen.
STEADY = 0.05

# One that grows in proportion does so but for the rounding of its counts.
STRAIGHT = 1e-3

Weights = NDArray[np.int64]
Values = Mapping[str, float]
Statistic = Callable[[Weights], Values]


class Part(Protocol):
    """A metric with its knobs set, and the names of what flows into it."""

    @property
    def name(self) -> str:
        """Of the metric."""
        ...

    @property
    def function(self) -> Callable[..., tuple[Finding, ...]]:
        """What flows in comes first."""
        ...

    @property
    def flows(self) -> tuple[str, ...]:
        """Names of the positional parameters."""
        ...


def with_intervals(
    table: Table,
    parts: Sequence[Part],
    specimens: tuple[Specimen, Specimen] | tuple[Specimen],
    *,
    side: float | None = None,
    seed: int = 0,
) -> Table:
    """The table with 95 % intervals by block bootstrap.

    Parameters
    ----------
    table : Table
        Of the metrics of `parts`.
    parts : sequence of Part
    specimens : tuple of Specimen
        The volume, and its reference if there is one: with the same volume of interest.
    side : float, optional
        Least distance of sub-volumes [mm], which are twice as wide; nothing is twice the separation of the plate
        model, 4 (TV - BV) / BS, of the reference or else the volume. Sub-volumes that do not overlap should know little
        of each other.
    seed : int
        Of the draws.

    Returns
    -------
    Table
        With a reference, rows that have one get the interval of their difference; all other rows that of their
        value. Rows that already have that interval keep it.

    Raises
    ------
    UsageError
        When the side is not positive, or fewer than `FEWEST` sub-volumes fit.

    Notes
    -----
    The number ± t · spread · SD of the draws: t the quantile of Student's distribution, with the degrees of freedom of
    overlapping windows (`morphology.tapers.Windows`), 6.5 of 8 and 21.6 of 27; spread brings the SD of the draws to
    what it is of voxels that do not know of each other. Of what was drawn, cells at walls, edges and corners of the
    volume of interest are brought to their known number: raw χ depends on where it is cut. The cost is `DRAWS`
    evaluations of each metric on counts, and one pass over the voxels.

    Of the bias that noise brings to random bone, 27 sub-volumes of the default distance held the truth in 94 (BV/TV,
    closed form), 93 (BS/TV), 95 (χ, Conn.D) and 97 (Δχ) of 100 volumes. Of 60 random bones of three to four separations
    a side, 8 to 27 sub-volumes of the default distance held the mean of all in 92 % (BV/TV, SMI, Tb.Sp), 93 % (SD of
    Tb.Th), 95 % (BS/TV) and 97 % (Δχ, Conn.D, Tb.Th). Noise that a ramp filter made evens out over distances, and the
    difference of BMD is still given 1.3 times too wide; Tb.Th of noisy bone, whose largest balls reach from one sub-
    volume to the next, is held in 88 %.
    """
    seen, apart = _windows(specimens[-1], side)
    weights = draws.generator(seed, "bootstrap").multinomial(seen.parts, np.full(seen.parts, 1 / seen.parts), DRAWS)
    shape = " x ".join(f"{length:.3g}" for length in apart)
    source = f"{100 * LEVEL:g} %, bootstrap of {seen.parts} sub-volumes {shape} mm apart, {DRAWS} draws, seed {seed}"
    splits = [_Split.of(one.labels, one.grey, one, seen) for one in specimens]
    volumes = splits[0].volumes
    first, *others = (
        _drawn(list(_statistics(parts, one, sums, seen)), weights, volumes)
        for one, sums in zip(specimens, splits, strict=True)
    )
    if len(specimens) == 2:
        alone = _drawn(list(_comparisons(parts, specimens, seen)), weights, volumes)
        differences = {name: first[name] - others[0][name] for name in first.keys() & others[0].keys()}
    else:
        alone, differences = first, {}
    around = partial(_interval, seen=seen, source=source)
    return replace(table, rows=tuple(_row(row, alone, differences, around) for row in table.rows))


def _row(
    row: Row,
    values: Mapping[str, NDArray[np.float64]],
    differences: Mapping[str, NDArray[np.float64]],
    around: Callable[[NDArray[np.float64], float | None], Interval | None],
) -> Row:
    name = row.number.name
    if name in differences and row.reference is not None and row.difference_interval is None:
        return replace(row, difference_interval=around(differences[name], row.difference))
    if name in values and row.interval is None:
        return replace(row, interval=around(values[name], row.number.value))
    return row


def _interval(drawn: NDArray[np.float64], whole: float | None, *, seen: Windows, source: str) -> Interval | None:
    """About the value of the whole; None where some of what was drawn is not defined."""
    if whole is None or not np.isfinite([whole, *drawn]).all():
        return None
    reach = float(t.ppf(0.5 + LEVEL / 2, seen.freedom) * seen.spread * drawn.std())
    return Interval(whole - reach, whole + reach, source)


# -- sub-volumes --------------------------------------------------------------------------------------------------


def plate_separation(specimen: Specimen) -> float:
    """Tb.Sp of the plate model, 2 (TV - BV) / BS [mm] (Parfitt et al., J. Clin. Invest. 72:1396, 1983)."""
    sums = specimen.tally
    area = surface_area(sums.lines, sums.spacing)
    return 2 * (sums.total_volume - sums.bone_volume) / area if area else nan


def _windows(specimen: Specimen, side: float | None) -> tuple[Windows, tuple[float, ...]]:
    """Windows at least `side` apart, and their distances [mm]."""
    asked = GAPS * plate_separation(specimen) if side is None else side
    if not asked > 0:
        raise UsageError(f"intervals over sub-volumes of {asked:g} mm; the side must be positive")
    widths = [
        float(np.ptp(np.flatnonzero(specimen.voi.any(axis=others))) + 1) * length
        for others, length in zip(((1, 2), (0, 2), (0, 1)), specimen.spacing, strict=True)
    ]
    counts = _counts(widths, max(asked, *specimen.spacing))
    made = windows(specimen.labels, counts)
    if made.parts < FEWEST:
        shape = " x ".join(f"{width:.3g}" for width in widths)
        raise UsageError(
            f"intervals need {FEWEST} sub-volumes, {asked:.3g} mm apart there are {made.parts} in {shape} mm; a larger "
            "volume has more, --intervals MM puts them closer"
        )
    return made, tuple(width / count for width, count in zip(widths, counts, strict=True))


def _counts(widths: Sequence[float], side: float) -> tuple[int, int, int]:
    """Windows along each axis: as many as fit, at most `MOST` together."""
    while True:
        z, y, x = (max(1, floor(width / side + 1e-9)) for width in widths)
        if z * y * x <= MOST:
            return z, y, x
        side *= (z * y * x / MOST) ** (1 / 3) * 1.01


# -- what is drawn ------------------------------------------------------------------------------------------------


def _drawn(
    statistics: Sequence[Statistic], weights: Weights, volumes: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Each number for each draw; what grows with the specimen is brought to its size.

    Parameters
    ----------
    statistics : sequence of Statistic
    weights : (draws, parts) int array
        How often each part was drawn.
    volumes : (parts,) array
        The volume of interest in each part [voxel / `TOGETHER`].
    """
    known = _laws(statistics, weights[:TRIALS])
    found: dict[str, list[float]] = {name: [] for name in known}
    with progress.task("intervals", len(weights), "draw") as advance:
        for drawn in weights:
            values = _values(statistics, drawn)
            scale = float(volumes.sum() / (volumes @ drawn)) / TOGETHER
            for name, law in known.items():
                found[name].append(law(values[name], scale))
            advance()
    return {name: np.array(values) for name, values in found.items()}


def _laws(statistics: Sequence[Statistic], weights: Weights) -> dict[str, Callable[[float, float], float]]:
    """How each number grows, where that is clear; seen where it is largest, as 0 shows nothing."""
    grown = [[_values(statistics, k * drawn) for k in (1, 2, 4)] for drawn in weights]
    laws = {}
    for name in grown[0][0]:
        ones = [abs(first[name]) if isfinite(first[name]) else 0.0 for first, _, _ in grown]
        first, second, fourth = grown[ones.index(max(ones))]
        law = _growth(first[name], second[name], fourth[name])
        if law is not None:
            laws[name] = law
    return laws


def _values(statistics: Iterable[Statistic], drawn: Weights) -> dict[str, float]:
    values: dict[str, float] = {}
    for statistic in statistics:
        values.update(statistic(drawn))
    return values


def _growth(one: float, two: float, four: float) -> Callable[[float, float], float] | None:
    """How a number of a specimen that is `scale` times as large follows; None where that is not clear.

    Parameters
    ----------
    one, two, four : float
        The number of the specimen, and of the specimen counted two and four times.
    """
    if not (isfinite(one) and isfinite(two) and isfinite(four)):
        return None
    if abs(two - one) <= STEADY * abs(one):
        return lambda value, scale: value
    constant = 2 * one - two  # 1 for the connectivity 1 - chi, 0 for volumes
    if abs(four - two - 2 * (two - one)) <= STRAIGHT * abs(two - one):
        return lambda value, scale: constant + (value - constant) * scale
    return None


def _statistics(parts: Iterable[Part], specimen: Specimen, sums: "_Split", seen: Windows) -> Iterator[Statistic]:
    """What can be drawn of one specimen."""
    for part in parts:
        if part.flows == ("tally",):
            if _works(partial(_of_tally, part, sums), seen):
                yield partial(_of_tally, part, sums)
        elif part.name == "connd":
            yield partial(_of_purified, part, _Split.of(specimen.pieces.labels, None, specimen, seen))
        elif part.name == "tbth":
            yield partial(_of_map, "tbth", _map_sums(_thickness(part, specimen), seen))
        elif part.name == "tbsp":
            yield partial(_of_map, "tbsp", _map_sums(tbsp.averaged_map(specimen, **_knobs(part)), seen))
        elif part.name == "tbn":
            bone, voi = (seen.sums(mask) for mask in (specimen.bone, specimen.voi))
            yield partial(_of_tbn, _map_sums(_thickness(part, specimen), seen), bone, voi)


def _comparisons(parts: Iterable[Part], specimens: Sequence[Specimen], seen: Windows) -> Iterator[Statistic]:
    """What can be drawn of two specimens together."""
    ours, theirs = specimens
    for part in parts:
        if part.name == "dice":
            common = seen.sums(ours.bone & theirs.bone)
            both = sum(seen.sums(specimen.bone) for specimen in specimens)
            yield partial(_of_dice, common, np.asarray(both))
        elif part.name == "psnr" and ours.grey is not None and theirs.grey is not None:
            errors, voxels = _squared_errors(ours, theirs, seen)
            yield partial(_of_psnr, _named(part.function(ours, theirs))["psnr"], errors, voxels)


def _works(statistic: Statistic, seen: Windows) -> bool:
    """Whether the data allow a metric at all."""
    try:
        statistic(np.ones(seen.parts, np.int64))
    except UsageError:
        return False
    return True


def _named(findings: Iterable[Finding]) -> dict[str, float]:
    return {found.name: found.value for found in findings if isinstance(found, Number)}


def _of_tally(part: Part, sums: "_Split", drawn: Weights) -> Values:
    return _named(part.function(sums.drawn(drawn)))


def _of_purified(part: Part, sums: "_Split", drawn: Weights) -> Values:
    return _named(part.function(_Purified(sums.drawn(drawn))))


def _of_map(name: str, sums: NDArray[np.float64], drawn: Weights) -> Values:
    count, total, squares = drawn @ sums
    if not count:
        return {name: nan, f"{name}_sd": nan}
    return {name: total / count, f"{name}_sd": sqrt(max(0.0, squares / count - (total / count) ** 2))}


def _of_tbn(sums: NDArray[np.float64], bone: NDArray[np.float64], voi: NDArray[np.float64], drawn: Weights) -> Values:
    mean = _of_map("tbth", sums, drawn)["tbth"]
    return {"tbn": float(drawn @ bone / (drawn @ voi)) / mean}


def _of_dice(common: NDArray[np.float64], both: NDArray[np.float64], drawn: Weights) -> Values:
    bone = float(drawn @ both)
    return {"dice": 2 * float(drawn @ common) / bone if bone else nan}


def _of_psnr(whole: float, errors: NDArray[np.float64], voxels: NDArray[np.float64], drawn: Weights) -> Values:
    """From the PSNR of the whole, whose range is in it."""
    mean, there = errors.sum() / voxels.sum(), float(drawn @ errors) / float(drawn @ voxels)
    return {"psnr": whole + 10 * log10(mean / there) if there else nan, "rmse": sqrt(there)}


@dataclass(frozen=True, eq=False)
class _Purified:
    """As much of a specimen as connectivity needs."""

    purified: Tally


def _thickness(part: Part, specimen: Specimen) -> NDArray[np.float32]:
    """The map that Tb.Th and Tb.N are means of, by the convention of the metric."""
    return tbth.thickness_map(specimen, **_knobs(part))


def _knobs(part: Part) -> Mapping[str, Any]:
    return part.function.keywords if isinstance(part.function, partial) else {}


def _map_sums(values: NDArray[np.float32], seen: Windows) -> NDArray[np.float64]:
    """Voxels, sum and sum of squares of a map where it is not 0, (parts, 3); its voxels may be larger."""
    return np.stack([seen.sums(column) for column in (values > 0, values, np.square(values))], axis=1)


def _squared_errors(ours: Specimen, theirs: Specimen, seen: Windows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum of squared differences in the volume of interest, and its voxels, by part."""
    errors = np.where(ours.voi, np.subtract(ours.values("psnr"), theirs.values("psnr"), dtype=np.float32), 0)
    return seen.sums(np.square(errors)), seen.sums(ours.voi)


@dataclass(frozen=True, eq=False)
class _SplitMoments:
    """Moments by part: counts, sums and squares (parts, 3), and histograms (parts, bins)."""

    sums: NDArray[np.float64]
    histograms: NDArray[np.float64]

    @classmethod
    def of(cls, mask: NDArray[np.bool_], grey: NDArray[np.number], seen: Windows) -> "_SplitMoments":
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
        count, total, squares = weights @ self.sums
        histogram = (weights @ self.histograms).astype(np.int64)
        return Moments(int(count), float(total), float(squares), tuple(histogram.tolist()))


@dataclass(frozen=True, eq=False)
class _Split:
    """A tally by part.

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
    total, bone : _SplitMoments, optional
        Of the grey values.
    """

    cells: Cells
    counts: NDArray[np.int64]
    along: NDArray[np.int64]
    border: NDArray[np.int64]
    spacing: Spacing
    unit: str
    total: _SplitMoments | None
    bone: _SplitMoments | None

    @classmethod
    def of(cls, labels: Labels, grey: NDArray[np.number] | None, specimen: Specimen, seen: Windows) -> "_Split":
        """Count and add up by part."""
        whole = cells.count([labels])
        along, border = seen.about(labels, lines.number, rim.number)
        unit = specimen.unit if grey is not None else "label"
        total = bone = None
        if grey is not None and unit == "mgHA/cm3":
            total, bone = (_SplitMoments.of(mask, grey, seen) for mask in (labels != OUTSIDE, labels == BONE))
        return cls(whole, seen.cells(labels, whole), along, border, specimen.spacing, unit, total, bone)

    @property
    def volumes(self) -> NDArray[np.float64]:
        """Voxels of the volume of interest in each part, (parts,); a voxel is shared by the cells around it."""
        return np.asarray(self.counts @ self.cells.voi.sum(1) / 8)

    def drawn(self, weights: Weights) -> Tally:
        """The tally of the parts, each as often as it was drawn."""
        cells = self.cells.counted(self._evened(weights @ self.counts))
        moments = (None if part is None else part.drawn(weights) for part in (self.total, self.bone))
        along, border = (np.tensordot(weights, counts, 1) for counts in (self.along, self.border))
        return Tally(cells, Lines(along), Rim(border), self.spacing, self.unit, *moments)

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
