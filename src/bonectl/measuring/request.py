"""What shall be measured, and how: from options and headers to one value, before a voxel is read."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bonectl.core import kit
from bonectl.core.header import Header
from bonectl.core.lengths import Spacing
from bonectl.core.slabs import Array
from bonectl.core.spec import Spec, parse, parse_sum
from bonectl.core.stack import Stack
from bonectl.core.table import Finding
from bonectl.errors import UsageError
from bonectl.measuring import memory_need
from bonectl.measuring.labels import MOST, natural, watched
from bonectl.measuring.values import Mask, collected, finite, mineral
from bonectl.morphology.cut import Cut, Volume
from bonectl.morphology.parted import Statistic

# Units of a detector, which no volume has.
SCANNED = ("counts", "transmission", "line integral")


# Voxel sizes that differ by less are the same.
SAME_SIDE = 1e-3


def usual(*, dense: bool, compared: bool) -> str:
    """What is measured when nothing is said: the field's minimum lists, and what a reference allows."""
    groups = ["structure", *["density"] * dense, *["against"] * compared]
    there = kit.names("metrics", by="PLACE")
    return " + ".join(name for name in there if kit.fact("metrics", name, "USUAL") in groups)


def maps() -> list[str]:
    """Metrics of which there is a map, voxel by voxel, in the order of the tables."""
    there = kit.names("metrics", by="PLACE")
    return [name for name in there if "thickness_map" in kit.describe("metrics", name).functions]


@dataclass(frozen=True)
class Part:
    """A metric with its knobs set, and what flows into it."""

    name: str
    function: Callable[..., tuple[Finding, ...]]
    flows: tuple[str, ...]
    asked: bool
    resampled: Callable[..., Statistic] | None = None

    @classmethod
    def of(cls, spec: Spec, *, asked: bool) -> "Part":
        """The metric of a spec."""
        part = kit.describe("metrics", spec.name)
        resampled = kit.bind("metrics", spec, "resampled") if "resampled" in part.functions else None
        return cls(spec.name, kit.bind("metrics", spec), part.flows, asked, resampled)

    @property
    def compares(self) -> bool:
        """Whether it takes a reference too."""
        return len(self.flows) > 1


@dataclass(frozen=True)
class Rule:
    """How bone is told from marrow: a segmentation, and the volume whose values it looks at."""

    spec: Spec
    on_reference: bool = False

    @property
    def looks(self) -> bool:
        """Whether it needs voxels to find the threshold."""
        return kit.describe("segmentations", self.spec.name).flows[0] == "volume"

    def cut(self, values: Array | None, unit: str, spacing: Spacing, inside: Mask | None) -> Cut:
        """How one volume is cut; by its values, where they are needed."""
        given: dict[str, Any] = {"unit": unit, "spacing": spacing}
        if values is not None:
            given["volume"] = Volume(values, unit, inside)
        flows = kit.describe("segmentations", self.spec.name).flows
        found: Cut = kit.bind("segmentations", self.spec)(*(given[name] for name in flows))
        return replace(found, rule=f"{found.rule} of the reference") if self.on_reference else found


@dataclass(frozen=True)
class Region:
    """The volume of interest: a mask, or what finds it in the values or in the bone; else the whole stack."""

    name: str
    mask: Stack | None = None
    spec: Spec | None = None

    @property
    def flows(self) -> tuple[str, ...]:
        """What finds it looks at."""
        return () if self.spec is None else kit.describe("regions", self.spec.name).flows

    def blocks(self) -> Callable[[Array], Mask | None]:
        """What of each next block of values lies inside, where no bone is needed to know; None is all."""
        if self.mask is not None:
            masks = finite(self.mask, "the mask")
            return lambda values: np.asarray(next(masks) != 0)
        return self.seen if self.flows == ("values",) else lambda values: None

    def inside(self, values: Array) -> Mask | None:
        """What of the whole volume lies inside, where no bone is needed to know; None is all."""
        if self.mask is not None:
            return np.asarray(collected(self.mask, "the mask") != 0)
        return self.seen(values) if self.flows == ("values",) else None

    def seen(self, values: Array) -> Mask:
        """What the values show, slice by slice."""
        return np.asarray(kit.bind("regions", self.spec)(values)) if self.spec else np.ones(values.shape, bool)

    def around(self, bone: Mask, spacing: Spacing) -> Mask | None:
        """What the bone shows; None where that is not asked."""
        if self.spec is None or self.flows != ("bone", "spacing"):
            return None
        return np.asarray(kit.bind("regions", self.spec)(bone, spacing))


