"""From a scan to a volume, slab by slab."""

from collections.abc import Callable, Iterator
from math import asin
from math import degrees as degrees_of

import numpy as np
import torch
from torch import Tensor

from bonectl.core import kit, progress
from bonectl.core.calibration import Calibration
from bonectl.core.geometry import KINDS, Geometry
from bonectl.core.header import VOLUME, Header
from bonectl.core.slabs import Array
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.methods._quadrature import missing_wedge
from bonectl.methods._ramp import truncated_rows
from bonectl.ops.scan import Fields, geometry_of, line_integrals, sinograms
from bonectl.projection.projector import Projector

UNITS = ("1/cm", "mgHA/cm3")
# Methods that invert one kind of beam in closed form; others take any.
BEAMS = {"fbp": ("parallel",), "fdk": ("fan", "cone")}
Method = Callable[[Projector, Tensor], Tensor]
Axis = Callable[[Geometry, Array], float]


def reconstruct(
    scan: Stack,
    *,
    method: str | None = None,
    geometry: Geometry | None = None,
    fields: Fields | None = None,
    unit: str = "1/cm",
    calibration: Calibration | None = None,
    axis: Axis | None = None,
) -> Stack:
    """Reconstruct a scan.

    Memory does not grow with the number of slices, except for projections (view, row, col) and for cone beams, whose
    voxels need all rows; these are collected.

    Parameters
    ----------
    scan : Stack
        Counts, transmission or line integral.
    method : str
        Part of the kit `bonectl.methods`, such as ``fbp(window=hann)``; when not given, ``fbp`` for a parallel beam
        and ``fdk`` for others.
    geometry : Geometry, optional
        Where the rays ran; the header's when not given. `bonectl.ops.scan.geometry_of` changes single values.
    fields : Fields, optional
        Detector readings without a sample, for counts.
    unit : {"1/cm", "mgHA/cm3"}
        Of the result.
    calibration : Calibration, optional
        Attenuation to mineral density; the header's when not given.
    axis : callable, optional
        How the rotation axis' column is found from the line integrals of the first rows, such as
        `bonectl.ops.centre.found_centre`; the geometry's when not given.

    Returns
    -------
    Stack
        (z, y, x), float32.

    Raises
    ------
    UsageError
        When the stack is a volume or of a unit that has no line integrals, carries no geometry, or density is
        asked for without a calibration; when there is no such method or knob.
    DataError
        When scan, geometry and fields differ in size; while streaming: for values that are not finite.
    """
    if method is not None:
        kit.check("methods", [parse(method)])
    if unit not in UNITS:
        raise UsageError(f"no volume in {unit!r}; there are {', '.join(UNITS)}")
    rows = line_integrals(sinograms(scan), fields)
    geometry = geometry or geometry_of(rows.header)
    _check(rows.header, geometry)
    if axis is not None and geometry.kind != "parallel":
        raise UsageError(f"the axis of a {geometry.kind} beam is not found automatically; give its column")
    run = _method(method, geometry)
    calibration = calibration or rows.header.calibration
    if unit == "mgHA/cm3" and calibration is None:
        raise UsageError("mineral density needs a calibration; give --energy, or stay in 1/cm")
    header = rows.header.replace(
        shape=geometry.volume_shape,
        axes=VOLUME,
        spacing=(geometry.voxel if geometry.kind == "cone" else geometry.row_pitch, geometry.voxel, geometry.voxel),
        unit=unit,
        geometry=None,
        calibration=calibration,
    )
    density = calibration if unit == "mgHA/cm3" else None
    return Stack(header, _slabs(rows, geometry, axis, run, density))


def memory(geometry: Geometry) -> int:
    """Bytes that `reconstruct` holds at a time, about: sinograms, their filtered copies, slices, and transforms."""
    block = Projector(geometry).block
    scan = 4 * block * geometry.views * geometry.columns
    plane = 4 * (geometry.volume_shape[0] if geometry.kind == "cone" else block) * geometry.size**2
    return int(4 * scan + 4 * plane) + (200 << 20)


def _method(text: str | None, geometry: Geometry) -> Method:
    """The method, bound; it must be for this beam."""
    spec = parse(text or ("fbp" if geometry.kind == "parallel" else "fdk"))
    if geometry.kind not in BEAMS.get(spec.name, KINDS):
        fitting = next(name for name, kinds in BEAMS.items() if geometry.kind in kinds)
        raise UsageError(f"{spec.name} is not for a {geometry.kind} beam; use {fitting}")
    run: Method = kit.bind("methods", spec)
    return run


def _check(header: Header, geometry: Geometry) -> None:
    rows, views, columns = header.shape
    if views != geometry.views:
        raise DataError(f"{geometry.views} angles for {views} views; one angle per view is needed")
    if (rows, columns) != (geometry.rows, geometry.columns):
        raise DataError(
            f"the scan has {rows} rows × {columns} columns, its geometry {geometry.rows} × {geometry.columns}"
        )
    if not -0.5 < geometry.centre < columns - 0.5:
        raise UsageError(f"the rotation axis is at column {geometry.centre:g}, outside the {columns} columns")


def _slabs(
    rows: Stack, geometry: Geometry, axis: Axis | None, run: Method, density: Calibration | None
) -> Iterator[Array]:
    total = rows.header.shape[0]
    truncated = 0
    A = Projector(geometry)
    with progress.task("reconstruct", total) as advance:
        for index, block in enumerate(rows.blocks(A.block)):
            if index == 0:
                if axis is not None:
                    A = Projector(geometry.replace(centre=axis(geometry, block)))
                _warn(A.geometry)
            y = torch.from_numpy(block)
            truncated += sum(truncated_rows(y))
            with torch.no_grad():
                volume = run(A, y).numpy()
            yield np.asarray(density.density(volume) if density else volume, dtype=np.float32)
            advance(len(block))
    if truncated:
        progress.note(
            f"{truncated} of {total} rows are cut off by the detector: their absolute values are not to be trusted"
        )


def _warn(geometry: Geometry) -> None:
    if not geometry.covers_grid:
        progress.note(
            f"the detector does not cover the grid of {geometry.size} voxels in all views; "
            "values near its rim are incomplete"
        )
    degrees = geometry.angles.degrees
    if geometry.kind != "parallel":
        _warn_of_arc(geometry)
    elif (wedge := missing_wedge(degrees)) > 1:
        progress.note(f"no view within {wedge:.0f} of 180 degrees: edges along the missing rays are lost")


def _warn_of_arc(geometry: Geometry) -> None:
    """A fan must turn by 180 degrees and its own angle for every ray to be measured once."""
    assert geometry.sod is not None
    arc = 360.0 - missing_wedge(geometry.angles.degrees, 360.0)
    needed = 180.0 + 2 * degrees_of(asin(min(1.0, geometry.size * geometry.voxel / 2 / geometry.sod)))
    if arc < needed - 1:
        progress.note(f"views cover {arc:.0f} degrees, this beam needs {needed:.0f}: edges along missing rays are lost")
