"""`bonectl reconstruct`."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonectl.cli import streams
from bonectl.cli.command import command
from bonectl.cli.options import READS, WRITES, Energy, Matrix, Request
from bonectl.errors import DataError, MissingInputError, UsageError

if TYPE_CHECKING:
    from bonectl.core.calibration import Calibration
    from bonectl.core.geometry import Angles
    from bonectl.core.stack import Stack
    from bonectl.ops.scan import Fields


AUTO = "auto"

# A list of this many angles within this span [degree] was written in radians (2 pi, and a little).
_MANY_VIEWS = 16
_FULL_TURN = 6.4


class Value(StrEnum):
    """Units of a reconstruction."""

    attenuation = "1/cm"
    mineral = "mgHA/cm3"


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
    centre: Annotated[
        str | None,
        typer.Option(
            "--centre",
            metavar="COLUMN|auto",
            help="Detector column of the rotation axis (0-based, fractional), or auto: found from the first rows.",
            show_default="as in the scan, else the middle",
        ),
    ] = None,
    angles: Annotated[
        str | None,
        typer.Option(
            "--angles",
            metavar="DEG|FILE",
            help="Arc that the views divide evenly (its end is no view), or a file of one angle per view, "
            ".npy or text [degree].",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            "--size", metavar="N", min=1, help="Side of the slices [voxel].", show_default="as scanned, else columns"
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
) -> None:
    """Reconstruct a scan: line integrals from its readings, and a volume from these.

    Counts are divided by the flats less the darks, or by the white level that a simulated scan carries; -ln
    makes line integrals of them. Readings that no photon reached are taken as half a photon, and a line on
    standard error says how many there were. Voxels are linear attenuation in 1/cm, or mineral density in
    mgHA/cm³ by the scan's calibration or by --energy and --matrix.

    An angle turns from the x axis to the y axis, which points down; a scanner that turns the other way needs
    negative angles (--angles -180), and shows as a mirrored volume where nobody notices. A wrong --centre shows
    as arcs at every edge.

    --centre auto makes opposite views mirror images, then tries axes around that for the slice with the least
    negative attenuation; good to about a quarter of a column.

    Streams scans in sinogram order (row, view, col), slab by slab; projections (view, row, col) are held in
    memory to be turned, and so is a cone beam, of which every slice needs many rows.

    \b
    Examples:
      bonectl phantom iliac --shape 16,64,64 | bonectl simulate --views 360 -o scan.npy
      bonectl reconstruct scan.npy --unit mgHA/cm3 -o bone.npy
      bonectl reconstruct scan.npy --method 'fbp(window=hann, cutoff=0.8)' -o smooth.tif
      bonectl simulate bone.npy --views 180 --unit transmission | bonectl reconstruct | bonectl info
      bonectl simulate bone.npy --geometry 'fan(sod=20, sdd=40)' --views 180 | bonectl reconstruct | bonectl info
    """
    from bonectl.ops import convert, scan
    from bonectl.ops import reconstruct as ops
    from bonectl.ops.centre import found_centre

    if darks is not None and flats is None:
        raise UsageError("--darks without --flats; give both, or none")
    with streams.reading(request) as stack:
        if axes is not None:
            stack = convert.with_axes(stack, axes.value)
        views = stack.header.shape[stack.header.axes.index("view")] if stack.header.is_scan else 0
        geometry = (
            scan.geometry_of(stack.header, angles=_angles(angles, views), centre=_centre(centre), size=size)
            if stack.header.is_scan
            else None
        )
        volume = ops.reconstruct(
            stack,
            method=method,
            geometry=geometry,
            fields=_fields(flats, darks),
            unit=unit.value,
            calibration=_calibration(energy, matrix),
            axis=found_centre if centre == AUTO else None,
        )
        plan = {} if geometry is None else {"memory": f"about {ops.memory(geometry) >> 20} MiB"}
        streams.writing(volume, request, plan=plan)


def _centre(text: str | None) -> float | None:
    if text is None or text == AUTO:
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--centre {text!r}; give a column such as 295.5, or auto") from None


def _calibration(energy: float | None, matrix: str) -> "Calibration | None":
    if energy is None:
        return None
    from bonectl.calibrations.energy import energy as by_energy

    return by_energy(kev=energy, matrix=matrix)


def _angles(text: str | None, views: int) -> "Angles | None":
    """An arc that the views divide evenly, or a file with one angle per view."""
    if text is None:
        return None
    from bonectl.core.geometry import Angles

    try:
        arc = float(text)
    except ValueError:
        return _listed_angles(Path(text))
    return Angles(0.0, arc / views, views)


def _listed_angles(path: Path) -> "Angles":
    import numpy as np

    from bonectl.core.geometry import Angles

    if not path.is_file():
        raise MissingInputError(f"{path}: no such file; --angles takes an arc in degrees, or a file of angles")
    try:
        degrees = np.load(path) if path.suffix == ".npy" else np.loadtxt(path, ndmin=1)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path}: no list of angles ({error}); one number per line [degree], or a .npy") from error
    if degrees.ndim != 1 or degrees.dtype.kind not in "fiu":
        raise DataError(f"{path}: {degrees.dtype} of shape {degrees.shape}; one angle per view is needed")
    span = float(np.ptp(degrees)) if degrees.size else 0.0
    if degrees.size >= _MANY_VIEWS and span <= _FULL_TURN:  # no scan has so many views in so small a wedge
        raise DataError(f"{path}: {degrees.size} angles span {span:.4g}: they look like radians; give degrees")
    return Angles.of(degrees)


def _fields(flats: Path | None, darks: Path | None) -> "Fields | None":
    if flats is None:
        return None
    from bonectl.ops.scan import Fields

    with _frames(flats) as bright:
        if darks is None:
            return Fields.averaged(bright.collect())
        with _frames(darks) as dim:
            return Fields.averaged(bright.collect(), dim.collect())


@contextmanager
def _frames(path: Path) -> Iterator["Stack"]:
    if str(path) == "-":
        raise UsageError("only the scan itself can come from standard input; give flats and darks as files")
    with streams.opened(path) as stack:
        yield stack
