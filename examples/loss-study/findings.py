"""What is claimed, and how it is judged: axes, margins, findings, and the statistics of the study.

Everything here was fixed before the first counted network was trained: see registered.md. Numbers come in as rows of
`runs.tsv`, one for each direction (bone trained on, bone tested on), cell, seed and dose; every number is an error, so
that less is better. The unit of replication is the seed: a network's error is the mean over the scans and doses that it
is tried on, a difference of two cells is taken seed by seed, averaged over the two directions, and judged by Student's
t over the seeds. So intervals speak of training anew on these bones, and not of other bones.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import exp, inf, log, sqrt
from pathlib import Path
from statistics import fmean, median, stdev

from scipy.special import stdtr, stdtrit

ALPHA = 0.05
POWER = 0.8
LEAST_SEEDS = 3

# Least significant change [%]: 2.77 times a short-term precision (RMSCV) of 1 %, as it is reported for most numbers of
# HR-pQCT (PMC3577969): what two scans of one patient must differ by before the patient has changed.
LSC = 2.77

# An error of 100 % is as good as none at all: beyond it (raw scans) it counts as 100.
MOST = 100.0


@dataclass(frozen=True)
class Axis:
    """One number of the bone, or of the picture, as an error.

    Parameters
    ----------
    name : str
        Its column in `runs.tsv`.
    label : str
    unit : str
    margin : float
        What counts as no worse, in its unit.
    bought : bool
        Whether the least significant change is defined for it.
    """

    name: str
    label: str
    unit: str
    margin: float
    bought: bool = False


AXES = (
    Axis("bvtv", "BV/TV", "%", 1.0, bought=True),
    Axis("connd", "Conn.D", "%", LSC, bought=True),
    Axis("tbth", "Tb.Th", "%", 1.0, bought=True),
    Axis("tmd", "TMD", "%", 1.0, bought=True),
    Axis("w1", "W1 of density", "mgHA/cm³", 2.0),
    Axis("fsc", "FSC", "% of Nyquist", 1.0),
    Axis("mtf", "MTF 10 %", "% of the truth's", 2.0),
)
BY_NAME = {axis.name: axis for axis in AXES}
COLUMNS = tuple(BY_NAME)


@dataclass(frozen=True)
class Row:
    """One network, or filter, on one bone at one dose: errors by axis, means over the scans."""

    direction: str
    cell: str
    seed: int
    photons: float
    errors: Mapping[str, float]


@dataclass(frozen=True)
class Finding:
    """That one term does better than another, by one axis.

    Parameters
    ----------
    text : str
    axis : str
    having, instead : tuple of str
        Cells pair by pair: the better ones, and those that differ from them in nothing but what is claimed.
    paper : bool
        Whether the paper's abstract says so; else it is a claim of ours.
    """

    text: str
    axis: str
    having: tuple[str, ...]
    instead: tuple[str, ...]
    paper: bool = True


BONE = ("l1+hist", "l1+euler+bvtv+hist")
ADVERSE = (("l1+wgan", "l1+ssim+wgan", "l1+vgg+wgan"), ("l1", "l1+ssim", "l1+vgg"))
PLAIN = (("l1+ssim", "l1+vgg", "l1+wgan"), ("ssim", "vgg", "wgan"))
SEEN = (("vgg", "l1+vgg", "l1+vgg+wgan"), ("ssim", "l1+ssim", "l1+ssim+wgan"))
FINDINGS = (
    Finding("L1 keeps resolution better than L2 (FSC)", "fsc", ("l1",), ("l2",)),
    Finding("L1 keeps resolution better than L2 (MTF)", "mtf", ("l1",), ("l2",)),
    Finding("L1 beside another loss keeps resolution better than that loss alone (FSC)", "fsc", *PLAIN),
    Finding("L1 beside another loss keeps resolution better than that loss alone (MTF)", "mtf", *PLAIN),
    Finding("VGG keeps BV/TV better than SSIM", "bvtv", *SEEN),
    Finding("VGG keeps connectivity better than SSIM", "connd", *SEEN),
    Finding("SSIM keeps resolution better than VGG (FSC)", "fsc", *SEEN[::-1]),
    Finding("SSIM keeps resolution better than VGG (MTF)", "mtf", *SEEN[::-1]),
    Finding("VGG with an adversary keeps connectivity better than VGG", "connd", ("l1+vgg+wgan",), ("l1+vgg",)),
    Finding("an adversary keeps the distribution of density better", "w1", *ADVERSE),
    Finding("an adversary keeps TMD better", "tmd", *ADVERSE),
    Finding("bone losses keep connectivity better than L1", "connd", BONE, ("l1", "l1"), paper=False),
    Finding("bone losses keep BV/TV better than L1", "bvtv", BONE, ("l1", "l1"), paper=False),
    Finding("bone losses keep the distribution of density better than L1", "w1", BONE, ("l1", "l1"), paper=False),
)  # fmt: skip

# The claim: the mean of three networks (of one seed) that err with opposite signs.
MIXTURE = "mean(l1, l1+vgg, ssim)"
# What a mean of three networks does by itself: the same of L1 alone. Its seeds overlap, so it is told, not judged.
THRICE = "mean(l1, l1, l1)"
BETTER = ("connd", "tmd")
CONTROLS = ("input", "oversmoothed")
FLOORS = ("gaussian", "tv3d", "nlm3d", "fbp")


class Runs:
    """All rows, found by direction, cell and seed.

    Parameters
    ----------
    rows : iterable of Row
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = tuple(rows)
        self.doses = tuple(sorted({row.photons for row in self.rows}))
        self._known = {(row.direction, row.cell, row.seed, row.photons): row.errors for row in self.rows}
        self.cells = tuple(dict.fromkeys(row.cell for row in self.rows))
        self.directions = tuple(dict.fromkeys(row.direction for row in self.rows))

    def seeds(self, cell: str) -> tuple[int, ...]:
        """Seeds that a cell was trained with, in any direction; (0,) for a filter, which has nothing to draw."""
        return tuple(sorted({row.seed for row in self.rows if row.cell == cell}))

    def curve(self, direction: str, cell: str, seed: int, axis: str) -> list[float] | None:
        """Error at every dose, rising; None where a dose is missing."""
        seed = 0 if cell in (*CONTROLS, *FLOORS) else seed
        found = [self._known.get((direction, cell, seed, dose), {}).get(axis) for dose in self.doses]
        return (
            None
            if not found or any(value is None for value in found)
            else [float(value) for value in found if value is not None]
        )

    def score(self, directions: Sequence[str], cell: str, seed: int, axis: str) -> float | None:
        """Mean error over doses and directions; None where any is missing."""
        curves = [self.curve(direction, cell, seed, axis) for direction in directions]
        return None if None in curves else fmean(fmean(curve) for curve in curves if curve)

    def over(self, directions: Sequence[str], cell: str, axis: str) -> list[float]:
        """Scores of all complete seeds."""
        scores = (self.score(directions, cell, seed, axis) for seed in self.seeds(cell))
        return [score for score in scores if score is not None]

    def gains(self, directions: Sequence[str], better: Sequence[str], worse: Sequence[str], axis: str) -> list[float]:
        """How much less the better cells err than the worse ones, seed by seed, means over the pairs."""
        seeds = sorted({seed for cell in better for seed in self.seeds(cell)})
        if set(better) <= {*CONTROLS, *FLOORS}:
            seeds = sorted({seed for cell in worse for seed in self.seeds(cell)})
        found = []
        for seed in seeds:
            ours = [self.score(directions, cell, seed, axis) for cell in better]
            theirs = [self.score(directions, cell, seed, axis) for cell in worse]
            if None not in ours and None not in theirs:
                found.append(fmean(b - a for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None))
        return found


