"""Confidence intervals of bone numbers: a bootstrap over sub-volumes.

The volume of interest is cut into equal boxes, and as many are drawn from them with replacement, many times (block
bootstrap; Künsch, Ann. Stat. 17:1217, 1989; Lahiri, Resampling Methods for Dependent Data, 2003). A volume and its
reference are drawn alike, so that what they share leaves their difference. Drawn are the sums that a number is made
of, box by box, never the number itself: counts of cells and lines and moments of density (all metrics of a tally, and
connd), sums over local thickness (Tb.Th, Tb.Sp, Tb.N), over squared error (PSNR) and over voxels in common (Dice).
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
from scipy.stats import norm, t

from bonectl.core import draws, progress
from bonectl.core.table import Finding, Interval, Number, Row, Table
from bonectl.errors import UsageError
from bonectl.metrics import tbsp, tbth
from bonectl.morphology import lines, rim
from bonectl.morphology.boxes import Boxes, Edges, box_sums, boxes, cell_counts, counts_about
from bonectl.morphology.cells import Cells, Labels
from bonectl.morphology.lines import Lines
from bonectl.morphology.minkowski import surface_area
from bonectl.morphology.rim import Rim
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.tally import Moments, Spacing, Tally, tally

# How often sub-volumes are drawn, the confidence, and how few and how many sub-volumes there may be.
DRAWS = 500
LEVEL = 0.95
FEWEST, MOST = 8, 512

# Sides of sub-volumes in plate-model separations, when nothing is said.
GAPS = 2.0

# A number that changes less than this when the specimen is counted twice does not grow with the specimen.
STEADY = 0.05

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
        Least side of a sub-volume [mm]; nothing is twice the separation of the plate model, 4 (TV - BV) / BS, of the
        reference or else the volume. Neighbouring sub-volumes should know little of each other.
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
    Percentile intervals, widened for small numbers of sub-volumes by Hesterberg's rule (Am. Stat. 69:371, 2015,
    section 3.3): the levels are Φ(±√(n / (n - 1)) t), t the quantile of Student's distribution with n - 1 degrees of
    freedom. The cost is `DRAWS` evaluations of each metric on counts, and one pass over the voxels. Of the bias that
    noise brings to random bone, 27 sub-volumes of the default side held the truth in 93 (BV/TV, closed form), 95
    (BS/TV, χ) and 98 (Conn.D) of 100 volumes.
    """
    grid, size = _grid(specimens[-1], side)
    weights = draws.generator(seed, "bootstrap").multinomial(grid.parts, np.full(grid.parts, 1 / grid.parts), DRAWS)
    shape = " x ".join(f"{length:.3g}" for length in size)
    source = f"{100 * LEVEL:g} %, bootstrap of {grid.parts} sub-volumes of {shape} mm, {DRAWS} draws, seed {seed}"
    splits = [_Split.of(one.labels, one.grey, one, grid) for one in specimens]
    volumes = splits[0].volumes
    first, *others = (
        _drawn(list(_statistics(parts, one, sums, grid)), weights, volumes)
        for one, sums in zip(specimens, splits, strict=True)
    )
    if len(specimens) == 2:
        alone = _drawn(list(_comparisons(parts, specimens, grid)), weights, volumes)
        apart = {name: first[name] - others[0][name] for name in first.keys() & others[0].keys()}
    else:
        alone, apart = first, {}
    around = partial(_interval, parts=grid.parts, source=source)
    return replace(table, rows=tuple(_row(row, alone, apart, around) for row in table.rows))


def _row(
    row: Row,
    values: Mapping[str, NDArray[np.float64]],
    differences: Mapping[str, NDArray[np.float64]],
    around: Callable[[NDArray[np.float64]], Interval | None],
) -> Row:
    name = row.number.name
    if name in differences and row.reference is not None and row.difference_interval is None:
        return replace(row, difference_interval=around(differences[name]))
    if name in values and row.interval is None:
        return replace(row, interval=around(values[name]))
    return row


def _interval(drawn: NDArray[np.float64], *, parts: int, source: str) -> Interval | None:
    """Percentiles of what was drawn; None where some of it is not defined."""
    if not np.isfinite(drawn).all():
        return None
    reach = sqrt(parts / (parts - 1)) * t.ppf(0.5 + LEVEL / 2, parts - 1)
    low, high = np.quantile(drawn, norm.cdf([-reach, reach]))
    return Interval(float(low), float(high), source)


