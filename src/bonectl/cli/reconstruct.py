"""`bonectl reconstruct`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonectl.cli import files, streams
from bonectl.cli.command import command
from bonectl.cli.options import (
    DASH,
    READS,
    WRITES,
    Calibrate,
    Device,
    Energy,
    Matrix,
    MaxMemory,
    Request,
    size_in_bytes,
)
from bonectl.core import atomic, progress
from bonectl.core.counted import counted
from bonectl.errors import UsageError

if TYPE_CHECKING:
    from bonectl.core.calibration import Calibration
    from bonectl.core.cost import Cost
    from bonectl.core.geometry import Angles, Geometry
    from bonectl.core.header import Fact, Header
    from bonectl.core.stack import Stack
    from bonectl.scanning.lines import Fields
    from bonectl.scanning.tries import Attempts


AUTO = "auto"


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


class Layout(StrEnum):
    """What the axes of a plain scan are."""

    sinogram = "sinogram"
    projection = "projection"


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
    index: Annotated[
        int | None,
        typer.Option("--slice", metavar="N", min=0, help="Slice of --try, from 0.", show_default="the middle one"),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--sheet", metavar="FILE.png", help="Picture of the tries of --try side by side, in one grey window."
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print the scores of --try (schema bonectl.try/1), or the estimate of --dry-run (bonectl.plan/1, see "
            "bonectl(1)), as JSON.",
        ),
    ] = False,
    angles: Annotated[
        str | None,
        typer.Option(
            "--angles",
            metavar="DEG|FILE",
            help="Arc that the views divide evenly (its end is no view), or a file of one angle per view, "
            ".npy or text [degree].",
        ),
    ] = None,
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
        Layout | None,
        typer.Option("--axes", help="What the axes of a plain file are: (row, view, col) or (view, row, col)."),
    ] = None,
    flats: Annotated[
        Path | None, typer.Option("--flats", metavar="FILE", help="Readings without the object, for counts.")
    ] = None,
    darks: Annotated[
        Path | None, typer.Option("--darks", metavar="FILE", help="Readings without beam, for counts.")
    ] = None,
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
      bonectl reconstruct scan.npy --try 44:47:0.5 --sheet centre.png
      bonectl simulate bone.npy --geometry 'fan(sod=20, sdd=40)' --views 180 |
        bonectl reconstruct | bonectl info
    """
    files.apart([request.source, flats, darks, angles, method, calibrate], [*files.written(request), sheet])
    if darks is not None and flats is None:
        raise UsageError("--darks without --flats; give both, or none")
    if attempt is None and (index is not None or sheet is not None):
        raise UsageError("--slice and --sheet are for --try; give --try FROM:TO:STEP, or auto")
    request = replace(request, as_json=as_json and attempt is None)
    law = _calibration(energy, matrix, calibrate)
    asked = _Asked(
        method,
        unit.value,
        law,
        centre,
        angles,
        geometry,
        size,
        axes,
        air,
        size_in_bytes(max_memory),
        device,
        backend.value,
    )
    beam = _Beam(flats, darks, dead_pixels)
    if attempt is not None:
        _try(request, asked, _Tries(attempt, index, sheet, as_json), beam)
        return
    with _scan(request, asked) as (stack, layout):
        _write_volume(stack, layout, request, asked, beam)


@dataclass(frozen=True)
class _Asked:
    """What a volume, or a slice of it, is made by."""

    method: str | None
    unit: str
    calibration: "Calibration | None"
    centre: str | None
    angles: str | None
    geometry: str | None
    size: int | None
    axes: Layout | None
    air: int
    max_memory: int | None
    device: str
    backend: str


@dataclass(frozen=True)
class _Beam:
    """What was read without a sample."""

    flats: Path | None
    darks: Path | None
    dead: DeadPixels


@dataclass(frozen=True)
class _Tries:
    """What is tried, and how it is shown."""

    columns: str
    index: int | None
    sheet: Path | None
    as_json: bool


