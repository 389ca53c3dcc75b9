"""Volume in, table of bone numbers out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from bonectl.core import kit, progress, threads
from bonectl.core.counted import counted
from bonectl.core.header import Header
from bonectl.core.slabs import windows
from bonectl.core.spec import Spec, parse, parse_sum
from bonectl.core.stack import Stack
from bonectl.core.table import Doubt, Finding, Histogram, Number, Row, Table, compared
from bonectl.errors import DataError, UsageError
from bonectl.morphology import trust, voi
from bonectl.morphology.cells import MARROW, Labels
from bonectl.morphology.cut import NONE, Cut, Volume
from bonectl.morphology.parted import Statistic
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.tally import Spacing, Tally, tally
from bonectl.ops import bootstrap, held
from bonectl.ops.convert import single
from bonectl.ops.labels import MOST, natural, watched

# Slices per block while streaming; no number depends on it.
BLOCK = 16

# What `purify` does, in the words of the conditions.
PURE = "largest 26-connected piece of bone, marrow that it encloses filled"

EMPTY = "the mask is empty: no voxel is inside the volume of interest"

# Units of a detector, which no volume has.
SCANNED = ("counts", "transmission", "line integral")

# Voxel sizes that differ by less are the same.
SAME_SIDE = 1e-3

# The conditions of a table, in their order; some are there only where they are known. Beside a grey reference its cut
# follows, its names prefixed by "reference_".
CUT = ("threshold", "threshold_unit", "threshold_rule", "threshold_filter")
CONDITIONS = (
    *("shape", "voxel_z_mm", "voxel_y_mm", "voxel_x_mm", "unit", "volume_of_interest"),
    *CUT,
    *("purification", "calibration"),
)

Array = NDArray[Any]
Mask = NDArray[np.bool_]


def usual(*, dense: bool, compared: bool) -> str:
    """What is measured when nothing is said: the field's minimum lists, and what a reference allows."""
    groups = ["structure", *["density"] * dense, *["against"] * compared]
    there = kit.names("metrics", by="PLACE")
    return " + ".join(name for name in there if kit.fact("metrics", name, "USUAL") in groups)


def maps() -> list[str]:
    """Metrics of which there is a map, voxel by voxel, in the order of the tables."""
    there = kit.names("metrics", by="PLACE")
    return [name for name in there if "thickness_map" in kit.describe("metrics", name).functions]


def measure(  # noqa: PLR0913 (the volume, and what each option says)
    stack: Stack,
    *,
    metrics: str | None = None,
    threshold: float | str | None = None,
    mask: Stack | str | None = None,
    reference: Stack | None = None,
    intervals: float | str | None = None,
    seed: int = 0,
    purify: bool = False,
    max_memory: int | None = None,
) -> Table:
    """Measure a bone volume.

    Parameters
    ----------
    stack : Stack
        A volume in mgHA/cm3, 1/cm or grey values, or a mask (unit "label"). With a calibration in its header,
        1/cm becomes mgHA/cm3 first.
    metrics : str, optional
        Sum of metric names with their knobs, such as ``"bvtv + tbth(convention=bonej)"``; nothing is all that the
        data allow.
    threshold : float or str, optional
        What is bone: a value in the volume's unit (bone lies above it), a segmentation such as
        ``"otsu(sigma=1)"``, or ``"reference"``: Otsu's threshold of the reference, applied to both. Nothing is, for
        a mask, every voxel above 0 (a label below 0 is refused); for mgHA/cm3, half-way between marrow and bone; else
        ``"reference"`` where there is one, and ``"otsu"`` where not.
    mask : Stack or str, optional
        Volume of interest (TV): a stack whose voxels are not 0, or a region such as ``"cylinder"``, ``"auto"`` or
        ``"trabecular(pore=0.2)"``; nothing is the whole stack. Regions that depend on the data are those of the
        reference where there is one.
    reference : Stack, optional
        What the volume should have been: same shape, voxels and unit. Without it, the known answers in the header
        (of a phantom) fill the reference column.
    intervals : float or str, optional
        95 % intervals by block bootstrap (`bonectl.ops.bootstrap`): least distance of the sub-volumes [mm], ``"auto"``
        for twice the plate-model separation, or ``"none"``. Nothing is ``"auto"`` where there is a reference and enough
        sub-volumes fit, else ``"none"``.
    seed : int
        Of the bootstrap's draws.
    purify : bool
        Whether the bone is purified before anything is measured, as by BoneJ: the largest 26-connected piece, with
        the marrow that it encloses filled. The volume and the reference alike; density counts what is filled as bone.
    max_memory : int, optional
        Bytes that the process may hold; nothing is most of what is free. What does not fit is refused before a voxel
        is read (`bonectl.ops.held`).

    Returns
    -------
    Table

    Raises
    ------
    UsageError
        When the request does not fit the data.
    DataError
        When values are not finite, or there is no bone or nothing but bone.
    MemoryShortageError
        When the volume has to be held, and does not fit.

    Notes
    -----
    Metrics of a tally alone (bvtv, surface, euler, smi, tbpf, bmd, tmd, density_spread), with a threshold that is
    known beforehand, no region of the bone, no purification, no reference and no intervals, stream in bounded memory;
    all else holds the volume.
    """
    numba.set_num_threads(min(threads.count(), numba.config.NUMBA_NUM_THREADS))
    case = _plan(stack, metrics, threshold, mask, reference, purify=purify)
    wanted = _sub_volumes(intervals)
    if _streams(case, wanted):
        return _stream(case)
    _check_room(case, max_memory)
    return _examined(case, wanted, seed).table


