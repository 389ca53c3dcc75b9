"""Scans of Nikon (X-Tek) cabinets: TIFF projections and a text that ends on ``.xtekct``."""

import re
from math import atan2, cos, degrees, radians, sin
from pathlib import Path

import numpy as np

from bonectl.core.counted import counted
from bonectl.core.geometry import Angles, Geometry
from bonectl.core.header import Fact
from bonectl.core.scan import Scan
from bonectl.errors import DataError, UsageError
from bonectl.scanners import _slices, _written
from bonectl.scanners._cone import Camera, leaning
from bonectl.scanners._keys import Keys, text
from bonectl.scanners._projections import header
from bonectl.scanners._series import Series, first_of

TITLE = "Nikon (X-Tek) projections"
PLACE = 5
EXTRA = ""
AS = "nikon"

SUFFIX = ".xtekct"
# Measured angles are worth a word when one is further than this from the even ones [degree].
SAME_ANGLE = 0.01
# What an open beam reads in files that are written here.
WHITE = 60000
# Columns that are one for a writer [pixel].
SAME_COLUMN = 1e-3


def claims(path: Path) -> bool:
    """Whether it is an xtekct file, or a folder with one."""
    return bool(_texts(path))


def nikon(path: Path, *, angles: str = "even") -> Scan:
    """Projections as a Nikon cabinet leaves them: flat-corrected, with WhiteLevel as the reading of the open beam.

    Everything is taken from the xtekct file. The axis lies where ObjectOffsetX says [mm beside the beam], in older
    files where CentreOfRotationTop and CentreOfRotationBottom say [mm on the detector]; it leans by ObjectRoll and
    ObjectTilt. View i is at -(InitialAngle + i · AngularStep) degrees, for the object turns clockwise seen from above.
    The slices count from the top of the pictures. These are the rules of CIL's NikonDataReader, which has been run on
    real scans of old and new files; TIGRE's reader has the same direction, and does not know the sign of the offset.
    DetectorOffsetX and DetectorOffsetY are said and not applied: CIL reads neither (its ObjectOffsetX is all of the
    offset that its scans needed), TIGRE takes them as they are and in the other order than its own axes.

    Cabinets also write the angles that they measured (``_ctdata.txt``, ``NAME.ang``). CIL found them to be wrong,
    TIGRE prefers them; they are taken only where the knob says so, and a note says when they differ.

    How to see that a rule does not hold for a cabinet: a wrong direction blurs everything away from the axis, more
    towards the top and bottom; give --angles. A wrong offset makes double edges; give --centre, or --centre auto.

    Parameters
    ----------
    path : Path
        The xtekct file, or its folder.
    angles : str
        even: from InitialAngle and AngularStep; ctdata or ang: as measured, from that file.

    Raises
    ------
    DataError
        When the text lacks a number, or the angles of the file that is named are not one per view.
    UsageError
        When a folder holds several xtekct files.
    """
    told = Keys.of(_only(path))
    folder, views = told.path.parent, told.count("Projections")
    series = _projections(told, folder, views)
    there = first_of(series.files)
    rows, columns = told.count("DetectorPixelsY"), told.count("DetectorPixelsX")
    if there and there.shape[1:] != (rows, columns):
        raise DataError(
            f"{told.path}: says {rows} × {columns} pixels, its pictures have {there.shape[1]} × {there.shape[2]}"
        )
    turned, notes = _angles(told, views, angles)
    camera = Camera(
        rows=rows,
        columns=columns,
        pitch=told.length("DetectorPixelSizeX"),
        row_pitch=told.length("DetectorPixelSizeY"),
    )
    told_header = header(
        (views, rows, columns),
        there.dtype if there else "<u2",
        told.path.name,
        unit="counts",
        pitch=(camera.row_pitch, camera.pitch),
        acquisition=_facts(told),
        geometry=_geometry(told, camera, turned),
    )
    if any(told.number(key) for key in ("DetectorOffsetX", "DetectorOffsetY")):
        notes += (
            "DetectorOffsetX and DetectorOffsetY are not applied: which way they count is not documented; "
            "--centre auto finds what they do to the axis' column",
        )
    return Scan(
        kind="nikon",
        name=path.name,
        files=(told.path, *series.files, *_lists(folder)),
        stack=series.source(told_header, told.path),
        problems=series.problems,
        notes=notes,
        facts={"flat_corrected": "by the scanner"},
    )


