"""`bonectl reconstruct`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from bonectl.cli import axis, files, provenance, scanned, streams
from bonectl.cli.command import command
from bonectl.cli.options import (
    READS,
    WRITES,
    Calibrate,
    Darks,
    Device,
    Energy,
    Flats,
    Matrix,
    MaxMemory,
    Order,
    Request,
    TriedSheet,
    TriedSlice,
    ViewAngles,
    size_in_bytes,
)
from bonectl.cli.reconstruct_prepare import Steps
from bonectl.cli.reconstruct_try import Tries
from bonectl.cli.scan_files import ScanFiles
from bonectl.core import progress
from bonectl.errors import MemoryShortageError, UsageError

if TYPE_CHECKING:
    from bonectl.core.calibration import Calibration
    from bonectl.core.cost import Cost
    from bonectl.core.header import Header
    from bonectl.core.scan import Scan
    from bonectl.core.stack import Stack
    from bonectl.scanning.reconstruction import Plan, ReconstructRequest


class Value(StrEnum):
    """Units of a reconstruction."""

    attenuation = "1/cm"
    mineral = "mgHA/cm3"


class Backend(StrEnum):
    """Whose projectors run."""

    auto = "auto"
    reference = "reference"
    astra = "astra"


class DeadPixels(StrEnum):
    """What to do with dead pixels."""

    fill = "fill"
    fail = "fail"


@command(READS, WRITES)
def reconstruct(
    request: Request,
    *,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            metavar="SPEC",
            help="Reconstruction method, such as 'fbp(window=hann)'.",
            show_default="fbp for a parallel beam, else fdk",
        ),
    ] = None,
    unit: Annotated[Value, typer.Option("--unit", help="What the voxels shall be.")] = Value.attenuation,
    energy: Energy = None,
    matrix: Matrix = "water",
    calibrate: Calibrate = None,
    centre: Annotated[
        str | None,
        typer.Option(
            "--centre",
            metavar="COLUMN|auto",
            help="Detector column of the rotation axis (0-based, fractional), or auto: found from rows over the "
            "whole height.",
            show_default="as in the scan, else the middle",
        ),
    ] = None,
    attempt: Annotated[  # (try is a word of the language)
        str | None,
        typer.Option(
            "--try",
            metavar="FROM:TO:STEP|auto",
            help="Instead of a volume, reconstruct one slice with the rotation axis at several columns (auto: around "
            "the one that --centre auto finds) and print their scores; -o keeps the slices as a stack.",
        ),
    ] = None,
    index: TriedSlice = None,
    sheet: TriedSheet = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print the scores of --try (schema bonectl.try/1), or the estimate of --dry-run (bonectl.plan/1, see "
            "bonectl(1)), as JSON.",
        ),
    ] = False,
    angles: ViewAngles = None,
    geometry: Annotated[
        str | None,
        typer.Option(
            "--geometry",
            metavar="SPEC",
            help="Beam of a scan that does not carry its geometry, such as 'cone(sod=200, sdd=400, arc=360)' [mm]; "
            "rows, columns and views are the scan's.",
            show_default="as in the scan, else parallel",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            "--size",
            metavar="N",
            min=1,
            help="Side of the slices [voxel].",
            show_default="as scanned, else columns; more for half acquisition",
        ),
    ] = None,
    axes: Annotated[
        Order | None,
        typer.Option("--axes", help="What the axes of a plain file are: (row, view, col) or (view, row, col)."),
    ] = None,
    flats: Flats = None,
    darks: Darks = None,
    scanner: scanned.Scanner = None,
    dead_pixels: Annotated[
        DeadPixels,
        typer.Option(
            "--dead-pixels",
            help="Pixels that are not brighter in the flats than in the darks: fill takes up to 1 % of the detector "
            "from their neighbours in the row and says how many; fail ends.",
        ),
    ] = DeadPixels.fill,
    air: Annotated[
        int,
        typer.Option(
            "--air",
            metavar="N",
            min=0,
            help="Columns at each end of the detector that see only air: what they read is taken off in every view "
            "and row, for a beam that changed between flats and projections; 0: none.",
        ),
    ] = 0,
    prepare: Annotated[
        str | None,
        typer.Option(
            "--prepare",
            metavar="SPEC",
            help="Steps before the reconstruction, in their order, such as 'badpixels + flats + zingers + stripes'; "
            "flats is one of them.",
            show_default=False,
        ),
    ] = None,
    device: Device = "cpu",
    backend: Annotated[
        Backend,
        typer.Option(
            "--backend",
            help="Whose projectors run: auto, compiled ones; reference, torch's operators with the same weights, "
            "slow; astra, the ASTRA toolbox on CUDA.",
        ),
    ] = Backend.auto,
    max_memory: MaxMemory = None,
) -> None:
    """Reconstruct a scan: line integrals from its readings, and a volume from these.

    Counts are divided by the flats less the darks, or by the white level that a simulated scan carries; -ln
    makes line integrals of them. Readings that no photon reached are taken as half a photon (half a count where
    photons are not known; where the open beam reads about 1, half a step of 16 bits of it), and a line on standard
    error says how many there were. A folder or a pattern names all flats, one file is one. Voxels are linear
    attenuation in 1/cm, or mineral density in mgHA/cm³ by the scan's calibration, by --energy and --matrix, or by
    --calibrate.

    An angle turns from the x axis to the y axis, which points down; a scanner that turns the other way needs
    negative angles (--angles -180), and shows as a mirrored volume where nobody notices. A wrong --centre shows
    as horseshoes at every small structure. bonectl-geometry-errors(7) says how each error looks.

    --centre auto compares rays with the same rays measured from the other side, in rows over the whole height (in a
    cone beam, in the plane of its orbit); over half a turn of a parallel beam it joins the last view to the mirror
    image of the first, and must agree with the column about which slices are sharpest. It says the column and how far
    it may be off, and where rows or the two disagree by more than a column. A fan or cone beam must turn by more than
    half a turn. It reads a file twice; a pipe is kept meanwhile, in memory or in a temporary file. A scan that states
    no axis is reconstructed about the middle of the detector, and a line on standard error says so.

    --prepare takes what "bonectl prepare" takes, with the same values, and keeps nothing between: flats that changed
    over the scan, bad pixels, zingers, stripes, phase retrieval; bonectl-preparations(7) has all steps.

    --device cuda works on a GPU, with the numbers of the CPU to about 1e-5; when it has no memory for as many slices,
    fewer go there at a time. --backend astra uses the ASTRA toolbox's projectors there instead, for sirt, cgls, tv
    and fista; its back-projection is not the exact transpose of its projection.

    A scan of a fan or cone beam that does not carry its geometry needs --geometry: the distances from the source to the
    axis and to the detector, the arc (or --angles), the axis' column (or --centre) and the detector's pitch (or
    --voxel-size); voxels are the pitch over the magnification. The parts and their knobs are in bonectl-geometries(7).
    Half acquisition, a full turn with the axis near an end of the detector, needs nothing but the axis' column.

    --try shows the axis to the eye: one slice with the axis at each column, a line for each on standard output
    (column, score, 1 for the least score), and with --sheet a picture of all. The score is by how much opposite rays
    differ, or over half a turn of a parallel beam how blurred the slice is; the picture is the better judge where a
    scan is noisy or cut off. JSON is one object (bonectl.try/1): slice, method, score (what a score is), best (the
    column of the least score), between (where between the columns it is least), mirrored (the column about which
    opposite views mirror each other, null where there are none), and tries, each with centre and score.

    IN may be what a scanner or a beamline left (bonectl-scanners(7)): a folder of TIFF files in which names tell
    projections, flats and darks, HDF5, or a scan with its log. Flats, darks, angles, the detector's pixel, the axis,
    distances and energy are taken from it; an option overrides what it says, and what is missing is named. bonectl
    info shows what is there.

    The history of the volume keeps the column of the axis and where it came from, the method with all its knobs,
    device and projector, and the SHA-256 of the files of flats, darks, angles and weights (its first 16 digits).

    Streams scans in sinogram order (row, view, col), slab by slab. Projections (view, row, col) are turned first, in
    memory, or where they do not fit in a temporary file of their size in TMPDIR. A cone beam is held in memory: every
    slice needs many rows of it. Memory is estimated before the work: it ends with status 75 where not even the fewest
    slices fit, and --dry-run says what it would take.

    \b
    Examples:
      bonectl phantom iliac --shape 16,64,64 |
        bonectl simulate --views 360 -o scan.npy
      bonectl reconstruct scan.npy --unit mgHA/cm3 -o bone.npy
      bonectl reconstruct scan.npy --method 'fbp(window=hann, cutoff=0.8)' \\
        -o smooth.tif
      bonectl simulate bone.npy --views 180 --unit transmission |
        bonectl reconstruct | bonectl info
      bonectl reconstruct scan.npy --prepare 'flats + stripes' -o clean.npy
      bonectl reconstruct scan.npy --try 44:47:0.5 --sheet centre.png
      bonectl simulate bone.npy --geometry 'fan(sod=20, sdd=40)' --views 180 |
        bonectl reconstruct | bonectl info
    """
    files.apart([request.source, flats, darks, angles, method, calibrate, prepare], [*files.written(request), sheet])
    given: dict[str, object] = {
        "flats": flats,
        "darks": darks,
        "angles": angles,
        "geometry": geometry,
        "centre": centre,
    }
    given |= {"input-unit": request.input_unit, "voxel-size": request.voxel_size}
    scan = scanned.scan_of(request.source, scanner, given)
    beside = ScanFiles(flats=flats, darks=darks, angles=angles, fill=dead_pixels is DeadPixels.fill, scan=scan)
    tries = Tries.of(attempt, index, sheet, as_json=as_json)
    request = replace(request, as_json=as_json and tries is None)

    from bonectl.scanning.reconstruction import ReconstructRequest

    asked = ReconstructRequest(
        method=method,
        geometry=geometry,
        angles=beside.told_angles(),
        centre=axis.column(centre),
        size=size,
        unit=unit.value,
        calibration=_law(_energy(energy, calibrate, unit, scan), matrix, calibrate),
        air=air,
        max_memory=size_in_bytes(max_memory),
        device_name=device,
        backend=backend.value,
    )
    if tries is not None:
        tries.check(request, asked)
    steps = Steps.of(prepare, beside)
    opened = partial(_opened, request, axes, scan)
    with opened() as stack:
        stack, steps, asked = steps.settled(stack, request, asked, opened)
        try:
            prepared, plan = _both(stack, asked, steps, request)
        except MemoryShortageError:  # there is room for more where the scan is turned by way of a file
            if not steps.specs:
                raise
            steps = replace(steps, held=False)
            prepared, plan = _both(stack, asked, steps, request)
        if tries is not None:
            tries.run(prepared, plan, request, beside)
        else:
            cost = partial(steps.cost, header=stack.header, limit=asked.max_memory)
            _write_volume(prepared, plan, request, steps, partial(_prepared, opened, request, asked, steps), cost)


@contextmanager
def _opened(request: Request, axes: Order | None, scan: "Scan | None") -> Iterator["Stack"]:
    """The scan, its axes as the options name them."""
    from bonectl.stacks.meaning import with_axes

    with scanned.reading(request, scan) as stack:
        yield stack if axes is None else with_axes(stack, axes.value)


@contextmanager
def _prepared(opened: axis.Again, request: Request, asked: "ReconstructRequest", steps: Steps) -> Iterator["Stack"]:
    """The scan after its steps."""
    with opened() as stack:
        yield steps.done(stack, request, asked)


def _both(scan: "Stack", asked: "ReconstructRequest", steps: Steps, request: Request) -> "tuple[Stack, Plan]":
    """The scan after its steps, and what will be done with it, for which there must be room beside them."""
    prepared = steps.done(scan, request, asked)
    plan = _planned(prepared.header, steps.beside_them(asked, scan.header), steps, request)
    if not plan.is_axis_sought:
        plan.block  # noqa: B018 - chosen now, and refused if there is no room
    return prepared, plan


def _planned(scan: "Header", asked: "ReconstructRequest", steps: Steps, request: Request) -> "Plan":
    """What will be done; what the header alone refuses is refused before flats are read."""
    from bonectl.scanning.reconstruction import planned

    asked = steps.asked(asked)
    asked.geometry_for(scan)
    return planned(scan, asked if steps.specs else replace(asked, fields=steps.beside.fields(request)))


def _write_volume(
    scan: "Stack",
    plan: "Plan",
    request: Request,
    steps: Steps,
    again: axis.Again,
    with_steps: "Callable[[Cost], Cost]",
) -> None:
    from bonectl.core.stack import Stack
    from bonectl.ops.reconstruct import run

    axis.tell(plan)
    if request.dry_run:
        kept = plan.is_axis_sought and streams.comes_once(request.source)
        cost = with_steps(plan.cost(kept=kept))
        streams.writing(Stack(plan.header, iter(())), request, cost=cost)
        return
    if plan.is_axis_sought:
        scan, plan = axis.found(scan, plan, request, again)
    volume = run(plan, scan, look=True)
    steps.beside.tell_claims(request, plan.geometry, told=plan.request.geometry is not None)
    streams.writing(volume, request, plan.facts() | steps.notes() | provenance.of_files(steps.beside.read))


def _energy(given: float | None, calibrate: str | None, unit: Value, scan: "Scan | None") -> float | None:
    """The one that is given, else that of a scan whose density is asked for [keV]."""
    there = None if scan is None or scan.header.calibration is not None else scan.header.acquisition.get("energy_kev")
    if given is not None or calibrate is not None or unit is Value.attenuation or not isinstance(there, int | float):
        return given
    progress.note(f"mineral density at {there:g} keV, as the scan says; --energy gives another")
    return float(there)


def _law(energy: float | None, matrix: str, calibrate: str | None) -> "Calibration | None":
    if calibrate is not None:
        if energy is not None:
            raise UsageError("--energy and --calibrate are two laws of mineral density; give one")
        from bonectl.core.spec import parse
        from bonectl.ops.calibrate import attenuation_law

        return attenuation_law(parse(calibrate))
    if energy is None:
        return None
    from bonectl.calibrations.energy import energy as by_energy

    return by_energy(kev=energy, matrix=matrix)