def check(  # noqa: PLR0913 (as `measure`)
    stack: Stack,
    *,
    metrics: str | None = None,
    threshold: float | str | None = None,
    mask: Stack | str | None = None,
    reference: Stack | None = None,
    intervals: float | str | None = None,
    seed: int = 0,
    purify: bool = False,
    max_memory: int | None = None,
) -> None:
    """Refuse what `measure` would refuse before it reads a voxel, and read none.

    Parameters
    ----------
    stack, metrics, threshold, mask, reference, intervals, seed, purify, max_memory
        As `measure`.

    Raises
    ------
    UsageError, MemoryShortageError
        As `measure`.
    """
    case = _plan(stack, metrics, threshold, mask, reference, purify=purify)
    if not _streams(case, _sub_volumes(intervals)):
        _check_room(case, max_memory)


@dataclass(frozen=True, eq=False)
class Examined:
    """A table, and the volumes it was made from.

    Parameters
    ----------
    table : Table
    specimen : Specimen
        The volume, cut, with what was worked out about it.
    reference : Specimen, optional
    """

    table: Table
    specimen: Specimen
    reference: Specimen | None = None


def examine(  # noqa: PLR0913 (as `measure`)
    stack: Stack,
    *,
    metrics: str | None = None,
    threshold: float | str | None = None,
    mask: Stack | str | None = None,
    reference: Stack | None = None,
    intervals: float | str | None = None,
    seed: int = 0,
    purify: bool = False,
    max_memory: int | None = None,
) -> Examined:
    """As `measure`, and keep the volumes: for pictures of what was measured.

    Parameters
    ----------
    stack, metrics, threshold, mask, reference, intervals, seed, purify, max_memory
        As `measure`. The volume is always held as a whole.

    Raises
    ------
    UsageError, DataError, MemoryShortageError
        As `measure`.
    """
    numba.set_num_threads(min(threads.count(), numba.config.NUMBA_NUM_THREADS))
    case = _plan(stack, metrics, threshold, mask, reference, purify=purify)
    _check_room(case, max_memory, "tbth")  # which pictures show
    return _examined(case, _sub_volumes(intervals), seed)


