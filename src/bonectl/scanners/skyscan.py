"""Projections of SkyScan (Bruker) scanners: TIFF files and a log."""

import re
from collections.abc import Iterator, Mapping
from math import degrees
from pathlib import Path

from bonectl.core.counted import counted
from bonectl.core.geometry import Angles, Geometry
from bonectl.core.header import Fact
from bonectl.core.scan import Scan
from bonectl.errors import BonectlError, DataError, UsageError
from bonectl.scanners import _pictures, _slices, _written
from bonectl.scanners._cone import Camera, upright
from bonectl.scanners._keys import Keys
from bonectl.scanners._projections import header
from bonectl.scanners._series import Series, first_of

TITLE = "SkyScan projections"
PLACE = 6
EXTRA = ""
AS = "skyscan"

LOG = re.compile(r"[^.].*\.log", re.IGNORECASE)
# One scan of several along the axis of one specimen.
PART = re.compile(r"(?P<name>.*)~(?P<part>\d+)\.log", re.IGNORECASE)
# NRecon takes the beam of a scanner for parallel whose source is further away than this [mm].
PARALLEL = 1e4
# A turned camera is worth a word when it moves the axis by more than this along half of the rows [pixel].
TURNED = 0.25
# Air that reads this far from the white level is worth a word [share].
SAME_LEVEL = 0.02
# What an open beam reads in files that are written here; scanners leave room above it.
REFERENCE = 58000
# Columns at both sides of the first view that most likely see air.
AIR = 2


def claims(path: Path) -> bool:
    """Whether it is the log of a scan, or a folder that holds one, with its TIFF files or without them."""
    if path.is_file():
        return bool(LOG.fullmatch(path.name)) and _is_log(path)
    there = _slices.listed(path)
    return any(_is_log(one) for one in there if LOG.fullmatch(one.name))


def skyscan(path: Path, *, connected: str = "", direction: str = "", white: float = 0.0) -> Scan:
    """Projections as a SkyScan scanner leaves them: flat-corrected, 16 bits, with a log of what was done.

    Distances, pixel and angles are those of the log; keys are found whatever their case and blanks, which differ by
    model. Scans that are connected along the axis (``NAME~00.log``, ``NAME~01.log`` ...) are one specimen: which part
    is meant must be said. A scan all around that ends with its first angle once more loses that view, with a note.

    What the log does not document is taken as follows. View i is at -i · Rotation Step degrees for Rotation Direction
    CC, at + for CW: so a public comparison (cil-import-bruker) lays NRecon's volume of a 2214's scan over that of CIL,
    with NRecon's slices counting from the bottom of the pictures; those of bonectl count from the top. TIGRE's reader
    turns the other way. Optical Axis (line) counts from the bottom, as NRecon's slices do and TIGRE takes it. The axis'
    column stands in no log of a scan: it is taken from the Postalignment of NRecon's log where that lies in the folder
    or below it (as ASTRA's SkyScan parser counts it), else the middle is. An open beam reads the largest number of the
    pictures' depth, as TIGRE has it, or the log's Reference Intensity where the edges of the first view read that; a
    note says where they read neither. Image Rotation is said and not applied: no document or reader that is public says
    which way it counts.

    How to see that one of them does not hold: a wrong direction blurs everything away from the axis, and leaves a
    mirrored volume (`direction`); a wrong column makes double edges (--centre auto); a wrong white level gives air a
    density (`white`, or --air).

    Parameters
    ----------
    path : Path
        The folder, or the log.
    connected : str
        first: the first of several connected scans; of another, give its log as the path.
    direction : str
        cc or cw: which way the object turns, where it is not as the log says.
    white : float
        What an open beam reads; 0: as said above.

    Raises
    ------
    DataError
        When the log lacks a number, or there are several scans and none is named.
    UsageError
        When a knob names no scan and no direction.
    """
    log = _chosen(path, connected)
    told = Keys.of(log)
    views = told.count("Number Of Files")
    series = _projections(told, views)
    there = first_of(series.files)
    rows, columns = told.count("Number Of Rows"), told.count("Number Of Columns")
    if there and there.shape[1:] != (rows, columns):
        raise DataError(f"{log}: says {rows} × {columns} pixels, its pictures have {there.shape[1]} × {there.shape[2]}")
    step = told.length("Rotation Step (deg)") * _sign(told, direction)
    kept, notes = _without_repeat(views, abs(step), whole=told.word("Use 360 Rotation").upper().startswith("Y"))
    if not series.problems:
        series = Series(series.files[:kept])
    corrected = not told.word("Flat Field Correction").upper().startswith("OFF")
    geometry, more = _geometry(told, Angles(0.0, step, kept), (rows, columns))
    pixel = told.length("Image Pixel Size (um)") / 1000
    pitch = pixel if geometry is None else geometry.pitch
    problems, facts = series.problems, _exposure(told)
    if corrected:
        facts["white"], said = _white(told, white, series)
        notes += said
    else:
        problems += ("not flat-corrected by the scanner: give --flats",)
    described = header(
        (kept, rows, columns),
        there.dtype if there else "<u2",
        log.name,
        unit="counts",
        pitch=(pitch, pitch),
        acquisition=facts,
        geometry=geometry,
    )
    return Scan(
        kind="skyscan",
        name=path.name,
        files=(log, *series.files),
        stack=series.source(described, log),
        angles=None if geometry else Angles(0.0, step, kept),
        problems=problems,
        notes=(*notes, *more),
        facts=_facts(told),
    )