@dataclass(frozen=True)
class Case:
    """A request that fits its data, before a voxel is read."""

    stack: Stack
    spacing: Spacing
    parts: tuple[Part, ...]
    rule: Rule
    region: Region
    reference: Stack | None
    masks: bool
    purify: bool
    threshold: float | str | None = None
    told: list[str] = field(default_factory=list)  # what is seen of the values while they are read

    def rule_for(self, unit: str, *, two_levels: bool) -> Rule:
        """The rule for one of the volumes: beside another, a mask has its own threshold."""
        if unit == "label":
            return self.rule if self.masks else Rule(Spec("nonzero"))
        own = two_levels and unit == "grey" and self.reference is not None
        return replace(self.rule, spec=Spec("otsu")) if own else self.rule

    @property
    def streams(self) -> bool:
        """Whether all that is asked of the volume alone comes slab by slab."""
        if (
            self.purify
            or self.rule.looks
            or "bone" in self.region.flows
            or any(part.flows != ("tally",) for part in self.parts)
        ):
            return False
        return self.rule.cut(None, self.stack.header.unit, self.spacing, None).filter.reach is not None


def streams(case: Case, sub_volumes: float | str | None) -> bool:
    """Whether the volume need not be held."""
    return case.streams and case.reference is None and sub_volumes in (None, "none")


def planned(
    stack: Stack,
    metrics: str | None,
    threshold: float | str | None,
    mask: Stack | str | None,
    reference: Stack | None,
    *,
    purify: bool,
) -> Case:
    """The request as one value, checked against all that the headers tell; no voxel is read.

    Parameters
    ----------
    stack, metrics, threshold, mask, reference, purify
        As `bonectl.ops.measure.measure`.

    Raises
    ------
    UsageError
        When the request does not fit the data.
    """
    stack = mineral(stack, "the volume")
    reference = None if reference is None else mineral(reference, "the reference")
    header = stack.header
    spacing = _spacing(header)
    told: list[str] = []
    stack = _watched(stack, told.append)
    region = _region(mask, header)
    if reference is not None:
        _check_alike(stack.header, reference.header, "the reference")
        _check_unit(stack.header.unit, reference.header.unit)
    rule = rule_of(threshold, stack.header.unit, None if reference is None else reference.header.unit)
    parts = parts_of(metrics, stack.header, reference is not None)
    masks = {header.unit, header.unit if reference is None else reference.header.unit} == {"label"}
    if not (masks and threshold is not None):
        stack, reference = _natural(stack, "the volume"), reference and _natural(reference, "the reference")
    return Case(stack, spacing, parts, rule, region, reference, masks, purify, threshold, told)


def _spacing(header: Header) -> Spacing:
    if header.is_scan:
        raise UsageError("measure needs a volume, this is a scan; `bonectl reconstruct` makes one of it")
    if header.unit not in ("mgHA/cm3", "1/cm", "grey", "label"):
        raise UsageError(f"measure needs a volume in mgHA/cm3, 1/cm, grey or label, this is {header.unit!r}")
    if not all(header.spacing):
        raise UsageError("the voxel size is unknown; give --voxel-size in mm")
    return tuple(float(side) for side in header.spacing if side)  # type: ignore[return-value]


def _watched(stack: Stack, tell: Callable[[str], None]) -> Stack:
    """With a note where a label image holds several bones, or where whole grey values look like one."""
    header = stack.header
    if header.unit == "label":
        return watched(stack, "the volume holds labels {}, measured as one; --label N measures one alone", least=3)
    if header.unit == "grey" and header.dtype[1] in "ui":
        said = "the volume holds 0 and {} alone, as a label image does; --input-unit label takes it as one"
        return watched(stack, said, least=3, most=MOST, tell=tell)
    return stack


def _natural(stack: Stack, what: str) -> Stack:
    return natural(stack, what) if stack.header.unit == "label" else stack