def thickness_map(
    stack: Stack,
    *,
    what: str = "tbth",
    threshold: float | str | None = None,
    mask: Stack | str | None = None,
    purify: bool = False,
    max_memory: int | None = None,
) -> Stack:
    """Local thickness of the bone or of the marrow, voxel by voxel.

    Parameters
    ----------
    stack, threshold, mask, purify, max_memory
        As `measure`.
    what : str
        ``"tbth"`` of the bone, ``"tbsp"`` of the marrow, with the convention: ``"tbth(convention=bonej)"``. A map of
        the marrow is on the full grid, minutes for 512³.

    Returns
    -------
    Stack
        float32 [mm], 0 outside the structure; the header's `acquisition` says what it is. The volume is held as a
        whole when the first slab is pulled.

    Raises
    ------
    UsageError, DataError, MemoryShortageError
        As `measure`; UsageError for another map, or voxels that are not cubic.
    """
    spec = parse(what)
    if spec.name not in maps():
        raise UsageError(f"there is no map of {spec.name!r}; there are {' and '.join(maps())}")
    kit.check("metrics", [spec])
    knobs = kit.describe("metrics", spec.name).functions["thickness_map"]
    if odd := spec.knobs.keys() - knobs.keys():
        raise UsageError(f"a map has no knob {min(odd)!r}; it has {' and '.join(knobs)}")
    case = _plan(stack, what, threshold, mask, None, purify=purify)
    if max(case.spacing) > min(case.spacing) * (1 + SAME_SIDE):
        raise UsageError("local thickness needs cubic voxels; resample the volume first")
    _check_room(case, max_memory, spec.name)
    facts = {"quantity": f"{kit.fact('metrics', spec.name, 'MAP')}, {spec}"}
    header = case.stack.header.replace(dtype="<f4", unit="mm", calibration=None, answers={}, acquisition=facts)
    return Stack(header, _thicknesses(case, spec))


def _thicknesses(case: "_Case", spec: Spec) -> Iterator[Array]:
    numba.set_num_threads(min(threads.count(), numba.config.NUMBA_NUM_THREADS))
    values = kit.bind("metrics", spec, "thickness_map")(_held(case))
    for start in range(0, len(values), BLOCK):
        yield values[start : start + BLOCK]


@dataclass(frozen=True)
class _Part:
    """A metric with its knobs set, and what flows into it."""

    name: str
    function: Callable[..., tuple[Finding, ...]]
    flows: tuple[str, ...]
    asked: bool
    resampled: Callable[..., Statistic] | None = None

    @classmethod
    def of(cls, spec: Spec, *, asked: bool) -> "_Part":
        """The metric of a spec."""
        part = kit.describe("metrics", spec.name)
        resampled = kit.bind("metrics", spec, "resampled") if "resampled" in part.functions else None
        return cls(spec.name, kit.bind("metrics", spec), part.flows, asked, resampled)

    @property
    def compares(self) -> bool:
        return len(self.flows) > 1


@dataclass(frozen=True)
class _Rule:
    """How bone is told from marrow: a segmentation, and the volume whose values it looks at."""

    spec: Spec
    on_reference: bool = False

    @property
    def looks(self) -> bool:
        """Whether it needs voxels to find the threshold."""
        return kit.describe("segmentations", self.spec.name).flows[0] == "volume"

    def cut(self, values: Array | None, unit: str, spacing: Spacing, inside: Mask | None) -> Cut:
        given: dict[str, Any] = {"unit": unit, "spacing": spacing}
        if values is not None:
            given["volume"] = Volume(values, unit, inside)
        flows = kit.describe("segmentations", self.spec.name).flows
        found: Cut = kit.bind("segmentations", self.spec)(*(given[name] for name in flows))
        return replace(found, rule=f"{found.rule} of the reference") if self.on_reference else found


