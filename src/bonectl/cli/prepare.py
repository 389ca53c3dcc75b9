"""`bonectl prepare`."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonectl.cli import axis, files, scanned, streams
from bonectl.cli.command import command
from bonectl.cli.options import (
    READS,
    WRITES,
    Darks,
    Flats,
    MaxMemory,
    Order,
    Request,
    TriedSheet,
    TriedSlice,
    ViewAngles,
    size_in_bytes,
)
from bonectl.cli.prepare_axis import Place
from bonectl.cli.prepare_try import KnobTries
from bonectl.cli.scan_files import ScanFiles
from bonectl.core import progress

if TYPE_CHECKING:
    from bonectl.core.header import Fact
    from bonectl.core.stack import Stack


@command(READS, WRITES)
def prepare(
    request: Request,
    *,
    prepare: Annotated[
        str,
        typer.Option(
            "--steps",
            metavar="SPEC",
            help="Preparations in the order in which they are done, such as 'badpixels + flats + zingers + stripes'.",
        ),
    ] = "flats",
    flats: Flats = None,
    darks: Darks = None,
    axes: Annotated[
        Order | None,
        typer.Option("--axes", help="What the axes of a plain file are: (row, view, col) or (view, row, col)."),
    ] = None,
    angles: ViewAngles = None,
    centre: Annotated[
        str | None,
        typer.Option(
            "--centre",
            metavar="COLUMN|auto",
            help="Detector column of the rotation axis (0-based, fractional), or auto: found from rows over the "
            "whole height.",
            show_default="as in the scan, else found for halfturn, else the middle",
        ),
    ] = None,
    order: Annotated[
        Order | None,
        typer.Option(
            "--order", help="Write sinograms or projections.", show_default="the order in which the last step works"
        ),
    ] = None,
    attempt: Annotated[  # (try is a word of the language)
        str | None,
        typer.Option(
            "--try",
            metavar="PART(KNOB=RANGE)",
            help="Instead of a scan, reconstruct one slice after the steps with a knob of one part at several values, "
            "such as 'stripes(size=11:51:10)' or 'stripes(method=smoothing|wavelet)', and print how much each "
            "changes it; -o keeps the slices as a stack.",
        ),
    ] = None,
    index: TriedSlice = None,
    sheet: TriedSheet = None,
    scanner: scanned.Scanner = None,
    max_memory: MaxMemory = None,
) -> None:
    """Prepare a scan for reconstruction: flats, bad pixels, zingers, stripes, phase, air.

    Steps are done in the order in which they are written, each on what the one before it gives: counts become
    transmission by flats, and transmission line integrals by log or paganin. A step that does not read what it is given
    is refused before anything is read. What steps there are, and their knobs, is in bonectl-preparations(7).
    "bonectl reconstruct --prepare" takes the same steps, with the same values, and keeps nothing between.

    A usual order is 'badpixels + flats + zingers + stripes + log + normalise'. Steps that work on projections and steps
    that work on sinograms need the scan in another order of its views: it is turned between them, in memory, or where
    it does not fit in a temporary file of its size in TMPDIR. Written in two groups, projections first, it is turned
    once.

    halfturn joins a full turn, with the axis near an end of the detector, to half a turn about that axis: --centre, or
    what the scan says, or else the column that --centre auto finds. It is said with how far it may be off, and written
    to the history; where it stays uncertain, the scan is refused.

    --try shows a knob to the eye: the slice without the part, and with each value, and a line for each on standard
    output (value; changed, the root mean square of what the part took off, in 1/cm). The picture is the judge: what is
    taken off should be rings or noise, and no bone. Where all steps but badpixels work on sinograms only the rows that
    the slice needs are read, otherwise all of the scan for each value.

    Streams, projection by projection or sinogram by sinogram; any --slab and any number of threads give the same bytes.

    \b
    Examples:
      bonectl phantom iliac --shape 8,64,64 |
        bonectl simulate --views 180 --unit counts -o scan.npy
      bonectl prepare scan.npy --steps 'flats + zingers + stripes' -o clean.npy
      bonectl prepare scan.npy \\
        --steps 'flats + log + stripes(method=wavelet)' |
        bonectl reconstruct | bonectl info
      bonectl prepare scan.npy --try 'stripes(size=5:25:10)' --sheet rings.png
      bonectl prepare scan.npy --order projection --dry-run \\
        --steps 'flats + paganin(delta_beta=200, distance=300, energy=25)'
    """
    from bonectl.scanning import preparing

    files.apart([request.source, flats, darks, angles, prepare], [*files.written(request), sheet])
    tries = KnobTries.of(attempt, index, sheet)
    specs = preparing.parts(prepare)
    limit = size_in_bytes(max_memory)
    given: dict[str, object] = {"flats": flats, "darks": darks, "angles": angles or "not needed"}
    given |= {"input-unit": request.input_unit, "voxel-size": request.voxel_size or "not needed"}
    scan = scanned.scan_of(request.source, scanner, given)
    beside = ScanFiles(flats=flats, darks=darks, angles=angles, scan=scan)
    opened = partial(_opened, request, beside, axes)
    with opened() as stack:
        beam = beside.beam(request, specs)
        where = Place.of(stack.header, beside, axis.column(centre))
        if tries is None or not tries.settles(specs):
            stack, where = where.looked_for(stack, request, specs, beam, limit, opened)
        specs = where.told(specs)
        notes = {} if request.dry_run else _notes(preparing.written(specs), flats, darks) | where.facts()
        if tries is not None:
            tries.run(lambda: _again(opened, where), specs, beam, request, notes)
            return
        stack = where.put(stack)
        last = order.value if order else None
        done = preparing.prepared(stack, specs, beam=beam, order=last, limit=limit)
        cost = preparing.cost(stack.header, specs, order=last, limit=limit) if request.dry_run else None
        streams.writing(done, request, notes, cost)


@contextmanager
def _opened(request: Request, beside: ScanFiles, axes: Order | None) -> Iterator["Stack"]:
    """The scan, its axes as the options name them."""
    from bonectl.scanning.lines import check_scan
    from bonectl.stacks.meaning import with_axes

    with scanned.reading(request, beside.scan) as stack:
        if axes is not None:
            stack = with_axes(stack, axes.value)
        check_scan(stack.header)
        yield stack


@contextmanager
def _again(opened: axis.Again, where: Place) -> Iterator["Stack"]:
    """The same scan once more; what is to be said of it was said."""
    with progress.silence(), opened() as stack:
        yield where.put(stack)


def _notes(steps: str, flats: Path | None, darks: Path | None) -> "dict[str, Fact]":
    """What the history says of steps and files."""
    from bonectl.cli import provenance

    return {"steps": steps} | provenance.of_files({"flats": flats, "darks": darks})