def read(path: Path) -> Runs:
    """Read `runs.tsv`."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return Runs(
        Row(row["direction"], row["cell"], int(row["seed"]), float(row["photons"]),
            {name: float(row[name]) for name in COLUMNS if row[name]})
        for row in rows
    )  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """A mean over seeds with its 95 % interval, the two-sided p that it is 0, and Cohen's d of the seeds."""

    mean: float
    half: float
    p: float
    effect: float
    seeds: int

    @property
    def text(self) -> str:
        """As it is printed."""
        return f"{self.mean:+.2f} ± {self.half:.2f}" if self.half < inf else f"{self.mean:+.2f}"


def student(values: Sequence[float]) -> Judgement | None:
    """Student's t over seeds; None without values."""
    if not values:
        return None
    mean, count = fmean(values), len(values)
    if count < LEAST_SEEDS:
        return Judgement(mean, inf, 1.0, 0.0, count)
    spread = stdev(values)
    if spread == 0:
        return Judgement(mean, 0.0, float(mean == 0), 0.0 if mean == 0 else inf, count)
    half = float(stdtrit(count - 1, 1 - ALPHA / 2)) * spread / sqrt(count)
    p = 2 * float(stdtr(count - 1, -abs(mean) * sqrt(count) / spread))
    return Judgement(mean, half, p, mean / spread, count)