@dataclass(frozen=True)
class _Region:
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
            masks = _finite(self.mask, "the mask")
            return lambda values: np.asarray(next(masks) != 0)
        return self.seen if self.flows == ("values",) else lambda values: None

    def inside(self, values: Array) -> Mask | None:
        """What of the whole volume lies inside, where no bone is needed to know; None is all."""
        if self.mask is not None:
            return np.asarray(_collected(self.mask, "the mask") != 0)
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
class _Case:
    """A request that fits its data, before a voxel is read."""

    stack: Stack
    spacing: Spacing
    parts: tuple[_Part, ...]
    rule: _Rule
    region: _Region
    reference: Stack | None
    masks: bool
    purify: bool
    threshold: float | str | None = None

    def rule_for(self, unit: str, *, two_levels: bool) -> _Rule:
        """The rule for one of the volumes: beside another, a mask has its own threshold."""
        if unit == "label":
            return self.rule if self.masks else _Rule(Spec("nonzero"))
        own = two_levels and unit == "grey" and self.reference is not None
        return replace(self.rule, spec=Spec("otsu")) if own else self.rule

    @property
    def streams(self) -> bool:
        if (
            self.purify
            or self.rule.looks
            or "bone" in self.region.flows
            or any(part.flows != ("tally",) for part in self.parts)
        ):
            return False
        return self.rule.cut(None, self.stack.header.unit, self.spacing, None).filter.reach is not None


def _streams(case: _Case, sub_volumes: float | str | None) -> bool:
    """Whether the volume need not be held."""
    return case.streams and case.reference is None and sub_volumes in (None, "none")


# -- plan: nothing but headers ------------------------------------------------------------------------------------


def _plan(
    stack: Stack,
    metrics: str | None,
    threshold: float | str | None,
    mask: Stack | str | None,
    reference: Stack | None,
    *,
    purify: bool,
) -> _Case:
    stack = _mineral(stack, "the volume")
    reference = None if reference is None else _mineral(reference, "the reference")
    header = stack.header
    spacing = _spacing(header)
    stack = _watched(stack)
    region = _region(mask, header)
    if reference is not None:
        _check_alike(stack.header, reference.header, "the reference")
        _check_unit(stack.header.unit, reference.header.unit)
    rule = _rule(threshold, stack.header.unit, None if reference is None else reference.header.unit)
    parts = _parts(metrics, stack.header, reference is not None)
    masks = {header.unit, header.unit if reference is None else reference.header.unit} == {"label"}
    if not (masks and threshold is not None):
        stack, reference = _natural(stack, "the volume"), reference and _natural(reference, "the reference")
    return _Case(stack, spacing, parts, rule, region, reference, masks, purify, threshold)


def _spacing(header: Header) -> Spacing:
    if header.is_scan:
        raise UsageError("measure needs a volume, this is a scan; `bonectl reconstruct` makes one of it")
    if header.unit not in ("mgHA/cm3", "1/cm", "grey", "label"):
        raise UsageError(f"measure needs a volume in mgHA/cm3, 1/cm, grey or label, this is {header.unit!r}")
    if not all(header.spacing):
        raise UsageError("the voxel size is unknown; give --voxel-size in mm")
    return tuple(float(side) for side in header.spacing if side)  # type: ignore[return-value]


def _watched(stack: Stack) -> Stack:
    """With a note where a label image holds several bones, or where whole grey values look like one."""
    header = stack.header
    if header.unit == "label":
        return watched(stack, "the volume holds labels {}, measured as one; --label N measures one alone", least=3)
    if header.unit == "grey" and header.dtype[1] in "ui":
        said = "the volume holds 0 and {} alone, as a label image does; --input-unit label takes it as one"
        return watched(stack, said, least=3, most=MOST)
    return stack


def _natural(stack: Stack, what: str) -> Stack:
    return natural(stack, what) if stack.header.unit == "label" else stack


def _mineral(stack: Stack, what: str) -> Stack:
    """Attenuation as mineral density, where the header says how; values that float32 can hold; truth as a mask."""
    if stack.header.unit == "grey" and np.dtype(stack.header.dtype).kind == "b":
        return Stack(stack.header.replace(unit="label"), stack.slabs)
    calibration = stack.header.calibration
    if stack.header.unit != "1/cm" or calibration is None:
        return single(stack, what)
    header = stack.header.replace(unit="mgHA/cm3", dtype="<f8")
    dense = single(stack.map(lambda slab: calibration.density(slab.astype(np.float64)), header), what)
    return dense.map(lambda slab: slab.astype(np.float32), header.replace(dtype="<f4"))