def _texts(path: Path) -> list[Path]:
    there = [path] if path.is_file() else _slices.listed(path) if path.is_dir() else []
    return [one for one in there if one.name.lower().endswith(SUFFIX) and not one.name.startswith(".")]


def _only(path: Path) -> Path:
    there = _texts(path)
    if len(there) > 1:
        raise UsageError(f"{path}: holds {len(there)} scans; give one of {', '.join(one.name for one in there)}")
    if not there:
        raise DataError(f"{path}: holds no {SUFFIX} file")
    return there[0]


def _projections(told: Keys, folder: Path, views: int) -> Series:
    """Files called by Name, InputSeparator and a number, beside the text or in its InputFolderName."""
    stem = re.escape(told.word("Name") or told.path.stem)
    pattern = re.compile(rf"{stem}[_-]?(?P<number>\d+)\.tiff?", re.IGNORECASE)
    beside = Series.of(folder, pattern, views, told.path)
    inner = told.word("InputFolderName").replace("\\", "/").rpartition("/")[2]
    if beside.files or inner in ("", ".", ".."):
        return beside
    below = Series.of(folder / inner, pattern, views, told.path)
    return below if below.files else beside


def _facts(told: Keys) -> dict[str, Fact]:
    facts: dict[str, Fact] = {"white": told.length("WhiteLevel")}
    for fact, key in (("kvp", "XraykV"), ("current_ua", "XrayuA"), ("filter_mm", "Filter_ThicknessMM")):
        if (value := told.number(key)) is not None:
            facts[fact] = value
    if material := told.word("Filter_Material"):
        facts["filter"] = material[:40]
    return facts


def _angles(told: Keys, views: int, chosen: str) -> tuple[Angles, tuple[str, ...]]:
    """Of the views [degree], and a word on measured ones that say something else."""
    there = {"ctdata": _ctdata, "ang": _ang}
    if chosen != "even":
        if chosen not in there:
            raise UsageError(f"angles={chosen}: there are even, ctdata and ang")
        measured = there[chosen](told.path.parent)
        if len(measured) != views:
            many = counted(len(measured), "angle")
            raise DataError(f"{told.path}: {chosen} has {many} for {counted(views, 'view')}; nikon(angles=even)")
        return Angles.of(-np.array(measured)), ()
    start, step = told.number("InitialAngle") or 0.0, told.needed("AngularStep")
    even = Angles(-start, -step, views)
    notes = []
    for name, read in there.items():
        measured = read(told.path.parent)
        if not measured:
            continue
        if len(measured) != views:
            notes.append(f"{name} has {counted(len(measured), 'angle')} for {counted(views, 'view')}: not used")
            continue
        off = np.array(measured) - measured[0] - step * np.arange(views)
        if (worst := float(np.abs((off + 180) % 360 - 180).max())) > SAME_ANGLE:
            notes.append(f"{name} differs from even steps by up to {worst:.3g} degrees: nikon(angles={name}) takes it")
    return even, tuple(notes)


def _lists(folder: Path) -> list[Path]:
    """Files of measured angles."""
    ends = ("_ctdata.txt", ".ang")
    return [one for one in _slices.listed(folder) if one.name.lower().endswith(ends)]


def _ctdata(folder: Path) -> list[float]:
    return _second_words(folder, "_ctdata.txt")


def _ang(folder: Path) -> list[float]:
    return _second_words(folder, ".ang")


def _second_words(folder: Path, end: str) -> list[float]:
    """Angles of the rows ``number angle ...`` that follow the last line of words; none where there is no such file."""
    found: list[float] = []
    for path in [one for one in _lists(folder) if one.name.lower().endswith(end)][:1]:
        for line in text(path).splitlines():
            words = line.replace(":", " ").split()
            try:
                int(words[0])
                found.append(float(words[1]))
            except (IndexError, ValueError):
                found = [] if words else found
    return found