def _is_log(path: Path) -> bool:
    """Whether a log is that of a scan, and not of a reconstruction or of another program."""
    try:
        told = Keys.of(path)
    except BonectlError:
        return False
    return told.has("Scanner", "Number Of Files", "Rotation Step (deg)") and not told.has("Result Image Width (pixels)")


def _chosen(path: Path, connected: str) -> Path:
    """The log of a folder, or of one part of a connected scan."""
    if path.is_file():
        return path
    logs = [one for one in _slices.listed(path) if LOG.fullmatch(one.name) and _is_log(one)]
    parts = {int(match["part"]): one for one in logs if (match := PART.fullmatch(one.name))}
    if not parts:
        if len(logs) != 1:
            raise DataError(
                f"{path}: holds {len(logs)} logs of scans ({', '.join(one.name for one in logs)}); give one"
            )
        return logs[0]
    if not connected and len(parts) == 1:
        return next(iter(parts.values()))
    if not connected:
        raise DataError(
            f"{path}: holds {len(parts)} connected scans of one specimen; say skyscan(connected=first), or give "
            f"another's log, such as {parts[max(parts)].name}"
        )
    if connected != "first":
        raise UsageError(f"connected={connected}: there is first; of another scan, give its log")
    return parts[min(parts)]


def _projections(told: Keys, views: int) -> Series:
    """Files called by the log's Filename Prefix and a number; by the log's own name where they were renamed."""
    prefixes = (told.word("Filename Prefix", section="Acquisition"), told.path.stem)
    found = Series((), ())
    for prefix in filter(None, prefixes):
        name = re.compile(rf"{re.escape(prefix)}(?P<number>\d+)\.tiff?", re.IGNORECASE)
        found = Series.of(told.path.parent, name, views, told.path)
        if found.files:
            break
    return found


def _sign(told: Keys, direction: str) -> int:
    """Which way view angles count."""
    way = (direction or told.word("Rotation Direction") or "cc").lower()
    if direction and way not in ("cc", "cw"):
        raise UsageError(f"direction={direction}: there are cc and cw")
    return 1 if way == "cw" else -1


def _without_repeat(views: int, step: float, *, whole: bool) -> tuple[int, tuple[str, ...]]:
    """How many views are left when those that begin a second turn are taken off, and a word on it."""
    turn = round(360 / step) if step <= 180 else views
    if not whole or views <= turn or abs(turn * step - 360) > step / 2:
        return views, ()
    what = counted(views - turn, "view begins", "views begin")
    return turn, (f"{what} a second turn, and {'is' if views - turn == 1 else 'are'} left out",)


def _geometry(told: Keys, angles: Angles, shape: tuple[int, int]) -> tuple[Geometry | None, tuple[str, ...]]:
    """The cone beam, None for a parallel one, and a word on what the log does not say.

    The pixel is that at the object, which is what NRecon takes; with the distances it fixes all rays. (Camera Pixel
    Size times binning is the same on the camera, up to optics that no log describes.)
    """
    rows, columns = shape
    pixel, sod = told.length("Image Pixel Size (um)") / 1000, told.length("Object to Source (mm)")
    centre, notes = _centre(told, columns)
    line = told.number("Optical Axis (line)")
    row = None if line is None else rows - 1 - line
    tilted = told.number("Image Rotation") or 0.0
    if abs(tilted) * rows / 2 > degrees(TURNED):
        notes += (
            f"the camera is turned by {tilted:g} degrees (Image Rotation): not applied, which way is not documented; "
            f"--prepare 'rotate(degrees={tilted:g})', or {-tilted:g}, sets it upright",
        )
    if sod > PARALLEL:
        return None, notes
    sdd = max(told.number("Camera to Source (mm)", "Camera to Source") or sod, sod)
    pitch = pixel * sdd / sod
    camera = Camera(rows=rows, columns=columns, pitch=pitch, row_pitch=pitch)
    return upright(camera, angles, sod, sdd, centre=centre, row=row), notes


def _centre(told: Keys, columns: int) -> tuple[float | None, tuple[str, ...]]:
    """The axis' column by NRecon, whose detector is shifted by Postalignment columns, and a word on it."""
    folder = told.path.parent
    below = [path for one in _slices.listed(folder) if one.is_dir() for path in _slices.listed(one)]
    logs = [one for one in (*_slices.listed(folder), *below) if one.name.lower().endswith("_rec.log")]
    shifts = {shift for one in logs if (shift := Keys.of(one).number("Postalignment")) is not None}
    if len(shifts) != 1:
        return None, ("the log does not say the axis' column, the middle is taken: --centre auto finds it",)
    column = (columns - 1) / 2 - shifts.pop()
    return column, (f"the axis' column {column:g} is that of NRecon's Postalignment",)