def _region(mask: Stack | str | None, header: Header) -> _Region:
    if mask is None:
        return _Region("whole stack")
    if isinstance(mask, str):
        spec = parse(mask)
        kit.check("regions", [spec])
        found = _Region(str(spec), spec=spec)
        if found.flows == ("header",):
            return _Region(str(spec), mask=kit.bind("regions", spec)(header))
        return found
    _check_alike(header, mask.header, "the mask")
    said = "the mask holds labels {}, taken as one; --mask-label N takes one alone"
    return _Region("mask", mask=watched(mask, said, least=3))


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
        raise _units_differ(unit, reference)


def _units_differ(unit: str, reference: str) -> UsageError:
    return UsageError(f"the reference is in {reference!r}, the volume in {unit!r}; bring both to one unit")


def _rule(threshold: float | str | None, unit: str, reference: str | None) -> _Rule:
    if unit == "label" and reference in (None, "label"):
        return _label_rule(threshold)
    grey = reference if unit == "label" else unit
    if threshold is None:
        if grey == "mgHA/cm3":
            return _Rule(Spec("midpoint"))
        threshold = "reference" if reference not in (None, "label") else "otsu"
    value = _number(threshold)
    if value is not None:
        return _Rule(Spec("fixed", {"value": value}))
    spec = parse(str(threshold))
    if spec.name != "reference":
        kit.check("segmentations", [spec])
        return _Rule(spec)
    if reference in (None, "label"):
        raise UsageError("--threshold reference needs a --reference with grey values")
    spec = Spec("otsu", spec.knobs)
    kit.check("segmentations", [spec])
    return _Rule(spec, on_reference=True)


def _label_rule(threshold: float | str | None) -> _Rule:
    if threshold is None:
        return _Rule(Spec("nonzero"))
    value = _number(threshold)
    if value is None:
        raise UsageError(f"threshold {threshold!r} of a mask; a mask is taken as it is, or cut at a value")
    return _Rule(Spec("fixed", {"value": value}))


def _sub_volumes(intervals: float | str | None) -> float | str | None:
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


def _parts(metrics: str | None, header: Header, compared: bool) -> tuple[_Part, ...]:
    specs = parse_sum(metrics or usual(dense=header.unit == "mgHA/cm3", compared=compared))
    for spec in specs:
        if spec.weight != 1 or spec.when:
            raise UsageError(f"{str(spec)!r}: a metric has no weight and no schedule; write name + name(knob=value)")
    kit.check("metrics", specs)
    parts = tuple(_Part.of(spec, asked=metrics is not None) for spec in specs)
    if lonely := [part.name for part in parts if part.compares and not compared]:
        raise UsageError(f"{lonely[0]} compares with a reference; give --reference")
    return parts


def _check_room(case: _Case, limit: int | None, *more: str) -> None:
    """Refuse what does not fit into memory, with what other names work in too."""
    names = [part.name for part in case.parts] + list(more)
    names += ["components"] if case.purify else []
    names += ["cortical"] if "bone" in case.region.flows else []
    held.check(names, [stack.header for stack in (case.stack, case.reference) if stack is not None], limit)


# -- run ----------------------------------------------------------------------------------------------------------


def _stream(case: _Case) -> Table:
    """Measure slab by slab."""
    cut = case.rule.cut(None, case.stack.header.unit, case.spacing, None)
    extent = voi.Extent(case.stack.header.shape)
    sums = tally(_labelled(case, cut, extent), case.spacing, case.stack.header.unit)
    _check_filled(sums, cut, "the volume")
    return _judged(_table(case, _findings(case.parts, {"tally": sums}), cut), case, extent)


def _labelled(case: _Case, cut: Cut, extent: voi.Extent) -> Iterator[tuple[Labels, Array]]:
    """Labels and values, block by block; the extent grows with them."""
    inside, total = case.region.blocks(), case.stack.header.shape[0]
    with progress.task("measure", total) as advance:
        for around, low, high in windows(_finite(case.stack, "the volume"), total, BLOCK, cut.filter.reach or 0):
            values = around[low:high]
            labels = _labels(cut.bone(around)[low:high], inside(values))
            extent.add(labels)
            yield labels, values
            advance(len(values))