@contextmanager
def _scan(request: Request, asked: _Asked) -> Iterator[tuple["Stack", "Geometry | None"]]:
    """The scan and its geometry as the options describe them; None for what is no scan."""
    from bonectl.stacks import form

    with streams.reading(request) as stack:
        if asked.axes is not None:
            stack = form.with_axes(stack, asked.axes.value)
        if not stack.header.is_scan:
            yield stack, None
            return
        yield stack, _geometry(stack.header, asked)


def _geometry(header: "Header", asked: _Asked) -> "Geometry":
    """By what the scan carries and the options say."""
    from bonectl.core.spec import parse
    from bonectl.scanning.beam import geometry_as_told
    from bonectl.scanning.lines import geometry_of

    angles = _angles(asked.angles, header.shape[header.axes.index("view")])
    centre = _centre(asked.centre)
    if asked.geometry is None:
        return geometry_of(header, angles=angles, centre=centre, size=asked.size)
    if asked.centre == AUTO and (there := _stated_centre(asked.geometry)) is not None:
        raise UsageError(f"--geometry says centre={there}, and --centre auto is given; give one of them")
    return geometry_as_told(header, parse(asked.geometry), angles=angles, centre=centre, size=asked.size)


def _stated_centre(geometry: str | None) -> object:
    """The column that --geometry names; None where it names none."""
    from bonectl.core.spec import parse

    there = None if geometry is None else parse(geometry).knobs.get("centre", -1)
    return None if there == -1 else there


def _write_volume(stack: "Stack", geometry: "Geometry | None", request: Request, asked: _Asked, beam: _Beam) -> None:
    from bonectl.cli import axis
    from bonectl.ops import reconstruct as ops

    fields = _fields(request, beam)

    def made(stack: "Stack", geometry: "Geometry | None", *, look: bool) -> "Stack":
        return ops.reconstruct(
            stack,
            method=asked.method,
            geometry=geometry,
            fields=fields,
            unit=asked.unit,
            calibration=asked.calibration,
            air=asked.air,
            max_memory=asked.max_memory,
            device_name=asked.device,
            backend=asked.backend,
            look=look,
        )

    notes: dict[str, Fact] = {}
    if geometry is not None and asked.centre == AUTO:
        made(stack, geometry, look=False)  # what can be refused is refused before the scan is looked at
        stack, geometry, notes = axis.found(
            stack, geometry, request, fields, asked.max_memory, lambda: _scan(request, asked)
        )
        if asked.size is None and stack.header.geometry is None:
            geometry = geometry.replace(size=geometry.seen)
    elif geometry is not None:
        given = asked.centre is not None or _stated_centre(asked.geometry) is not None
        notes = axis.stated(stack.header.geometry is not None, given, geometry)
    volume = made(stack, geometry, look=not request.dry_run)
    if geometry is not None and not request.dry_run:
        _tell_claims(request, asked, beam, geometry)
        notes |= _made_by(geometry, asked, beam)
    cost = None
    if request.dry_run and geometry is not None:
        kept = asked.centre == AUTO and streams.comes_once(request.source)
        cost = _cost(stack.header, geometry, asked, kept=kept)
    streams.writing(volume, request, notes, cost)


def _made_by(geometry: "Geometry", asked: _Asked, beam: _Beam) -> "dict[str, Fact]":
    """What the history says of method, device and files."""
    from bonectl.cli import provenance
    from bonectl.core.spec import parse
    from bonectl.scanning.request import method_for

    method, _ = method_for(asked.method, geometry)
    weights = parse(method).knobs.get("weights")
    files = {
        "flats": beam.flats,
        "darks": beam.darks,
        "angles": _file_of_angles(asked.angles),
        "weights": Path(weights) if isinstance(weights, str) and weights else None,
    }
    return provenance.of_method(method, asked.device, asked.backend) | provenance.of_files(files)


