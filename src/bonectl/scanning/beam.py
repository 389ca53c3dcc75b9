"""The geometry of a scan that carries none, as it is told in words: ``cone(sod=200, sdd=400)``."""

from math import isclose
from typing import Any

import numpy as np

from bonectl.core.angles import looks_like_radians
from bonectl.core.counted import counted
from bonectl.core.geometry import MOST_DEGREES, Angles, Geometry
from bonectl.core.header import SINOGRAMS, Header
from bonectl.core.kit import bind, check
from bonectl.core.spec import Spec
from bonectl.errors import DataError, UsageError
from bonectl.scanning.lines import geometry_of

# What a knob says when it leaves the choice open.
OPEN = {"rows": 0, "columns": 0, "pitch": 0, "centre": -1, "row_centre": -1}
# Lengths that differ by less than this share are the same.
SAME = 1e-6


def geometry_as_told(
    header: Header,
    spec: Spec,
    *,
    angles: Angles | None = None,
    centre: float | None = None,
    size: int | None = None,
) -> Geometry:
    """The geometry of a scan by a part of the kit of geometries, with what the scan itself says.

    Rows, columns and views are the scan's, and so is the pitch where the scan or `spec` has it. Voxels are as large as
    a detector pixel on the axis: its pitch times sod / sdd. A fan's slices are as far apart; rows of another height
    than width keep it.

    Parameters
    ----------
    header : Header
        Of a scan.
    spec : Spec
    angles : Angles, optional
        Of the views, unless `spec` has an arc.
    centre : float, optional
        Detector column of the rotation axis (0-based, fractional), unless `spec` has it; else the middle.
    size : int, optional
        Side of the grid to reconstruct [voxel]; what the detector sees (`Geometry.seen`) where it is not given.

    Raises
    ------
    UsageError
        When something that is needed is said by nobody, or by two in different ways.
    DataError
        When there is not one angle per view.
    """
    check("geometries", [spec])
    knobs: dict[str, Any] = {name: value for name, value in spec.knobs.items() if OPEN.get(name) != value}
    _check_once(knobs, {"arc": angles, "start": angles, "centre": centre})
    if header.geometry is not None:
        _check_same(header.geometry, spec.name, knobs)
        return geometry_of(header, angles=angles, centre=centre, size=size)
    lengths = dict(zip(header.axes, header.shape, strict=True))
    counts = {"views": lengths["view"], "columns": lengths["col"]}
    if spec.name == "cone":
        counts["rows"] = lengths["row"]
    for name in counts.keys() & knobs.keys():
        if knobs[name] != counts[name]:
            raise UsageError(f"--geometry says {name}={knobs[name]}, the scan has {counts[name]} {name}")
    _check_told(spec.name, knobs, angles, counts["views"])
    pitch = _pitch(header, knobs)
    voxel = pitch if spec.name == "parallel" else pitch * knobs["sod"] / knobs["sdd"]
    if centre is not None:
        knobs["centre"] = centre
    told = knobs | counts | {"pitch": pitch}
    geometry: Geometry = bind("geometries", Spec(spec.name, told))(lengths["col"], lengths["row"], voxel)
    height = header.spacing[header.axes.index("row")]
    if height and (spec.name == "parallel" or not isclose(height, pitch, rel_tol=SAME)):
        geometry = geometry.replace(row_pitch=height)
    if angles is not None:
        geometry = geometry.replace(angles=angles)
    return geometry.replace(size=size or geometry.seen)


def _check_once(knobs: dict[str, Any], options: dict[str, Any]) -> None:
    """Refuse what both --geometry and another option say."""
    flags = {"arc": "--angles", "start": "--angles", "centre": "--centre"}
    for name, value in options.items():
        if value is not None and name in knobs:
            raise UsageError(f"--geometry says {name}={knobs[name]}, and {flags[name]} is given too; give one of them")


def _check_same(known: Geometry, kind: str, knobs: dict[str, Any]) -> None:
    """Refuse what differs from the geometry that a scan carries."""
    if kind != known.kind:
        raise UsageError(f"--geometry says {kind}, but the scan carries the geometry of a {known.kind} beam")
    angles = known.angles
    there: dict[str, Any] = {"views": known.views, "arc": angles.step * angles.count, "start": angles.start}
    there["row_centre"] = known.principal_row
    for name, value in knobs.items():
        carried = there.get(name, getattr(known, name, None))
        if carried is None or not isclose(float(value), float(carried), rel_tol=SAME, abs_tol=SAME):
            raise UsageError(f"--geometry says {name}={value}, but the scan carries {name}={carried}; leave it out")


def _check_told(kind: str, knobs: dict[str, Any], angles: Angles | None, views: int) -> None:
    """Refuse a geometry that lacks what nobody can guess."""
    if kind != "parallel" and not {"sod", "sdd"} <= knobs.keys():
        raise UsageError(f"--geometry {kind} needs both distances [mm]: {kind}(sod=..., sdd=...)")
    if angles is None and "arc" not in knobs:
        raise UsageError(f"nothing says how far the views turn; give --angles, or {kind}(arc=360)")
    if angles is not None and len(angles) != views:
        raise DataError(f"{counted(len(angles), 'angle')} for {counted(views, 'view')}; one angle per view is needed")
    if kind != "parallel" and not 0 < knobs["sod"] <= knobs["sdd"]:
        raise UsageError(f"--geometry {kind}(sod={knobs['sod']}, sdd={knobs['sdd']}); 0 < sod <= sdd is needed [mm]")


def _pitch(header: Header, knobs: dict[str, Any]) -> float:
    """Of the detector's columns [mm]."""
    there, told = header.spacing[header.axes.index("col")], knobs.get("pitch")
    pitch: float | None = told if there is None else there
    if pitch is None:
        raise UsageError("the detector pitch is unknown; give pitch=... in --geometry, or --voxel-size, in mm")
    if there is not None and told is not None and not isclose(there, told, rel_tol=SAME):
        raise UsageError(f"--geometry says pitch={told}, but the scan has pixels {there:g} mm wide; give one of them")
    return pitch


def angles_over(told: Angles | float | None, views: int) -> Angles | None:
    """Angles as they are told; a number is the arc that some views divide evenly, its end no view [degree].

    Raises
    ------
    UsageError
        When it is no arc in degrees.
    """
    if told is None or isinstance(told, Angles):
        return told
    if not 0 < abs(told) <= MOST_DEGREES:
        raise UsageError(f"--angles {told:g}; give the arc that the views divide, such as 180, or a file of angles")
    if looks_like_radians(told / views * np.arange(views)):
        raise UsageError(f"--angles {told:g} for {views} views: that looks like radians; give degrees, such as 180")
    return Angles(0.0, told / views, views)


def check_size(scan: Header, geometry: Geometry) -> None:
    """Refuse a geometry of another scan.

    Raises
    ------
    DataError
        When scan and geometry differ in size.
    UsageError
        When the rotation axis is not on the detector.
    """
    lengths = dict(zip(scan.axes, scan.shape, strict=True))
    rows, views, columns = (lengths[axis] for axis in SINOGRAMS)
    if views != geometry.views:
        raise DataError(
            f"{counted(geometry.views, 'angle')} for {counted(views, 'view')}; one angle per view is needed"
        )
    if (rows, columns) != (geometry.rows, geometry.columns):
        raise DataError(
            f"the scan has {rows} rows × {columns} columns, its geometry {geometry.rows} × {geometry.columns}"
        )
    if not -0.5 < geometry.centre < columns - 0.5:
        raise UsageError(f"the rotation axis is at column {geometry.centre:g}, outside the {columns} columns")