def _examined(case: _Case, sub_volumes: float | str | None, seed: int) -> Examined:
    """Measure what is held as a whole."""
    found = _hold(case) if case.reference is None else _compare(case, case.reference)
    both = (found.specimen,) if found.reference is None else (found.specimen, found.reference)
    return replace(found, table=_surrounded(found.table, case.parts, both, sub_volumes, seed))


def _surrounded(
    table: Table,
    parts: tuple[_Part, ...],
    specimens: tuple[Specimen] | tuple[Specimen, Specimen],
    sub_volumes: float | str | None,
    seed: int,
) -> Table:
    """The table with intervals, where they are wanted; where nobody asked, only if the volume allows them."""
    if sub_volumes == "none" or (sub_volumes is None and len(specimens) == 1):
        return table
    side = sub_volumes if isinstance(sub_volumes, float) else None
    try:
        return bootstrap.with_intervals(table, parts, specimens, side=side, seed=seed)
    except UsageError as error:
        if sub_volumes is not None:
            raise
        progress.note(f"no intervals: {error}")
        return replace(table, conditions={**table.conditions, "intervals": f"none: {error}"})


def _hold(case: _Case) -> Examined:
    """Measure a volume that is held as a whole."""
    specimen = _held(case)
    table = _table(case, _findings(case.parts, _given(specimen)), specimen.cut)
    return Examined(_judged(table, case, _extent(specimen)), specimen)


def _held(case: _Case) -> Specimen:
    values = _collected(case.stack, "the volume")
    return _specimen(case, values, case.region.inside(values), "the volume")


def _compare(case: _Case, stack: Stack) -> Examined:
    """Measure a volume and its reference, and the one against the other."""
    wanted = _collected(stack, "the reference")
    within = case.region.inside(wanted)
    case = _beside(case, stack.header, Volume(wanted, stack.header.unit, within))
    theirs = _specimen(replace(case, stack=stack), wanted, within, "the reference")
    if stack.header.unit != case.stack.header.unit:  # a mask: its values are no values of the volume
        theirs = replace(theirs, unit="label", grey=None)
    inside = None if case.region.mask is None and case.region.spec is None else theirs.voi
    fixed = theirs.cut if case.rule.on_reference and case.stack.header.unit != "label" else None
    ours = _specimen(case, _collected(case.stack, "the volume"), inside, "the volume", fixed)
    alone = [part for part in case.parts if not part.compares]
    table = _table(case, _findings(case.parts, _given(ours) | {"reference": theirs}), ours.cut)
    others = _findings(alone, _given(theirs))
    numbers = [f for f in others if isinstance(f, Number)]
    conditions = {**table.conditions, **_cut_conditions(theirs.cut, "reference_threshold")}
    rows = compared((row.number for row in table.rows), numbers)
    doubts = () if fixed is not None else theirs.cut.doubts
    warnings = (*table.warnings, *(f"{text} (the reference)" for text in (*doubts, *_said(others))))
    table = replace(table, rows=rows, conditions=conditions, reference="the reference volume", warnings=warnings)
    return Examined(_judged(table, case, _extent(ours)), ours, theirs)


def _beside(case: _Case, header: Header, reference: Volume) -> _Case:
    """The case beside a reference of grey values, now that they are read: of two levels, they are a mask.

    Such levels say nothing of the threshold of a grey volume.
    """
    unit = case.stack.header.unit
    if header.unit != "grey":
        return case
    if reference.has_two_levels:
        rule = _rule(None, unit, "label") if case.threshold is None else case.rule
        return replace(case, rule=rule)
    if unit not in ("label", "grey"):
        raise _units_differ(unit, header.unit)
    return case


