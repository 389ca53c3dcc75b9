"""Preparations in the order they are written: planned and refused by the header alone, then done plane by plane."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np

from bonectl import io
from bonectl.core import kit, memory, pool, progress, threads
from bonectl.core.cost import Cost
from bonectl.core.counted import counted
from bonectl.core.header import Header
from bonectl.core.preparation import EITHER, PROJECTIONS, SINOGRAMS, Plane, Setting, Step
from bonectl.core.scan import Frames, Source
from bonectl.core.slabs import Array, thickness
from bonectl.core.spec import Spec, parse_sum, print_sum
from bonectl.core.stack import Stack
from bonectl.errors import MemoryShortageError, UsageError
from bonectl.scanning.lines import check_scan
from bonectl.stacks import view_order
from bonectl.stacks.crop import cropped
from bonectl.stacks.screening import finite, single
from bonectl.stacks.view_order import ordered

KIT = "preparations"
ORDER = {PROJECTIONS: "projection", SINOGRAMS: "sinogram"}
OF_AXIS = {"view": PROJECTIONS, "row": SINOGRAMS}

# Changing the order of views [ns per value].
TURNING = 3.0


@dataclass(frozen=True, eq=False)
class Beam:
    """Readings without the sample that come with a scan."""

    flats: Frames | None = None
    darks: Frames | None = None


def parts(text: str) -> tuple[Spec, ...]:
    """The preparations that a text names, in their order.

    Raises
    ------
    UsageError
        When it is not of the language, names a part or knob that is not there, or gives a weight or a moment.
    """
    specs = parse_sum(text)
    kit.check(KIT, specs)
    for spec in specs:
        if spec.weight != 1 or spec.when is not None:
            raise UsageError(f"{spec}: a preparation has no weight and no moment; parts are done in their order")
    return specs


def written(specs: Sequence[Spec]) -> str:
    """The parts with all their knobs, for a history."""
    return print_sum(tuple(Spec(s.name, {**kit.describe(KIT, s.name).knobs, **s.knobs}) for s in specs))


def check_units(specs: Sequence[Spec], unit: str) -> str:
    """The unit of what comes out, where each part is given what it reads.

    Raises
    ------
    UsageError
        Naming the first part that is not, and where it would be.
    """
    before = "the scan is in"
    for number, spec in enumerate(specs):
        reads = kit.fact(KIT, spec.name, "READS")
        if unit not in reads:
            raise UsageError(f"{spec.name} reads {' or '.join(reads)}, {before} {unit}{_remedy(specs, number, unit)}")
        gives = kit.fact(KIT, spec.name, "GIVES")
        if gives:
            unit, before = gives, f"after {spec.name} the scan is in"
    return unit


def _remedy(specs: Sequence[Spec], number: int, unit: str) -> str:
    """What would make a part's unit right, where that is one word."""
    reads = kit.fact(KIT, specs[number].name, "READS")
    makers = [name for name in kit.names(KIT) if kit.fact(KIT, name, "GIVES") in reads]
    before = [s.name for s in specs[:number] if specs[number].name and kit.fact(KIT, s.name, "GIVES")]
    if before and unit not in ("counts", "transmission"):
        return f": write it before {before[-1]}"
    fits = sorted((name for name in makers if unit in kit.fact(KIT, name, "READS")), key=len)  # the plainest first
    if fits:
        return f": write {' or '.join(fits)} before it"
    return "; say what its values are with --input-unit counts" if unit == "grey" else ""


def layouts(specs: Sequence[Spec], header: Header, last: str | None = None) -> list[str]:
    """Whether each part works on projections or sinograms, so that a scan is turned as rarely as their order allows.

    Parts that take either work as the next one does that does not, because a scan is best turned early, while it is
    small; where none follows, as the last one did, or as the result shall be.
    """
    wanted = [kit.fact(KIT, spec.name, "WORKS") for spec in specs]
    following = last
    for number in range(len(wanted) - 1, -1, -1):
        if wanted[number] != EITHER:
            following = wanted[number]
        elif following is not None:
            wanted[number] = following
    current = OF_AXIS[header.axes[0]]
    for number, each in enumerate(wanted):
        wanted[number] = current = current if each == EITHER else each
    return wanted


