"""What the paper found, as comparisons that can fail, and the rule by which each is judged.

The findings are those of the abstract of Leuliet, Maxim, Peyrin and Sixou (Med. Phys. 49(5):2952, 2022). Each compares
pairs of cells that differ in one term and share the setting and the seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf, sqrt
from statistics import fmean, stdev

from scipy.stats import t as student

# Below so many pairs nothing is decided.
LEAST_PAIRS = 3
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Run:
    """One network (or filter) on the test bone: its numbers by name."""

    setting: str
    cell: str
    seed: int
    numbers: dict[str, float] = field(hash=False)

    @property
    def terms(self) -> frozenset[str]:
        """The terms of its loss."""
        return frozenset(self.cell.split("+"))


@dataclass(frozen=True)
class Finding:
    """That one term does better than another, by one number.

    Parameters
    ----------
    text : str
        What is claimed.
    number : str
        By which it is judged.
    having, instead : frozenset of str
        Terms of the better cell, and those that stand in their place in the other.
    error : bool
        Whether the number is an error, judged by its size (smaller is better), or a merit (larger is better).
    needs_vgg : bool
        Whether it speaks of VGG.
    """

    text: str
    number: str
    having: frozenset[str]
    instead: frozenset[str]
    error: bool = True
    needs_vgg: bool = False


def _one(text: str, number: str, having: str, instead: str, *, error: bool = True, vgg: bool = False) -> Finding:
    return Finding(text, number, frozenset(having.split()), frozenset(instead.split()), error, vgg)


# Resolution is told by the edges (MTF at 10 %, which blur lowers) and by the agreement of Fourier coefficients (FSC,
# which noise and lost detail lower).
BONE = "l1 euler bvtv hist"
FINDINGS = (
    _one("L1 keeps resolution better than L2 (MTF)", "mtf10", "l1", "l2", error=False),
    _one("L1 keeps resolution better than L2 (FSC)", "fsc_frequency", "l1", "l2", error=False),
    _one("L1 keeps resolution better than no pixelwise loss (MTF)", "mtf10", "l1", "", error=False),
    _one("L1 keeps resolution better than no pixelwise loss (FSC)", "fsc_frequency", "l1", "", error=False),
    _one("VGG keeps BV/TV better than SSIM", "bvtv bias [%]", "perceptual", "ssim", vgg=True),
    _one("VGG keeps the Euler number better than SSIM", "chi bias", "perceptual", "ssim", vgg=True),
    _one("SSIM keeps resolution better than VGG (MTF)", "mtf10", "ssim", "perceptual", error=False, vgg=True),
    _one("VGG with an adversary keeps the Euler number better than VGG", "chi bias", "perceptual wgan", "perceptual",
         vgg=True),
    _one("an adversary keeps the distribution of density better (W1)", "bmd_distance", "wgan", ""),
    _one("bone losses keep the Euler number better than L1 alone", "chi bias", BONE, "l1"),
    _one("bone losses keep BV/TV better than L1 alone", "bvtv bias [%]", BONE, "l1"),
    _one("bone losses keep the distribution of density better than L1 alone (W1)", "bmd_distance", BONE, "l1"),
    _one("bone losses keep the Euler number better than perceptual and adversarial ones", "chi bias", BONE,
         "l1 perceptual wgan"),
    _one("bone losses keep mean density better than perceptual and adversarial ones", "bmd bias [%]", BONE,
         "l1 perceptual wgan"),
    _one("bone losses keep resolution better than L1 alone (MTF)", "mtf10", BONE, "l1", error=False),
    _one("bone losses keep resolution better than L1 alone (FSC)", "fsc_frequency", BONE, "l1", error=False),
)  # fmt: skip


@dataclass(frozen=True)
class Criterion:
    """One half of the claim that nobody has to trade: no worse than a rival, within a margin set beforehand.

    Parameters
    ----------
    text : str
        What is asked.
    number : str
        By which it is judged.
    margin : float
        What counts as no worse, in the number's unit.
    rival : str
        A cell; nothing stands for the best cell with a perceptual or an adversarial term and none that is aimed at
        bone numbers, by the mean over its seeds, of those with as many seeds as any.
        Choosing it after the fact flatters it, never us.
    error : bool
        As in `Finding`.
    """

    text: str
    number: str
    margin: float
    rival: str = ""
    error: bool = True


CRITERIA = (
    Criterion("edges as sharp as L1's (MTF 10 %, margin 0.2 1/mm)", "mtf10", 0.2, "l1", error=False),
    Criterion("detail as true as L1's (FSC, margin 0.2 1/mm)", "fsc_frequency", 0.2, "l1", error=False),
    Criterion("Euler number (margin 5 % of the truth)", "chi bias [%]", 5.0),
    Criterion("mean mineral density (margin 0.5 %)", "bmd bias [%]", 0.5),
    Criterion("distribution of density (W1, margin 0.5 mgHA/cm³)", "bmd_distance", 0.5),
)
TRADED = frozenset({"perceptual", "wgan"})
AIMED = frozenset({"hist", "bvtv", "euler"})


@dataclass(frozen=True)
class Judgement:
    """What became of a finding; texts as they are printed."""

    verdict: str
    interval: str
    effect: str
    pairs: int


def judge(finding: Finding, runs: Sequence[Run]) -> Judgement:
    """Compare all pairs of runs that differ in what the finding speaks of, and in nothing else.

    Reproduced: the 95 % confidence interval of the mean difference (Student's t over pairs) lies on the better side of
    0; not reproduced: on the worse side; undecided: it holds 0, or there are fewer than three pairs. Pairs of
    one seed in several cells are not independent of each other, so the interval is rather too narrow than too wide.
    """
    gains = list(_gains(finding, runs))
    if not gains:
        return Judgement("undecided", "no such cells", "", 0)
    mean, half = summary(gains)
    effect = _effect(gains)
    if half is None or len(gains) < LEAST_PAIRS:
        return Judgement("undecided", f"{mean:+.3g} (too few pairs)", effect, len(gains))
    verdict = "reproduced" if mean > half else "not reproduced" if mean < -half else "undecided"
    return Judgement(verdict, f"{mean:+.3g} ± {half:.3g}", effect, len(gains))


def stands(criterion: Criterion, cell: str, runs: Sequence[Run]) -> Judgement:
    """Judge whether a cell is no worse than its rival, seed by seed.

    No worse: the 95 % confidence interval of the mean difference lies above minus the margin; worse: below it;
    undecided: it holds minus the margin, or there are fewer than three pairs.
    """
    rival = criterion.rival or _best(criterion, runs)
    merits = {name: _merits(criterion, name, runs) for name in (cell, rival)}
    gains = [value - merits[rival][seed] for seed, value in merits[cell].items() if seed in merits[rival]]
    if not gains:
        return Judgement("undecided", "no such cells", "", 0)
    mean, half = summary(gains)
    if half is None or len(gains) < LEAST_PAIRS:
        return Judgement("undecided", f"{mean:+.3g} against {rival} (too few pairs)", _effect(gains), len(gains))
    floor = -criterion.margin
    verdict = "no worse" if mean - half > floor else "worse" if mean + half < floor else "undecided"
    return Judgement(verdict, f"{mean:+.3g} ± {half:.3g} against {rival}", _effect(gains), len(gains))


def _best(criterion: Criterion, runs: Sequence[Run]) -> str:
    """The cell with a perceptual or an adversarial term that does best on average."""
    cells = {run.cell for run in runs if TRADED & run.terms and not AIMED & run.terms}
    known = {cell: _merits(criterion, cell, runs) for cell in cells}
    most = max(map(len, known.values()), default=0)
    known = {cell: merits for cell, merits in known.items() if merits and len(merits) == most}
    return max(sorted(known), key=lambda cell: fmean(known[cell].values()), default="")


def _merits(criterion: Criterion, cell: str, runs: Sequence[Run]) -> dict[int, float]:
    """Merit by seed; more is better."""
    values = {
        run.seed: run.numbers[criterion.number] for run in runs if run.cell == cell and criterion.number in run.numbers
    }
    return {seed: -abs(value) if criterion.error else value for seed, value in values.items()}


def summary(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean, and half-width of its 95 % confidence interval; None for what so few values do not give."""
    if not values:
        return None, None
    if len(values) == 1:
        return values[0], None
    scale = float(student.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    return fmean(values), scale * stdev(values) / sqrt(len(values))


def _gains(finding: Finding, runs: Sequence[Run]) -> Sequence[float]:
    """How much better each run with the terms is than its twin, in the number's unit; positive is better."""
    merit: Callable[[float], float] = (lambda value: -abs(value)) if finding.error else (lambda value: value)
    known = {(run.setting, run.terms, run.seed): run for run in runs}
    gains = []
    for run in runs:
        if not finding.having <= run.terms:
            continue
        twin = known.get((run.setting, run.terms - finding.having | finding.instead, run.seed))
        if twin is None or finding.instead & run.terms - finding.having:
            continue
        if finding.number in run.numbers and finding.number in twin.numbers:
            gains.append(merit(run.numbers[finding.number]) - merit(twin.numbers[finding.number]))
    return gains


def _effect(gains: Sequence[float]) -> str:
    """Cohen's d of paired differences: their mean over their standard deviation."""
    if len(gains) < 2:
        return ""
    spread = stdev(gains)
    mean = fmean(gains)
    return f"{mean / spread if spread else (inf if mean > 0 else -inf if mean < 0 else 0):+.2g}"