def _judged(table: Table, case: _Case, extent: voi.Extent) -> Table:
    """The table with its warnings, which are also said."""
    numbers = {row.number.name: row.number.value for row in table.rows}
    width = min(voxels * side for voxels, side in zip(extent.voxels, case.spacing, strict=True))
    doubts = trust.doubts(numbers, max(case.spacing), width, _cut_off(case), extent.shell)
    warnings = (*table.warnings, *doubts, *_two_laws(case))
    for warning in warnings:
        progress.note(f"do not trust: {warning}")
    return replace(table, warnings=warnings)


def _two_laws(case: _Case) -> tuple[str, ...]:
    """A warning where volume and reference owe their density to different calibrations."""
    ours = case.stack.header.calibration
    theirs = None if case.reference is None else case.reference.header.calibration
    if case.stack.header.unit != "mgHA/cm3" or ours is None or theirs is None:
        return ()
    if isclose(ours.slope, theirs.slope, rel_tol=1e-3) and isclose(ours.intercept, theirs.intercept, abs_tol=1):
        return ()
    return (f"density: the volume is calibrated by {ours.source}, the reference by {theirs.source}",)


def _cut_off(case: _Case) -> tuple[str, ...]:
    """The volumes whose values come from a scan of a region of interest; a mask has no values."""
    volumes = {"the volume": case.stack, "the reference": case.reference}
    headers = {name: stack.header for name, stack in volumes.items() if stack is not None}
    return tuple(name for name, told in headers.items() if told.region_of_interest and told.unit != "label")


def _extent(specimen: Specimen) -> voi.Extent:
    extent = voi.Extent(specimen.labels.shape)
    for start in range(0, len(specimen.labels), BLOCK):
        extent.add(specimen.labels[start : start + BLOCK])
    return extent


def _given(specimen: Specimen) -> dict[str, Any]:
    return {"tally": specimen.tally, "specimen": specimen}


def _findings(parts: Sequence[_Part], given: Mapping[str, Any]) -> list[Finding]:
    """What the metrics say; one that was not asked for by name may stay silent where the data do not allow it."""
    found: list[Finding] = []
    with progress.task("numbers", len(parts), "metric") as advance:
        for part in parts:
            advance(0, metric=part.name)
            try:
                found += part.function(*(given[name] for name in part.flows))
            except UsageError as error:
                if part.asked:
                    raise
                progress.note(f"{part.name} is left out: {error}")
            advance(1, metric=part.name)
    return found


def _collected(stack: Stack, what: str) -> Array:
    with progress.task(f"read {what}", stack.header.shape[0]) as advance:
        return Stack(stack.header, _counted(_finite(stack, what), advance)).collect()


def _counted(slabs: Iterator[Array], advance: progress.Advance) -> Iterator[Array]:
    for slab in slabs:
        yield slab
        advance(len(slab))


def _finite(stack: Stack, what: str) -> Iterator[Array]:
    """The blocks of a stack; values that are not finite are refused with their place, and slices that are missing.

    A stack that is known to be finite is not looked through again.
    """
    start = 0
    for block in stack.blocks(BLOCK):
        if not stack.finite and block.dtype.kind == "f" and not np.isfinite(block).all():
            bad = np.argwhere(~np.isfinite(block))
            z, y, x = bad[0]
            raise DataError(
                f"{what} holds values that are not finite, first at z, y, x = {start + z}, {y}, {x}; "
                "--nan zero sets them to 0"
            )
        start += len(block)
        if start > stack.header.shape[0]:
            break
        yield block
    if start != stack.header.shape[0]:
        raise DataError(
            f"{what} has {counted(start, 'slice')}, {counted(stack.header.shape[0], 'was', 'were')} announced"
        )


def _labels(bone: Mask, inside: Mask | None) -> Labels:
    """MARROW and BONE of morphology.cells, OUTSIDE where `inside` is false."""
    labels = bone.view(np.uint8) | np.uint8(MARROW)
    if inside is not None:
        labels *= inside
    return labels