def _cost(header: "Header", geometry: "Geometry", asked: _Asked, *, kept: bool) -> "Cost":
    """What --dry-run says of memory and time; of a scan that is kept while the axis is looked for, where asked."""
    from bonectl.core import memory, threads
    from bonectl.core.cost import Cost
    from bonectl.core.header import SINOGRAMS
    from bonectl.scanning import duration, memory_need
    from bonectl.scanning.request import method_for
    from bonectl.stacks import turning

    method, _ = method_for(asked.method, geometry)
    limit = asked.max_memory or memory.available()
    block = memory_need.chosen_block(header, geometry, method, limit)
    held = turning.is_held(header, limit)
    need, here = memory_need.needed(header, geometry, method, block, held=held), memory.resident()
    if kept and held and header.axes == SINOGRAMS:  # projections are counted, which are turned in memory
        here += header.total_bytes
    count = threads.count()
    return Cost(
        memory_bytes=round(here + need.usual),
        memory_at_worst_bytes=round(here + need.at_worst) if need.at_worst > need.usual else None,
        memory_limit_bytes=limit,
        scratch_bytes=None if held or (header.axes == SINOGRAMS and not kept) else header.total_bytes,
        block=f"{counted(min(block, geometry.rows), 'row')} at a time",
        seconds=duration.seconds(geometry, method, count),
        threads=count,
    )


def _try(request: Request, asked: _Asked, tries: _Tries, beam: "_Beam") -> None:
    """Scores on standard output; a picture and a stack where asked for."""
    from bonectl.scanning.tries import attempts

    if asked.centre is not None:
        raise UsageError("--centre and --try; give one of them")
    if asked.device not in ("cpu", AUTO) or asked.backend != AUTO:
        raise UsageError("--try runs on the CPU; leave out --device and --backend")
    if request.dry_run:
        raise UsageError("--dry-run is for a volume; leave out --try")
    columns = _tried(tries.columns)
    if tries.sheet is not None:
        if tries.sheet.suffix.lower() != ".png":
            raise UsageError(f"{tries.sheet}: the sheet is a PNG; name it FILE.png")
        atomic.check(tries.sheet, force=request.force)
    with _scan(request, asked) as (stack, geometry):
        done = attempts(
            stack,
            geometry=geometry,
            centres=columns,
            index=tries.index,
            method=asked.method,
            fields=_fields(request, beam),
            unit=asked.unit,
            calibration=asked.calibration,
            air=asked.air,
        )
        if tries.sheet is not None:
            from bonectl.scanning.sheet import contact_sheet

            with atomic.replacing(tries.sheet, force=request.force) as temporary:
                temporary.write_bytes(contact_sheet(done))
        if request.output != DASH:
            notes = {} if geometry is None else _made_by(geometry, asked, beam)
            streams.writing(done.stack(), request, notes)
    progress.note(_verdict(done))
    if done.disagrees:
        progress.note(f"opposite views put it at column {done.mirrored:.2f} instead; look at both")
    streams.say((done.json() if tries.as_json else done.tsv()).rstrip("\n"))


def _tried(text: str) -> tuple[float, ...] | None:
    """Columns; None for those around the automatic one."""
    from bonectl.scanning.tries import spread

    if text == AUTO:
        return None
    try:
        first, last, step = map(float, text.split(":"))
    except ValueError:
        raise UsageError(f"--try {text!r}; give FROM:TO:STEP such as 290:300:0.5, or auto") from None
    return spread(first, last, step)


def _verdict(done: "Attempts") -> str:
    columns, best = done.centres, done.best
    said = f"column {columns[best]:g} scores best of {len(columns)}"
    if len(columns) > 1 and best in (0, len(columns) - 1):
        return f"{said}, at the end of what was tried; try on from there"
    return f"{said}; the least score lies near {done.between:.2f}" if len(columns) > 1 else said


def _centre(text: str | None) -> float | None:
    if text is None or text == AUTO:
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--centre {text!r}; give a column such as 295.5, or auto") from None