def _geometry(told: Keys, camera: Camera, angles: Angles) -> Geometry:
    """The beam, from CIL's frame: x to the right as the source sees it, y along the beam, z up, the source at 0.

    Pictures begin at the top right as the source sees it, so that their columns run along -x, their rows along -z:
    (columns, beam, rows) is right-handed, as (e_u, e_n, e_v) of `Geometry` is. The axis passes through
    (-ObjectOffsetX, SrcToObject, 0), along (sin r, sin t cos r, cos t cos r) with r, t = ObjectRoll, ObjectTilt. The
    older numbers say where it meets the top and the bottom edge of the detector, towards higher columns.
    """
    sod, sdd = told.length("SrcToObject"), told.length("SrcToDetector")
    top, bottom = (told.number(f"CentreOfRotation{end}") or 0.0 for end in ("Top", "Bottom"))
    offset, roll = told.number("ObjectOffsetX"), told.number("ObjectRoll")
    if offset is None:
        offset = (top + bottom) / 2 * sod / sdd
    r = -atan2(top - bottom, camera.rows * camera.row_pitch) if roll is None else radians(roll)
    t = radians(told.number("ObjectTilt") or 0.0)
    axis = np.array([sin(r), -sin(t) * cos(r), cos(t) * cos(r)])  # towards higher rows, which is down
    return leaning(camera, angles, sdd, np.array([offset, sod, 0.0]), axis)


def write(scan: Scan, folder: Path) -> None:
    """Projections, flat-corrected, and the xtekct file, in a new folder.

    Raises
    ------
    UsageError
        When it is no scan of an upright cone beam, its views are uneven, or its axis lies off the middle of the
        detector though the source faces that.
    """
    geometry = _written.geometry_of(scan, "Nikon", ["cone"])
    step = _written.even_step(geometry, "Nikon")
    beside = radians(geometry.slant)
    sod, sdd = (float(length or 0) * cos(beside) for length in (geometry.sod, geometry.sdd))
    offset = float(geometry.sod or 0) * sin(beside)
    column = (geometry.columns - 1) / 2 + offset * sdd / sod / geometry.pitch
    middle = geometry.principal_row == (geometry.rows - 1) / 2
    if geometry.roll or geometry.tilt or not middle or abs(column - geometry.centre) > SAME_COLUMN:
        raise UsageError(
            "Nikon files are written of an upright detector whose middle the source faces; an axis off the middle has "
            f"a slant (here {degrees(atan2((geometry.centre - (geometry.columns - 1) / 2) * geometry.pitch, sdd)):.6f})"
        )
    folder.mkdir()
    name = "scan"
    for i, view in enumerate(_written.shares(scan, WHITE)):
        _written.picture(folder / f"{name}_{i + 1:04d}.tif", view, scan.header)
    known = scan.header.acquisition
    told = {
        "Name": name,
        "VoxelsX": geometry.size,
        "VoxelsY": geometry.size,
        "VoxelsZ": geometry.volume_shape[0],
        "VoxelSizeX": geometry.voxel,
        "VoxelSizeY": geometry.voxel,
        "VoxelSizeZ": geometry.voxel,
        "SrcToObject": sod,
        "SrcToDetector": sdd,
        "DetectorPixelsX": geometry.columns,
        "DetectorPixelsY": geometry.rows,
        "DetectorPixelSizeX": geometry.pitch,
        "DetectorPixelSizeY": geometry.row_pitch,
        "DetectorOffsetX": 0.0,
        "DetectorOffsetY": 0.0,
        "ObjectOffsetX": offset,
        "ObjectRoll": 0.0,
        "ObjectTilt": 0.0,
        "WhiteLevel": float(WHITE),
        "Projections": geometry.views,
        "InitialAngle": -(geometry.angles.start + geometry.slant),
        "AngularStep": -step,
        "InputSeparator": "_",
        "InputDigits": 4,
        "XraykV": known.get("kvp", known.get("energy_kev", 0)),
    }
    _written.lines(folder / f"{name}{SUFFIX}", ["[XTekCT]", *(f"{key}={value!s}" for key, value in told.items())])
