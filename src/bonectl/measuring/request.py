"""What is asked of a volume: the options of `measure` as one value, checked before anything is read."""

from dataclasses import dataclass
from typing import TypedDict

from bonectl.core import kit
from bonectl.core.spec import Spec, parse, parse_sum
from bonectl.core.stack import Stack
from bonectl.errors import UsageError

# The threshold that is found in the reference, and applied to both volumes.
REFERENCE = "reference"


class Options(TypedDict, total=False):
    """The fields of `Request`, as keywords."""

    metrics: str | None
    threshold: float | str | None
    mask: Stack | str | None
    reference: Stack | None
    intervals: float | str | None
    seed: int
    purify: bool
    max_memory: int | None


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is measured, in what region, against what, and in how much memory.

    Parameters
    ----------
    metrics, threshold, mask, reference, intervals, seed, purify, max_memory
        As `bonectl.ops.measure.measure`.
    keep : bool
        Whether the volumes are wanted beside their numbers, for pictures: then they are held as a whole.

    Raises
    ------
    UsageError
        When a word is none that is known, whatever the data.
    """

    metrics: str | None = None
    threshold: float | str | None = None
    mask: Stack | str | None = None
    reference: Stack | None = None
    intervals: float | str | None = None
    seed: int = 0
    purify: bool = False
    max_memory: int | None = None
    keep: bool = False

    def __post_init__(self) -> None:
        if self.metrics is not None:
            _check_metrics(parse_sum(self.metrics))
        if isinstance(self.mask, str):
            kit.check("regions", [parse(self.mask)])
        if isinstance(self.threshold, str) and number(self.threshold) is None:
            segmentation(self.threshold)
        _ = self.least_side

    @property
    def least_side(self) -> float | str | None:
        """Least distance of sub-volumes [mm]; else ``"auto"``, ``"none"`` or None as it was asked."""
        if self.intervals is None or self.intervals in ("auto", "none"):
            return self.intervals
        side = number(self.intervals)
        if side is None or not side > 0:
            raise UsageError(f"intervals {self.intervals!r}; give auto, none, or the least side of a sub-volume in mm")
        return side


def usual(*, dense: bool, compared: bool) -> str:
    """What is measured when nothing is said: the field's minimum lists, and what a reference allows."""
    groups = ["structure", *["density"] * dense, *["against"] * compared]
    there = kit.names("metrics", by="PLACE")
    return " + ".join(name for name in there if kit.fact("metrics", name, "USUAL") in groups)


def maps() -> list[str]:
    """Metrics of which there is a map, voxel by voxel, in the order of the tables."""
    there = kit.names("metrics", by="PLACE")
    return [name for name in there if "thickness_map" in kit.describe("metrics", name).functions]


def segmentation(text: str) -> Spec:
    """The part that a threshold names; ``reference`` is Otsu's.

    Raises
    ------
    UsageError
        When there is no such part or knob.
    """
    spec = parse(text)
    if spec.name == REFERENCE:
        spec = Spec("otsu", spec.knobs)
    kit.check("segmentations", [spec])
    return spec


def number(text: float | str) -> float | None:
    """A number as it was written; None of a word."""
    try:
        return float(text)
    except ValueError:
        return None


def _check_metrics(specs: tuple[Spec, ...]) -> None:
    for spec in specs:
        if spec.weight != 1 or spec.when:
            raise UsageError(f"{str(spec)!r}: a metric has no weight and no schedule; write name + name(knob=value)")
    kit.check("metrics", specs)