def _calibration(energy: float | None, matrix: str, calibrate: str | None) -> "Calibration | None":
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


def _angles(text: str | None, views: int) -> "Angles | None":
    """An arc that the views divide evenly, or a file with one angle per view."""
    if text is None:
        return None
    import numpy as np

    from bonectl.core.angles import looks_like_radians
    from bonectl.core.geometry import MOST_DEGREES, Angles

    path = _file_of_angles(text)
    if path is not None:
        from bonectl.core.angles import listed

        return listed(path)
    arc = float(text)
    if not 0 < abs(arc) <= MOST_DEGREES:
        raise UsageError(f"--angles {text}; give the arc that the views divide, such as 180, or a file of angles")
    if looks_like_radians(arc / views * np.arange(views)):
        raise UsageError(f"--angles {text} for {views} views: that looks like radians; give degrees, such as 180")
    return Angles(0.0, arc / views, views)


def _tell_claims(request: Request, asked: _Asked, beam: _Beam, geometry: "Geometry") -> None:
    """What was taken on trust: an arc, over which a scan that broke off would be spread, and no light without beam."""
    if (asked.angles or asked.geometry) and _file_of_angles(asked.angles) is None:
        count, step = geometry.angles.count, geometry.angles.step
        progress.note(f"{counted(count, 'view')} over {count * step:g} degrees, one every {step:.4g}")
    if beam.flats is not None and beam.darks is None:
        progress.note(f"no --darks: readings without beam are taken as 0{_left_lying(request, beam.flats)}")


def _file_of_angles(text: str | None) -> Path | None:
    """The file that --angles names, where it is no arc."""
    if text is None:
        return None
    try:
        float(text)
    except ValueError:
        return Path(text)
    return None


def _fields(request: Request, beam: _Beam) -> "Fields | None":
    if beam.flats is None:
        return None
    from bonectl.scanning.lines import Fields

    fill = beam.dead is DeadPixels.fill
    with _frames(request, "--flats", beam.flats) as bright:
        if beam.darks is None:
            return Fields.averaged(bright.collect(), fill=fill)
        with _frames(request, "--darks", beam.darks) as dim:
            return Fields.averaged(bright.collect(), dim.collect(), fill=fill)


@contextmanager
def _frames(request: Request, option: str, path: Path) -> Iterator["Stack"]:
    if path == DASH:
        raise UsageError("only the scan itself can come from standard input; give flats and darks as files")
    from bonectl.io.slices import files, series

    role = option.removeprefix("--").removesuffix("s")
    named = series.frames(path, role) if path.is_dir() else []
    if len(named) > 1:
        yield files.read(named, str(path))
        return
    path = named[0] if named else path
    if (
        request.source != DASH
        and path.exists()
        and _home(request.source).exists()
        and path.samefile(_home(request.source))
    ):
        raise UsageError(f"{option} {path}: is the scan itself; give its frames, such as {path}/{role}_%04d.tif")
    with streams.opened(path, nan=None) as stack:
        if stack.header.shape[0] == 1 and (others := _others(path)):
            progress.note(f"{option} {path}: one frame is taken, {others} more like it lie beside; give a pattern")
        yield stack


def _home(source: Path) -> Path:
    """What a scan lies in: itself, or the folder of a pattern such as ``proj_%04d.tif``."""
    from bonectl.io.slices.series import PATTERN

    return source.parent if PATTERN.search(source.name) else source


def _left_lying(request: Request, flats: Path) -> str:
    """A word on dark frames that lie beside the scan or its flats and were not named."""
    from bonectl.io.slices import series

    for place in (_home(request.source), _home(flats)):
        home = place if place.is_dir() else place.parent
        if place != DASH and home.is_dir() and (dark := series.frames(home, "dark")):
            return f"; {dark[0].name} lies beside: give --darks {home}"
    return ""


def _others(path: Path) -> int:
    """How many files of the same series lie beside one that was named alone."""
    from bonectl.io.slices import series

    return series.beside(path)