def holm(ps: Sequence[float]) -> list[float]:
    """Adjust for as many tests (Holm 1979): below 0.05 what stays so in company."""
    adjusted, highest = [1.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = highest
    return adjusted


def seeds_needed(effect: float, tests: int = 1) -> int | None:
    """Seeds with which a difference of this effect size would be found with a power of 0.8; None if over 1000.

    `tests` divides the level, as Holm does for the smallest p.
    """
    for count in range(LEAST_SEEDS, 1001):
        freedom = count - 1
        wanted = float(stdtrit(freedom, 1 - ALPHA / 2 / tests)) + float(stdtrit(freedom, POWER))
        if abs(effect) * sqrt(count) >= wanted:
            return count
    return None


def verdicts(runs: Runs, directions: Sequence[str]) -> list[tuple[Finding, str, Judgement | None, float]]:
    """Judge all findings together: each with its verdict, and p after Holm over all of them.

    Reproduced: p after Holm below 0.05, better on the mean and in each direction; not reproduced: below 0.05 and worse;
    else undecided.
    """
    said = [student(runs.gains(directions, one.having, one.instead, one.axis)) for one in FINDINGS]
    adjusted = holm([1.0 if one is None else one.p for one in said])
    found = []
    for finding, judged, p in zip(FINDINGS, said, adjusted, strict=True):
        each = [runs.gains([one], finding.having, finding.instead, finding.axis) for one in directions]
        verdict = "undecided"
        if judged is not None and p < ALPHA:
            alike = all(values and fmean(values) > 0 for values in each)
            verdict = "not reproduced" if judged.mean < 0 else "reproduced" if alike else "undecided"
        found.append((finding, verdict, judged, p))
    return found


def no_worse(runs: Runs, directions: Sequence[str], cell: str, rival: str, axis: Axis) -> tuple[str, Judgement | None]:
    """Whether a cell is no worse than another by one axis: the 95 % interval lies above minus the margin."""
    judged = student(runs.gains(directions, (cell,), (rival,), axis.name))
    if judged is None or judged.half == inf:
        return "undecided", judged
    if judged.mean - judged.half > -axis.margin:
        return "no worse", judged
    return ("worse" if judged.mean + judged.half < -axis.margin else "undecided"), judged


def best(runs: Runs, directions: Sequence[str], axis: str) -> str:
    """The network that errs least on the mean, of the losses: chosen after the fact, which flatters it."""
    known = {cell: runs.over(directions, cell, axis) for cell in runs.cells if is_loss(cell)}
    most = max(map(len, known.values()), default=0)
    known = {cell: values for cell, values in known.items() if values and len(values) == most}
    return min(sorted(known), key=lambda cell: fmean(known[cell]), default="")


def is_loss(cell: str) -> bool:
    """Whether a cell is one network trained by one loss."""
    return cell not in (*CONTROLS, *FLOORS, MIXTURE, THRICE)


def dose_bought(doses: Sequence[float], errors: Sequence[float], limit: float = LSC) -> float | None:
    """The lowest dose from which on the error stays within a limit; None if it does not.

    Errors are joined by straight lines over the logarithm of the dose; below the lowest dose nothing is said.
    """
    if errors[-1] > limit:
        return None
    place = len(errors) - 1
    while place > 0 and errors[place - 1] <= limit:
        place -= 1
    if place == 0:
        return doses[0]
    above, below = errors[place - 1], errors[place]
    share = (above - limit) / (above - below)
    return exp(log(doses[place - 1]) + share * log(doses[place] / doses[place - 1]))


def bought(runs: Runs, directions: Sequence[str], cell: str, axis: str) -> list[float | None]:
    """`dose_bought` of every network of a cell [photons per pixel and view]."""
    curves = (runs.curve(one, cell, seed, axis) for one, seed in product(directions, runs.seeds(cell)))
    return [dose_bought(runs.doses, curve) for curve in curves if curve]


def shown_dose(found: Sequence[float | None], highest: float) -> str:
    """Median over networks, and the range; a network that never gets there counts as above all doses."""
    if not found:
        return ""
    values = sorted(inf if value is None else value for value in found)
    texts = [f"{value:.0f}" if value < inf else f"> {highest:g}" for value in (median(values), values[0], values[-1])]
    return texts[0] if texts[1] == texts[2] else f"{texts[0]} ({texts[1]} to {texts[2]})"