def _exposure(told: Keys) -> dict[str, Fact]:
    keys = {"kvp": "Source Voltage (kV)", "current_ua": "Source Current (uA)", "exposure_ms": "Exposure (ms)"}
    facts: dict[str, Fact] = {fact: value for fact, key in keys.items() if (value := told.number(key)) is not None}
    return facts | ({"filter": told.word("Filter")[:40]} if told.word("Filter") else {})


def _facts(told: Keys) -> dict[str, Fact]:
    words = {"scanner": "Scanner", "flat_field_correction": "Flat Field Correction", "binning": "Camera binning"}
    numbers = {"optical_axis_line": "Optical Axis (line)", "connected_scans": "Number of connected scans"}
    facts: dict[str, Fact] = {fact: told.word(key)[:40] for fact, key in words.items() if told.word(key)}
    return facts | {fact: value for fact, key in numbers.items() if (value := told.number(key)) is not None}


def _white(told: Keys, given: float, series: Series) -> tuple[float, tuple[str, ...]]:
    """What an open beam reads: as given, else what the first view's edges confirm; a word where they read neither."""
    most = 2.0 ** round(told.number("Depth (bits)") or 16) - 1
    if given or series.problems:
        return given or most, ()
    view = _pictures.read(series.files[0])
    edges = sorted([*view[:, :AIR].ravel().tolist(), *view[:, -AIR:].ravel().tolist()])
    air = float(edges[len(edges) // 2])
    for level in (most, told.number("Reference Intensity")):
        if level and abs(air - level) <= SAME_LEVEL * level:
            return level, ()
    return most, (f"the edges of the first view read {air:g}, white is taken as {most:g}: skyscan(white={air:g})",)


def write(scan: Scan, folder: Path) -> None:
    """Projections, flat-corrected, and the log of a scan, in a new folder.

    A log does not say the axis' column, and no first angle: reconstructions of what was scanned off the middle need
    --centre auto, and are turned by the angle at which the scan began.

    Raises
    ------
    UsageError
        When it is no scan of an upright cone or of a parallel beam, or its views are uneven.
    """
    geometry = _written.geometry_of(scan, "SkyScan", ["cone", "parallel"])
    step = _written.even_step(geometry, "SkyScan")
    if not geometry.is_upright or geometry.pitch != geometry.row_pitch:
        raise UsageError("a SkyScan log tells an upright detector of square pixels; leave out roll, tilt and slant")
    folder.mkdir()
    name = "scan_"
    for i, view in enumerate(_written.shares(scan, REFERENCE)):
        _written.picture(folder / f"{name}{i:08d}.tif", view, scan.header)
    sod, sdd = geometry.sod or 10 * PARALLEL, geometry.sdd or 10 * PARALLEL
    known = scan.header.acquisition
    system: dict[str, Fact] = {
        "Scanner": "SkyScan2214",
        "Camera Pixel Size (um)": geometry.pitch * 1000,
        "Camera X/Y Ratio": "1.0000",
    }
    acquisition: dict[str, Fact] = {
        "Filename Prefix": name,
        "Number Of Files": geometry.views,
        "Number Of Rows": geometry.rows,
        "Number Of Columns": geometry.columns,
        "Filename Index Length": 8,
        "Camera Binning": "1x1",
        "Image Rotation": "0.00000",
        "Optical Axis (line)": geometry.rows - 1 - geometry.principal_row,
        "Object to Source (mm)": sod,
        "Camera to Source (mm)": sdd,
        "Source Voltage (kV)": known.get("kvp", known.get("energy_kev", 0)),
        "Image Pixel Size (um)": geometry.pitch * sod / sdd * 1000,
        "Image Format": "TIFF",
        "Depth (bits)": 16,
        "Reference Intensity": REFERENCE,
        "Rotation Step (deg)": abs(step),
        "Use 360 Rotation": "YES" if abs(step) * geometry.views > 350 else "NO",
        "Flat Field Correction": "ON",
        "Rotation Direction": "CW" if step > 0 else "CC",
        "Scanning Start Angle": geometry.angles.start,
        "Type Of Detector Motion": "STEP AND SHOOT",
        "Scanning Trajectory": "ROUND",
        "Number of connected scans": 1,
    }
    told = ["[System]", *map("=".join, _words(system)), "[Acquisition]", *map("=".join, _words(acquisition))]
    _written.lines(folder / f"{name}.log", told)


def _words(told: Mapping[str, Fact]) -> Iterator[tuple[str, str]]:
    """Keys and values of a log; numbers with all digits that tell."""
    for key, value in told.items():
        yield key, f"{value:.9g}" if isinstance(value, float) else str(value)
