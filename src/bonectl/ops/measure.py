"""Volume in, table of bone numbers out."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Unpack

from bonectl.core import kit, progress, threads
from bonectl.core.cost import Cost
from bonectl.core.lengths import is_cubic
from bonectl.core.slabs import Array, windows
from bonectl.core.spec import Spec, parse
from bonectl.core.stack import Stack
from bonectl.core.table import Number, Table, compared
from bonectl.errors import UsageError
from bonectl.measuring import bootstrap
from bonectl.measuring.plan import Plan
from bonectl.measuring.request import Options, Request, maps
from bonectl.measuring.specimens import beside, check_filled, extent_of, labelled, read, segmented
from bonectl.measuring.tables import Examined, flowing, found_by, judged, said, table_of, threshold_conditions
from bonectl.measuring.values import BLOCK, collected, finite
from bonectl.morphology import voi
from bonectl.morphology.cells import Labels
from bonectl.morphology.sums import sums_of
from bonectl.morphology.threshold import Threshold, Volume

# In whose memory a map is made, of marrow too.
FULL_GRID = ("tbth",)


def measure(stack: Stack, **options: Unpack[Options]) -> Table:
    """Measure a bone volume.

    Parameters
    ----------
    stack : Stack
        A volume in mgHA/cm³, 1/cm or grey values, or a mask (unit "label"). With a calibration in its header,
        1/cm becomes mgHA/cm³ first.
    metrics : str, optional
        Sum of metric names with their knobs, such as ``"bvtv + tbth(convention=bonej)"``; nothing is all that the
        data allow.
    threshold : float or str, optional
        What is bone: a value in the volume's unit (bone lies above it), a segmentation such as
        ``"otsu(sigma=1)"``, or ``"reference"``: Otsu's threshold of the reference, applied to both. Nothing is, for
        a mask, every voxel above 0 (a label below 0 is refused); for mgHA/cm³, half-way between marrow and bone; else
        ``"reference"`` where there is one, and ``"otsu"`` where not.
    mask : Stack or str, optional
        Volume of interest (TV): a stack whose voxels are not 0, or a region such as ``"cylinder"``, ``"auto"`` or
        ``"trabecular(pore=0.2)"``; nothing is the whole stack. Regions that depend on the data are those of the
        reference where there is one.
    reference : Stack, optional
        What the volume should have been: same shape, voxels and unit. Without it, the known answers in the header
        (of a phantom) fill the reference column.
    intervals : float or str, optional
        95 % intervals by block bootstrap (`bonectl.measuring.bootstrap`): least distance of the sub-volumes [mm],
        ``"auto"`` for twice the plate-model separation, or ``"none"``. Nothing is ``"auto"`` where there is a
        reference and enough sub-volumes fit, else ``"none"``.
    seed : int
        Of the bootstrap's draws.
    purify : bool
        Whether the bone is purified before anything is measured, as by BoneJ: the largest 26-connected piece, with
        the marrow that it encloses filled. The volume and the reference alike; density counts what is filled as bone.
    max_memory : int, optional
        Bytes that the process may hold; nothing is most of what is free. What does not fit is refused before a voxel
        is read (`bonectl.measuring.memory_need`).

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
    Metrics of sums alone (bvtv, surface, euler, smi, tbpf, bmd, tmd, density_spread), with a threshold that is
    known beforehand, no region of the bone, no purification, no reference and no intervals, stream in bounded memory;
    all else holds the volume.
    """
    return examine(stack, Request(**options)).table


def examine(stack: Stack, request: Request) -> Examined:
    """The numbers of a volume, and where they are wanted the volumes that they were measured in.

    Parameters
    ----------
    stack : Stack
        As `measure`.
    request : Request

    Raises
    ------
    UsageError, DataError, MemoryShortageError
        As `measure`.
    """
    threads.settle_numba()
    plan = planned(stack, request)
    if plan.streams:
        return Examined(_stream(plan))
    found = _alone(plan) if plan.reference is None else _compared(plan, plan.reference)
    return replace(found, table=_surrounded(found, plan))


def planned(stack: Stack, request: Request) -> Plan:
    """What would be measured, and how; refused is what `measure` refuses before it reads a voxel, and none is read.

    Raises
    ------
    UsageError, MemoryShortageError
        As `measure`.
    """
    plan = Plan.of(stack, request)
    if not plan.streams:
        plan.check_memory()
    return plan


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
    request = Request(threshold=threshold, mask=mask, purify=purify, max_memory=max_memory)
    return mapped(stack, what, request)[0]


def mapped(stack: Stack, what: str, request: Request) -> tuple[Stack, Cost]:
    """As `thickness_map`, and the memory that it takes."""
    spec = parse(what)
    if spec.name not in maps():
        raise UsageError(f"there is no map of {spec.name!r}; there are {' and '.join(maps())}")
    knobs = kit.describe("metrics", spec.name).functions["thickness_map"]
    if odd := spec.knobs.keys() - knobs.keys():
        raise UsageError(f"a map has no knob {min(odd)!r}; it has {' and '.join(knobs)}")
    plan = Plan.of(stack, replace(request, metrics=what))
    if not is_cubic(plan.spacing):
        raise UsageError("local thickness needs cubic voxels; resample the volume first")
    plan.check_memory(*FULL_GRID)
    facts = {"quantity": f"{kit.fact('metrics', spec.name, 'MAP')}, {spec}"}
    header = plan.stack.header.replace(dtype="<f4", unit="mm", calibration=None, answers={}, acquisition=facts)
    return Stack(header, _thicknesses(plan, spec)), plan.cost(*FULL_GRID)


def _thicknesses(plan: Plan, spec: Spec) -> Iterator[Array]:
    threads.settle_numba()
    values = kit.bind("metrics", spec, "thickness_map")(read(plan))
    for start in range(0, len(values), BLOCK):
        yield values[start : start + BLOCK]


def _stream(plan: Plan) -> Table:
    """Measure slab by slab."""
    threshold = plan.rule.threshold(None, plan.stack.header.unit, plan.spacing, None)
    extent = voi.Extent(plan.stack.header.shape)
    sums = sums_of(_labelled(plan, threshold, extent), plan.spacing, plan.stack.header.unit)
    check_filled(sums, threshold, "the volume")
    return judged(table_of(plan, found_by(plan.parts, {"sums": sums}), threshold), plan, extent)


def _labelled(plan: Plan, threshold: Threshold, extent: voi.Extent) -> Iterator[tuple[Labels, Array]]:
    """Labels and values, block by block; the extent grows with them."""
    inside, total = plan.region.blocks(), plan.stack.header.shape[0]
    with progress.task("measure", total) as advance:
        for around, low, high in windows(finite(plan.stack, "the volume"), total, BLOCK, threshold.filter.reach or 0):
            values = around[low:high]
            labels = labelled(threshold.bone(around)[low:high], inside(values))
            extent.add(labels)
            yield labels, values
            advance(len(values))


def _surrounded(found: Examined, plan: Plan) -> Table:
    """The table with intervals, where they are wanted; where nobody asked, only if the volume allows them."""
    table, wanted = found.table, plan.request.least_side
    if wanted == "none" or (wanted is None and found.reference is None):
        return table
    specimens = (found.specimen,) if found.reference is None else (found.specimen, found.reference)
    side = wanted if isinstance(wanted, float) else None
    try:
        return bootstrap.with_intervals(table, plan.parts, specimens, side=side, seed=plan.request.seed)
    except UsageError as error:
        if wanted is not None:
            raise
        progress.note(f"no intervals: {error}")
        return replace(table, conditions={**table.conditions, "intervals": f"none: {error}"})


def _alone(plan: Plan) -> Examined:
    """Measure a volume that is held as a whole."""
    specimen = read(plan)
    table = table_of(plan, found_by(plan.parts, flowing(specimen)), specimen.threshold)
    return Examined(judged(table, plan, extent_of(specimen)), specimen)


def _compared(plan: Plan, stack: Stack) -> Examined:
    """Measure a volume and its reference, and the one against the other."""
    wanted = collected(stack, "the reference")
    within = plan.region.inside(wanted)
    plan = beside(plan, stack.header, Volume(wanted, stack.header.unit, within))
    theirs = segmented(replace(plan, stack=stack), wanted, within, "the reference")
    if stack.header.unit != plan.stack.header.unit:  # a mask: its values are no values of the volume
        theirs = replace(theirs, unit="label", grey=None)
    inside = None if plan.region.mask is None and plan.region.spec is None else theirs.voi
    fixed = theirs.threshold if plan.rule.on_reference and plan.stack.header.unit != "label" else None
    ours = segmented(plan, collected(plan.stack, "the volume"), inside, "the volume", fixed)
    alone = [part for part in plan.parts if not part.compares]
    table = table_of(plan, found_by(plan.parts, flowing(ours) | {"reference": theirs}), ours.threshold)
    others = found_by(alone, flowing(theirs))
    numbers = [f for f in others if isinstance(f, Number)]
    conditions = {**table.conditions, **threshold_conditions(theirs.threshold, "reference_threshold")}
    rows = compared((row.number for row in table.rows), numbers)
    doubts = () if fixed is not None else theirs.threshold.doubts
    warnings = (*table.warnings, *(f"{text} (the reference)" for text in (*doubts, *said(others))))
    table = replace(table, rows=rows, conditions=conditions, reference="the reference volume", warnings=warnings)
    return Examined(judged(table, plan, extent_of(ours)), ours, theirs)