def _specimen(case: _Case, values: Array, inside: Mask | None, what: str, cut: Cut | None = None) -> Specimen:
    """Cut one volume, and add up what its voxels are; by the case's rule, unless the cut is known."""
    with progress.task(f"cut {what}", 1, "volume") as advance:
        specimen = _cut_out(case, values, inside, cut)
        _check_filled(specimen.tally, specimen.cut, f"{what}, purified," if case.purify else what)
        advance()
    return specimen


def _cut_out(case: _Case, values: Array, inside: Mask | None, cut: Cut | None) -> Specimen:
    unit = case.stack.header.unit
    if inside is not None and not inside.any():
        raise DataError(EMPTY)
    two_levels = unit != "label" and Volume(values, unit, inside).has_two_levels
    if cut is None:
        cut = case.rule_for(unit, two_levels=two_levels).cut(values, unit, case.spacing, inside)
    if two_levels and cut.filter is NONE:
        cut = replace(cut, mask=True, rule=f"{cut.rule}, two levels: a mask")
    grey = None if unit == "label" else values
    bone = cut.bone(values)
    if inside is None:
        inside = case.region.around(bone, case.spacing)
    around = bone if inside is not None and _goes_on(values, bone, inside) else None
    specimen = Specimen(_labels(bone, inside), case.spacing, unit, cut, grey, around=around)
    return specimen.purify() if case.purify else specimen


# Where the data hold less than this share of the region's bone beyond it, they are of no bone: air, or blanked.
SAME_TISSUE = 0.25


def _goes_on(values: Array, bone: Mask, inside: Mask) -> bool:
    """Whether the data show the structure beyond the volume of interest too."""
    levels: set[float] = set()
    for plane, within in zip(values, inside, strict=True):
        there = plane[~within]
        if there.size:
            levels |= {float(there.min()), float(there.max())}
    if len(levels) < 2:
        return False
    here, total = np.count_nonzero(bone & inside), np.count_nonzero(bone)
    voxels = np.count_nonzero(inside)
    return bool((total - here) * voxels > SAME_TISSUE * here * (bone.size - voxels))


def _check_filled(sums: Tally, cut: Cut, what: str) -> None:
    """Refuse a volume without bone or without marrow: no number of it means anything."""
    bone, total = sums.cells.bone_voxels, sums.cells.total_voxels
    if total == 0:
        raise DataError(EMPTY)
    if bone == 0:
        raise DataError(f"{what} holds no bone: no voxel is {cut}; a lower threshold may be right")
    if bone == total:
        raise DataError(f"{what} is nothing but bone: all {total} voxels are {cut}; a higher threshold may be right")


# -- the table ----------------------------------------------------------------------------------------------------


def _table(case: _Case, findings: list[Finding], cut: Cut) -> Table:
    header = case.stack.header
    conditions: dict[str, float | int | str | None] = {
        "shape": " ".join(map(str, header.shape)),
        **{f"voxel_{axis}_mm": side for axis, side in zip("zyx", case.spacing, strict=True)},
        "unit": header.unit,
        "volume_of_interest": case.region.name,
        **_cut_conditions(cut, "threshold"),
        "purification": PURE if case.purify else "none",
    }
    if header.calibration is not None and header.unit == "mgHA/cm3":
        pseudo = " (pseudo-calibrated: structure may be trusted, density not)" if header.calibration.pseudo else ""
        conditions["calibration"] = header.calibration.source + pseudo
    rows = tuple(Row(found) for found in findings if isinstance(found, Number))
    histograms = tuple(found for found in findings if isinstance(found, Histogram))
    table = Table(rows, conditions, histograms, warnings=(*cut.doubts, *_said(findings)))
    if header.answers and case.reference is None:
        return replace(table.beside(header.answers), reference="known answers of the phantom")
    return table


def _said(findings: Iterable[Finding]) -> tuple[str, ...]:
    """What the metrics themselves doubt."""
    return tuple(dict.fromkeys(found.text for found in findings if isinstance(found, Doubt)))


def _cut_conditions(cut: Cut, name: str) -> dict[str, float | str]:
    return {name: cut.value, f"{name}_unit": cut.unit, f"{name}_rule": cut.rule, f"{name}_filter": str(cut.filter)}