# -- sub-volumes --------------------------------------------------------------------------------------------------


def plate_separation(specimen: Specimen) -> float:
    """Tb.Sp of the plate model, 2 (TV - BV) / BS [mm] (Parfitt et al., J. Clin. Invest. 72:1396, 1983)."""
    sums = specimen.tally
    area = surface_area(sums.lines, sums.spacing)
    return 2 * (sums.total_volume - sums.bone_volume) / area if area else nan


def _grid(specimen: Specimen, side: float | None) -> tuple[Boxes, tuple[float, ...]]:
    """Boxes at least `side` wide, and their size [mm]."""
    asked = GAPS * plate_separation(specimen) if side is None else side
    if not asked > 0:
        raise UsageError(f"intervals over sub-volumes of {asked:g} mm; the side must be positive")
    widths = [
        float(np.ptp(np.flatnonzero(specimen.voi.any(axis=others))) + 1) * length
        for others, length in zip(((1, 2), (0, 2), (0, 1)), specimen.spacing, strict=True)
    ]
    counts = _counts(widths, max(asked, *specimen.spacing))
    made = boxes(specimen.labels, counts)
    if made.parts < FEWEST:
        raise UsageError(
            f"intervals need {FEWEST} sub-volumes, of {asked:.3g} mm there are {made.parts}; "
            "a larger volume has more, --intervals MM makes them smaller"
        )
    return made, tuple(width / count for width, count in zip(widths, counts, strict=True))


def _counts(widths: Sequence[float], side: float) -> tuple[int, int, int]:
    """Boxes along each axis: as many as fit, at most `MOST` together."""
    while True:
        z, y, x = (max(1, floor(width / side + 1e-9)) for width in widths)
        if z * y * x <= MOST:
            return z, y, x
        side *= (z * y * x / MOST) ** (1 / 3) * 1.01


# -- what is drawn ------------------------------------------------------------------------------------------------


