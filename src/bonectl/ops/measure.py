"""Volume in, table of bone numbers out."""

from collections.abc import Iterator
from dataclasses import replace

from bonectl.core import kit, progress, threads
from bonectl.core.slabs import Array, windows
from bonectl.core.spec import Spec, parse
from bonectl.core.stack import Stack
from bonectl.core.table import Number, Table, compared
from bonectl.errors import UsageError
from bonectl.measuring import bootstrap
from bonectl.measuring.request import SAME_SIDE, Case, Part, check_room, maps, planned, streams, sub_volumes
from bonectl.measuring.specimens import beside, check_filled, extent_of, held, labelled, segmented
from bonectl.measuring.tables import Examined, cut_conditions, flowing, found_by, judged, said, table_of
from bonectl.measuring.values import BLOCK, collected, finite
from bonectl.morphology import voi
from bonectl.morphology.cells import Labels
from bonectl.morphology.cut import Cut, Volume
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.tally import tally


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
    Metrics of a tally alone (bvtv, surface, euler, smi, tbpf, bmd, tmd, density_spread), with a threshold that is
    known beforehand, no region of the bone, no purification, no reference and no intervals, stream in bounded memory;
    all else holds the volume.
    """
    threads.settle_numba()
    case = planned(stack, metrics, threshold, mask, reference, purify=purify)
    wanted = sub_volumes(intervals)
    if streams(case, wanted):
        return _stream(case)
    check_room(case, max_memory)
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
    case = planned(stack, metrics, threshold, mask, reference, purify=purify)
    if not streams(case, sub_volumes(intervals)):
        check_room(case, max_memory)


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
    threads.settle_numba()
    case = planned(stack, metrics, threshold, mask, reference, purify=purify)
    check_room(case, max_memory, "tbth")  # which pictures show
    return _examined(case, sub_volumes(intervals), seed)


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
    case = planned(stack, what, threshold, mask, None, purify=purify)
    if max(case.spacing) > min(case.spacing) * (1 + SAME_SIDE):
        raise UsageError("local thickness needs cubic voxels; resample the volume first")
    check_room(case, max_memory, "tbth")  # a map is on the full grid, of marrow too
    facts = {"quantity": f"{kit.fact('metrics', spec.name, 'MAP')}, {spec}"}
    header = case.stack.header.replace(dtype="<f4", unit="mm", calibration=None, answers={}, acquisition=facts)
    return Stack(header, _thicknesses(case, spec))


def _thicknesses(case: "Case", spec: Spec) -> Iterator[Array]:
    threads.settle_numba()
    values = kit.bind("metrics", spec, "thickness_map")(held(case))
    for start in range(0, len(values), BLOCK):
        yield values[start : start + BLOCK]


def _stream(case: Case) -> Table:
    """Measure slab by slab."""
    cut = case.rule.cut(None, case.stack.header.unit, case.spacing, None)
    extent = voi.Extent(case.stack.header.shape)
    sums = tally(_labelled(case, cut, extent), case.spacing, case.stack.header.unit)
    check_filled(sums, cut, "the volume")
    return judged(table_of(case, found_by(case.parts, {"tally": sums}), cut), case, extent)


def _labelled(case: Case, cut: Cut, extent: voi.Extent) -> Iterator[tuple[Labels, Array]]:
    """Labels and values, block by block; the extent grows with them."""
    inside, total = case.region.blocks(), case.stack.header.shape[0]
    with progress.task("measure", total) as advance:
        for around, low, high in windows(finite(case.stack, "the volume"), total, BLOCK, cut.filter.reach or 0):
            values = around[low:high]
            labels = labelled(cut.bone(around)[low:high], inside(values))
            extent.add(labels)
            yield labels, values
            advance(len(values))


def _examined(case: Case, sub_volumes: float | str | None, seed: int) -> Examined:
    """Measure what is held as a whole."""
    found = _hold(case) if case.reference is None else _compare(case, case.reference)
    both = (found.specimen,) if found.reference is None else (found.specimen, found.reference)
    return replace(found, table=_surrounded(found.table, case.parts, both, sub_volumes, seed))


def _surrounded(
    table: Table,
    parts: tuple[Part, ...],
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


def _hold(case: Case) -> Examined:
    """Measure a volume that is held as a whole."""
    specimen = held(case)
    table = table_of(case, found_by(case.parts, flowing(specimen)), specimen.cut)
    return Examined(judged(table, case, extent_of(specimen)), specimen)


def _compare(case: Case, stack: Stack) -> Examined:
    """Measure a volume and its reference, and the one against the other."""
    wanted = collected(stack, "the reference")
    within = case.region.inside(wanted)
    case = beside(case, stack.header, Volume(wanted, stack.header.unit, within))
    theirs = segmented(replace(case, stack=stack), wanted, within, "the reference")
    if stack.header.unit != case.stack.header.unit:  # a mask: its values are no values of the volume
        theirs = replace(theirs, unit="label", grey=None)
    inside = None if case.region.mask is None and case.region.spec is None else theirs.voi
    fixed = theirs.cut if case.rule.on_reference and case.stack.header.unit != "label" else None
    ours = segmented(case, collected(case.stack, "the volume"), inside, "the volume", fixed)
    alone = [part for part in case.parts if not part.compares]
    table = table_of(case, found_by(case.parts, flowing(ours) | {"reference": theirs}), ours.cut)
    others = found_by(alone, flowing(theirs))
    numbers = [f for f in others if isinstance(f, Number)]
    conditions = {**table.conditions, **cut_conditions(theirs.cut, "reference_threshold")}
    rows = compared((row.number for row in table.rows), numbers)
    doubts = () if fixed is not None else theirs.cut.doubts
    warnings = (*table.warnings, *(f"{text} (the reference)" for text in (*doubts, *said(others))))
    table = replace(table, rows=rows, conditions=conditions, reference="the reference volume", warnings=warnings)
    return Examined(judged(table, case, extent_of(ours)), ours, theirs)