def _region(mask: Stack | str | None, header: Header) -> Region:
    if mask is None:
        return Region("whole stack")
    if isinstance(mask, str):
        spec = parse(mask)
        kit.check("regions", [spec])
        found = Region(str(spec), spec=spec)
        if found.flows == ("header",):
            return Region(str(spec), mask=kit.bind("regions", spec)(header))
        return found
    _check_alike(header, mask.header, "the mask")
    said = "the mask holds labels {}, taken as one; --mask-label N takes one alone"
    return Region("mask", mask=watched(mask, said, least=3))


def _check_alike(header: Header, other: Header, what: str) -> None:
    """Refuse a stack whose voxels are not those of the volume."""
    if other.is_scan or other.unit in SCANNED:
        raise UsageError(f"{what} is a scan; a volume with the voxels of the measured one is needed")
    if header.shape != other.shape:
        raise UsageError(f"{what} has shape {other.shape}, the volume {header.shape}; they must be the same")
    for axis, ours, theirs in zip(header.axes, header.spacing, other.spacing, strict=True):
        if ours and theirs and abs(ours - theirs) > SAME_SIDE * ours:
            raise UsageError(f"{what} has voxels of {theirs:g} mm along {axis}, the volume of {ours:g} mm")


def _check_unit(unit: str, reference: str) -> None:
    """Refuse a reference of another unit; but grey values may prove to be a mask."""
    if reference not in (unit, "label", "grey") and unit != "label":
        raise units_differ(unit, reference)


def units_differ(unit: str, reference: str) -> UsageError:
    """What is wrong with a reference in another unit."""
    return UsageError(f"the reference is in {reference!r}, the volume in {unit!r}; bring both to one unit")


def rule_of(threshold: float | str | None, unit: str, reference: str | None) -> Rule:
    """How bone is told from marrow, by what was asked and the units of the volume and its reference."""
    if unit == "label" and reference in (None, "label"):
        return _label_rule(threshold)
    grey = reference if unit == "label" else unit
    if threshold is None:
        if grey == "mgHA/cm3":
            return Rule(Spec("midpoint"))
        threshold = "reference" if reference not in (None, "label") else "otsu"
    value = _number(threshold)
    if value is not None:
        return Rule(Spec("fixed", {"value": value}))
    spec = parse(str(threshold))
    if spec.name != "reference":
        kit.check("segmentations", [spec])
        return Rule(spec)
    if reference in (None, "label"):
        raise UsageError("--threshold reference needs a --reference with grey values")
    spec = Spec("otsu", spec.knobs)
    kit.check("segmentations", [spec])
    return Rule(spec, on_reference=True)


def _label_rule(threshold: float | str | None) -> Rule:
    if threshold is None:
        return Rule(Spec("nonzero"))
    value = _number(threshold)
    if value is None:
        raise UsageError(f"threshold {threshold!r} of a mask; a mask is taken as it is, or cut at a value")
    return Rule(Spec("fixed", {"value": value}))


def sub_volumes(intervals: float | str | None) -> float | str | None:
    """A side as a number, a word as it is."""
    if intervals is None or intervals in ("auto", "none"):
        return intervals
    side = _number(intervals)
    if side is None or not side > 0:
        raise UsageError(f"intervals {intervals!r}; give auto, none, or the least side of a sub-volume in mm")
    return side


def _number(threshold: float | str) -> float | None:
    try:
        return float(threshold)
    except ValueError:
        return None


def parts_of(metrics: str | None, header: Header, compared: bool) -> tuple[Part, ...]:
    """The metrics that were asked for, or the usual ones."""
    specs = parse_sum(metrics or usual(dense=header.unit == "mgHA/cm3", compared=compared))
    for spec in specs:
        if spec.weight != 1 or spec.when:
            raise UsageError(f"{str(spec)!r}: a metric has no weight and no schedule; write name + name(knob=value)")
    kit.check("metrics", specs)
    parts = tuple(Part.of(spec, asked=metrics is not None) for spec in specs)
    if lonely := [part.name for part in parts if part.compares and not compared]:
        raise UsageError(f"{lonely[0]} compares with a reference; give --reference")
    return parts


def check_room(case: Case, limit: int | None, *more: str) -> None:
    """Refuse what does not fit into memory, with what other names work in too."""
    names = [part.name for part in case.parts] + list(more)
    names += ["components"] if case.purify else []
    names += ["cortical"] if "bone" in case.region.flows else []
    memory_need.check(names, [stack.header for stack in (case.stack, case.reference) if stack is not None], limit)