def prepared(
    scan: Stack,
    specs: Sequence[Spec],
    *,
    beam: Beam | None = None,
    order: str | None = None,
    limit: int | None = None,
    rows: tuple[int, int] | None = None,
    held: bool | None = None,
) -> Stack:
    """A scan after some preparations, in the order they are written.

    Each plane passes through all parts that work on the same planes before the next one is taken; between parts that
    work on projections and parts that work on sinograms the scan is turned, in memory or by way of a temporary file
    (`bonectl.stacks.view_order`). The values do not depend on slabs, threads and memory.

    Parameters
    ----------
    scan : Stack
        Of a unit that the first part reads.
    specs : sequence of Spec
        `parts` of a text.
    beam : Beam, optional
        Its flats and darks.
    order : {"sinogram", "projection"}, optional
        Of the result; when not given that in which the last part works.
    limit : int, optional
        Bytes that the process may hold; nothing is most of what is free.
    rows : (int, int), optional
        Which rows of the detector the scan has, where it is a part of one: files that knobs name have all.
    held : bool, optional
        Whether it is turned in memory, where that has been decided.

    Raises
    ------
    UsageError
        When the stack is a volume, a part does not read what it is given, or refuses.
    DataError
        When frames, files and scan do not fit; while streaming: for values that are not finite.
    MemoryShortageError
        When not even one plane fits.
    """
    check_scan(scan.header)
    check_units(specs, scan.header.unit)
    where = layouts(specs, scan.header, _layout(order))
    beam = beam or Beam()
    scan = single(finite(scan, "the scan"), "the scan")
    for layout, group in groupby(zip(where, specs, strict=True), key=lambda pair: pair[0]):
        scan = ordered(scan, ORDER[layout], limit=limit, held=held)
        steps: list[Step] = []
        header = scan.header
        for _, spec in group:
            setting = Setting(header=header, flats=beam.flats, darks=beam.darks, read=partial(_read, rows=rows))
            step = kit.bind(KIT, spec)(setting)
            header, beam = step.header, _also(beam, step)
            steps.append(step)
        _check_memory(scan.header, specs, limit)
        scan = Stack(header, _slabs(scan, steps), finite=True)
    return scan if order is None else ordered(scan, order, limit=limit, held=held)


def cost(
    header: Header,
    specs: Sequence[Spec],
    *,
    order: str | None = None,
    limit: int | None = None,
    held: bool | None = None,
) -> Cost:
    """What `prepared` takes, about: planes on their way, and the scan where it is turned."""
    where = layouts(specs, header, _layout(order))
    there = [OF_AXIS[header.axes[0]], *where, *([_layout(order) or where[-1]] if where else [])]
    turned = [
        header if not number else header.replace(dtype="<f4") for number, (a, b) in enumerate(pairwise(there)) if a != b
    ]
    turns, whole = len(turned), max((each.total_bytes for each in turned), default=0)
    values = header.total_bytes // header.item_bytes
    held = all(view_order.is_held(each, limit) for each in turned) if held is None else held
    first, second, third = header.shape
    moving = max(_moving(count, other * third, specs) for count, other in ((first, second), (second, first)))
    paces = sum(kit.fact(KIT, spec.name, "PACE") for spec in specs) / threads.count() + turns * TURNING
    return Cost(
        memory_bytes=memory.resident() + moving + (whole if held else 0),
        memory_limit_bytes=limit or memory.available(),
        scratch_bytes=whole if whole and not held else None,
        block=f"the order of views changes {counted(turns, 'time')}" if turns else None,
        seconds=1e-9 * paces * values,
        threads=threads.count(),
    )