def _drawn(
    statistics: Sequence[Statistic], weights: Weights, volumes: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Each number for each draw; what grows with the specimen is brought to the size of the whole.

    Parameters
    ----------
    statistics : sequence of Statistic
    weights : (draws, parts) int array
        How often each part was drawn.
    volumes : (parts,) array
        The volume of interest in each part, in any unit.
    """
    once = np.ones_like(weights[0])
    first, second, fourth = (_values(statistics, k * once) for k in (1, 2, 4))
    laws = {name: _growth(first[name], second[name], fourth[name]) for name in first}
    known = {name: law for name, law in laws.items() if law is not None}
    found: dict[str, list[float]] = {name: [] for name in known}
    with progress.task("intervals", len(weights), "draw") as advance:
        for drawn in weights:
            values = _values(statistics, drawn)
            scale = float(volumes.sum() / (volumes @ drawn))
            for name, law in known.items():
                found[name].append(law(values[name], scale))
            advance()
    return {name: np.array(values) for name, values in found.items()}


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
    if abs(four - two - 2 * (two - one)) <= 1e-6 * abs(two - one):
        return lambda value, scale: constant + (value - constant) * scale
    return None


def _statistics(parts: Iterable[Part], specimen: Specimen, sums: "_Split", grid: Boxes) -> Iterator[Statistic]:
    """What can be drawn of one specimen."""
    for part in parts:
        if part.flows == ("tally",):
            if _works(partial(_of_tally, part, sums), grid):
                yield partial(_of_tally, part, sums)
        elif part.name == "connd":
            yield partial(_of_purified, part, _Split.of(specimen.pieces.labels, None, specimen, grid))
        elif part.name == "tbth":
            yield partial(_of_map, "tbth", _map_sums(_thickness(part, specimen), grid))
        elif part.name == "tbsp":
            yield partial(_of_map, "tbsp", _map_sums(tbsp.averaged_map(specimen, **_knobs(part)), grid))
        elif part.name == "tbn":
            bone, voi = (grid.gathered(box_sums(mask, grid.edges)) for mask in (specimen.bone, specimen.voi))
            yield partial(_of_tbn, _map_sums(_thickness(part, specimen), grid), bone, voi)


def _comparisons(parts: Iterable[Part], specimens: Sequence[Specimen], grid: Boxes) -> Iterator[Statistic]:
    """What can be drawn of two specimens together."""
    ours, theirs = specimens
    for part in parts:
        if part.name == "dice":
            common = grid.gathered(box_sums(ours.bone & theirs.bone, grid.edges))
            both = sum(grid.gathered(box_sums(specimen.bone, grid.edges)) for specimen in specimens)
            yield partial(_of_dice, common, np.asarray(both))
        elif part.name == "psnr" and ours.grey is not None and theirs.grey is not None:
            errors, voxels = _squared_errors(ours, theirs, grid)
            yield partial(_of_psnr, _named(part.function(ours, theirs))["psnr"], errors, voxels)


def _works(statistic: Statistic, grid: Boxes) -> bool:
    """Whether the data allow a metric at all."""
    try:
        statistic(np.ones(grid.parts, np.int64))
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


def _map_sums(values: NDArray[np.float32], grid: Boxes) -> NDArray[np.float64]:
    """Voxels, sum and sum of squares of a map where it is not 0, (parts, 3); the map may be coarser than the grid."""
    edges = grid.edges_on(values.shape)
    columns = [box_sums(column, edges) for column in (values > 0, values, np.square(values))]
    return grid.gathered(np.stack(columns, axis=1))


def _squared_errors(ours: Specimen, theirs: Specimen, grid: Boxes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum of squared differences in the volume of interest, and its voxels, by part."""
    errors = np.where(ours.voi, np.subtract(ours.values("psnr"), theirs.values("psnr"), dtype=np.float32), 0)
    sums = (box_sums(column, grid.edges) for column in (np.square(errors), ours.voi))
    squares, voxels = (grid.gathered(column) for column in sums)
    return squares, voxels


@dataclass(frozen=True, eq=False)
class _SplitMoments:
    """Moments by part: counts, sums and squares (parts, 3), and histograms (parts, bins)."""

    sums: NDArray[np.float64]
    histograms: NDArray[np.float64]

    @classmethod
    def of(cls, moments: Sequence[Moments], grid: Boxes) -> "_SplitMoments":
        sums = np.array([[m.count, m.total, m.squares] for m in moments])
        return cls(grid.gathered(sums), grid.gathered(np.array([m.histogram for m in moments])))

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
    def of(cls, labels: Labels, grey: NDArray[np.number] | None, specimen: Specimen, grid: Boxes) -> "_Split":
        """Count and add up by part."""
        by_box = cell_counts(labels, grid.edges)
        whole = by_box.sum(axis=0, dtype=np.int64)
        counts = grid.gathered(by_box[:, whole > 0]).astype(np.int64)
        along, border = (
            grid.gathered(count).astype(np.int64)
            for count in counts_about(labels, grid.edges, lines.number, rim.number)
        )
        unit = specimen.unit if grey is not None else "label"
        total, bone = (None, None) if grey is None or unit != "mgHA/cm3" else _moments(labels, grey, grid)
        return cls(Cells.of(whole), counts, along, border, specimen.spacing, unit, total, bone)

    @property
    def volumes(self) -> NDArray[np.float64]:
        """Voxels of the volume of interest in each part, (parts,); a voxel is shared by the cells around it."""
        return np.asarray(self.counts @ self.cells.voi.sum(1) / 8)

    def drawn(self, weights: Weights) -> Tally:
        """The tally of the parts, each as often as it was drawn."""
        cells = self.cells.counted(weights @ self.counts)
        moments = (None if part is None else part.drawn(weights) for part in (self.total, self.bone))
        along, border = (np.tensordot(weights, counts, 1) for counts in (self.along, self.border))
        return Tally(cells, Lines(along), Rim(border), self.spacing, self.unit, *moments)


def _moments(labels: Labels, grey: NDArray[np.number], grid: Boxes) -> tuple[_SplitMoments, _SplitMoments]:
    """Moments of the density over the volume of interest and over the bone, by part."""
    found = [
        tally([(labels[box].copy(), grey[box])], (1.0, 1.0, 1.0), "mgHA/cm3").densities() for box in _each(grid.edges)
    ]
    total, bone = ([pair[k] for pair in found] for k in (0, 1))
    return _SplitMoments.of(total, grid), _SplitMoments.of(bone, grid)


def _each(edges: Edges) -> Iterator[tuple[slice, slice, slice]]:
    """The boxes of a grid, in order of z, y, x."""
    z, y, x = ([slice(a, b) for a, b in pairwise(edge)] for edge in edges)
    return product(z, y, x)