def _layout(order: str | None) -> str | None:
    """Projections or sinograms, by the word of an option."""
    return None if order is None else next(layout for layout, said in ORDER.items() if said == order)


def _moving(count: int, plane: int, specs: Sequence[Spec]) -> int:
    """Bytes of the planes that are on their way: those that wait, and one in every thread."""
    most = max((kit.fact(KIT, spec.name, "BYTES") for spec in specs), default=0.0)
    return round(min(count, _together(4 * plane)) * 12 * plane + threads.count() * most * plane)


def _check_memory(header: Header, specs: Sequence[Spec], limit: int | None) -> None:
    """Refuse work of which not even one plane at a time fits."""
    if limit is None:
        return
    count, second, third = header.shape
    least = memory.resident() + _moving(count, second * third, specs)
    if least > limit:
        what = "projections" if header.axes[0] == "view" else "sinograms"
        raise MemoryShortageError(
            f"{counted(threads.count(), 'thread')} with {what} of {second} × {third} come to hold "
            f"{memory.spoken(least)}, {memory.spoken(limit)} may be taken; give fewer --threads, or bin the scan"
        )


def _also(beam: Beam, step: Step) -> Beam:
    """Flats and darks after a part that changes every reading."""
    if step.frames is None:
        return beam
    return Beam(*(frames and _mapped(frames, step.frames) for frames in (beam.flats, beam.darks)))


def _mapped(frames: Frames, change: Callable[[Plane], Plane], rows: int | None = None) -> Frames:
    """Frames, each changed when it is read, perhaps to other rows."""
    source = frames.source
    count, high, wide = source.header.shape
    header = source.header.replace(dtype="<f4", shape=(count, rows or high, wide), geometry=None)

    @contextmanager
    def opened() -> Iterator[Stack]:
        with source.open() as stack:
            slabs = (np.stack([change(frame.astype(np.float32)) for frame in slab]) for slab in stack.slabs)
            yield Stack(header, slabs)

    return replace(frames, source=Source(header, opened))


def _read(name: str, *, rows: tuple[int, int] | None) -> Array:
    """A file's picture of the detector, or some rows of it."""
    with io.open(Path(name)) as stack:
        values = stack.collect()
    return values if rows is None else values[..., rows[0] : rows[1], :]


def of_rows(scan: Stack, low: int, high: int) -> Stack:
    """Some rows of the detector."""
    every, kept = slice(None), slice(low, high)
    first, second, third = (kept if axis == "row" else every for axis in scan.header.axes)
    return cropped(scan, (first, second, third))


def beam_of_rows(beam: Beam, low: int, high: int) -> Beam:
    """The same rows of flats and darks."""
    return Beam(
        *(frames and _mapped(frames, lambda frame: frame[low:high], high - low) for frames in (beam.flats, beam.darks))
    )


def _slabs(scan: Stack, steps: Sequence[Step]) -> Iterator[Array]:
    """The planes of a scan after all steps, each done in one thread."""
    count, shape = scan.header.shape[0], steps[-1].header.shape[1:]
    start = 0
    with progress.task("prepare", count, "view" if scan.header.axes[0] == "view" else "row") as advance:
        for block in scan.blocks(_together(scan.header.slice_bytes)):
            done = np.empty((len(block), *shape), np.float32)

            def some(low: int, high: int, block: Array = block, done: Array = done, start: int = start) -> None:
                for index in range(low, high):
                    plane = np.ascontiguousarray(block[index], dtype=np.float32)
                    for step in steps:
                        plane = step.work(plane, start + index)
                    done[index] = plane

            pool.each(some, pool.cut(len(block), 1))
            start += len(block)
            yield done
            advance(len(block))
    for step in steps:
        if said := step.told():
            progress.note(said)


def _together(plane: int) -> int:
    """Planes of so many bytes that are taken at a time: one for each thread, or a slab of small ones."""
    return max(threads.count(), thickness(plane))
