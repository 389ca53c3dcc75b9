"""A folder of EDF files, as the ESRF's beamlines left scans before HDF5."""

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path

import numpy as np

from bonectl.core import reading
from bonectl.core.counted import counted
from bonectl.core.geometry import Angles
from bonectl.core.header import Fact, Header
from bonectl.core.scan import Frames, Scan, Source
from bonectl.core.slabs import Array, thickness
from bonectl.core.stack import Stack
from bonectl.errors import DataError
from bonectl.scanners import _slices
from bonectl.scanners._keys import Keys, plain, text
from bonectl.scanners._projections import header

TITLE = "EDF folder (ESRF)"
PLACE = 10
EXTRA = ""

EDF = re.compile(r"[^.].*\.edf(\.gz)?", re.IGNORECASE)
NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<number>\d+)\.edf(\.gz)?", re.IGNORECASE)
FLAT = re.compile(r"ref(HST)?(?P<number>\d*)(_(?P<at>\d+))?\.edf(\.gz)?", re.IGNORECASE)
# In the order in which they are believed: an average, then those of the projections' place, then single readings.
DARKS = tuple(re.compile(rf"{name}\.edf(\.gz)?", re.IGNORECASE) for name in (r"dark", r"darkHST\d*", r"darkend\d*"))

# Data types by their plain names (fabio, edfimage).
DTYPES = {
    "signedbyte": "i1",
    "unsignedbyte": "u1",
    "signedshort": "i2",
    "unsignedshort": "u2",
    "signedinteger": "i4",
    "unsignedinteger": "u4",
    "signedlong": "i4",
    "unsignedlong": "u4",
    "floatvalue": "f4",
    "float": "f4",
    "doublevalue": "f8",
}
# A header is looked for in so many bytes; most are of 512 to 4096.
LOOKED_AT = (4096, 1 << 16, 1 << 20)
_LEAF = re.compile(r"<(\w+)[^>]*>\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*</\1>")
_END = re.compile(rb"\} *\r?\n")


@dataclass(frozen=True)
class _Picture:
    """One frame of a file: where its values begin, and what they are."""

    start: int
    shape: tuple[int, int]
    dtype: str

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


def claims(path: Path) -> bool:
    """Whether it is a folder of numbered EDF files with flats, darks or the scan's text beside them."""
    names = [one.name for one in _slices.listed(path)]
    numbered = any(NUMBERED.fullmatch(name) and not _is_role(name) for name in names)
    told = any(name.lower().endswith(".info") or (EDF.fullmatch(name) and _is_role(name)) for name in names)
    return numbered and told


def edf(path: Path) -> Scan:
    """Projections NAME0000.edf, flats refHST0000.edf, darks dark.edf, and what NAME.info or NAME.xml says.

    View i is at i · ScanRange / TOMO_N degrees, as in NeXus files that the ESRF makes of such folders; pictures after
    those were taken to see whether the object moved, and are left out. A flat's number is that of the projection it
    was read before. Of the darks, dark.edf is believed first: it is an average. PixelSize is in micrometres,
    Distance in millimetres, Energy in keV. Files may be gzipped, hold several frames, and be of any byte order.

    Slices are as in the ESRF's programs when the object turns as the angles count; if the volume is mirrored, give
    --angles that count down.

    Parameters
    ----------
    path : Path

    Raises
    ------
    DataError
        When files are damaged, of several series, or do not fit together.
    """
    there = _slices.listed(path)
    texts = [one for one in there if one.suffix.lower() in (".info", ".xml") and not one.name.startswith(".")]
    told = _told(texts)
    files, problems = _views(path, there)
    promised = max(0, round(told.get("tomon", 0.0)))
    frames = _frames(files)
    kept = frames[:promised] if promised else frames
    notes: list[str] = []
    if len(frames) > len(kept):
        notes.append(f"{counted(len(frames) - len(kept), 'picture')} after the {promised} of TOMO_N: left out")
    if len(kept) < promised:
        problems.append(f"{len(kept)} of {promised} projections (TOMO_N) are here: copy the others too")
    pixel = told.get("pixelsize", 0.0) / 1000 or None
    described = _described(kept, path, "counts", pixel, _facts(told))
    flats = _flats(there, described, notes)
    darks = _role(next((found for role in DARKS if (found := _named(there, role))), []), described)
    if flats is None:
        problems.append("no flats (refHST*.edf): give --flats")
    angles = None
    if (arc := told.get("scanrange")) and promised:
        angles = Angles(0.0, arc / promised, len(kept))
    else:
        problems.append("no scan range and count (ScanRange, TOMO_N in NAME.info or NAME.xml): give --angles")
    if pixel is None:
        notes.append("no pixel size: give --voxel-size in mm")
    return Scan(
        kind="edf",
        name=path.name,
        files=(*files, *(one for one in there if EDF.fullmatch(one.name) and _is_role(one.name)), *texts),
        stack=_source(kept, described),
        flats=flats,
        darks=darks,
        angles=angles,
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _is_role(name: str) -> bool:
    return bool(FLAT.fullmatch(name)) or any(role.fullmatch(name) for role in DARKS)


def _named(there: Sequence[Path], role: re.Pattern[str]) -> list[Path]:
    return [one for one in there if role.fullmatch(one.name)]


def _told(texts: Sequence[Path]) -> dict[str, float]:
    """Numbers by their plain keys: of NAME.info, and what it lacks of NAME.xml's acquisition."""
    found: dict[str, float] = {}
    for path in sorted(texts, key=lambda one: one.suffix.lower() != ".info"):
        if path.suffix.lower() == ".info":
            keys = Keys.of(path)
            numbers = {name: keys.number(name) for name in {key for _, key in keys.values}}
        else:
            numbers = _of_xml(path)
        found = {key: value for key, value in numbers.items() if value is not None} | found
    return found


def _of_xml(path: Path) -> dict[str, float | None]:
    """Numbers of the leaves of an XML text, by their plain names; the first of a name."""
    there = {plain(key): float(value) for key, value in reversed(_LEAF.findall(text(path)))}
    return {key: value if isfinite(value) else None for key, value in there.items()}


def _facts(told: Mapping[str, float]) -> dict[str, Fact]:
    names = {"energy_kev": "energy", "distance_mm": "distance", "exposure_s": "counttime"}
    names |= {"exposure_s": "ccdtime"} if "counttime" not in told else {}
    return {fact: told[key] for fact, key in names.items() if told.get(key, 0.0) > 0}


def _views(path: Path, there: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Files of projections in the order of their numbers, and what is missing."""
    found = [(match, one) for one in there if (match := NUMBERED.fullmatch(one.name)) and not _is_role(one.name)]
    series = sorted({match["prefix"] for match, _ in found})
    if len(series) > 1:
        mine = [name for name in series if name.rstrip("_") == path.name]
        if len(mine) != 1:
            raise DataError(f"{path}: holds several series ({', '.join(series[:3])}); one per folder is needed")
        series = mine
    ordered = sorted((int(match["number"]), one) for match, one in found if match["prefix"] == series[0])
    numbers = [number for number, _ in ordered]
    if len(set(numbers)) < len(numbers):
        raise DataError(f"{path}: holds two files of number {max(numbers, key=numbers.count)}")
    gone = sorted({*range(numbers[0], numbers[-1] + 1)} - {*numbers})
    problems = [f"{series[0]}{gone[0]:04d}.edf is missing{' and others' if len(gone) > 1 else ''}"] if gone else []
    return [one for _, one in ordered], problems


def _flats(there: Sequence[Path], scan: Header, notes: list[str]) -> Frames | None:
    """Reduced flats (refHST) where they are there, else single readings (ref0000_0000)."""
    files = _named(there, FLAT)
    reduced = [one for one in files if one.name.lower().startswith("refhst")]
    chosen = reduced or files
    if reduced and len(reduced) < len(files):
        notes.append(f"{counted(len(files) - len(reduced), 'single flat')} beside refHST: left out")
    return _role(chosen, scan)


def _role(files: Sequence[Path], scan: Header) -> Frames | None:
    """Frames of one role, and before which projection each was read, where names say it."""
    if not files:
        return None
    frames = _frames(files)
    matches = [FLAT.fullmatch(path.name) for path, _ in frames]
    at = [match["at"] or match["number"] for match in matches if match]
    described = _described(frames, files[0], "counts", scan.spacing[2], {})
    if described.shape[1:] != scan.shape[1:]:
        raise DataError(
            f"{files[0]}: is {described.shape[1]} × {described.shape[2]} pixels, the projections are "
            f"{scan.shape[1]} × {scan.shape[2]}"
        )
    known = len(at) == len(frames) and all(at)
    return Frames(_source(frames, described), tuple(map(float, at)) if known else ())


def _described(
    frames: Sequence[tuple[Path, _Picture]], name: Path, unit: str, pixel: float | None, facts: dict[str, Fact]
) -> Header:
    """The header of frames, which must be alike."""
    first = frames[0][1]
    for path, one in frames:
        if (one.shape, one.dtype) != (first.shape, first.dtype):
            raise DataError(
                f"{path}: is {one.shape[0]} × {one.shape[1]} {one.dtype}, {frames[0][0].name} is {first.shape[0]} × "
                f"{first.shape[1]} {first.dtype}"
            )
    dtype = np.dtype(first.dtype).newbyteorder("<").str
    return header((len(frames), *first.shape), dtype, str(name), unit=unit, pitch=(pixel, pixel), acquisition=facts)


def _source(frames: Sequence[tuple[Path, _Picture]], described: Header) -> Source:
    @contextmanager
    def open_() -> Iterator[Stack]:
        yield Stack(described, _slabs(frames, described))

    return Source(described, open_)


def _slabs(frames: Sequence[tuple[Path, _Picture]], described: Header) -> Iterator[Array]:
    size = thickness(described.slice_bytes)
    for start in range(0, len(frames), size):
        values = [_values(path, one) for path, one in frames[start : start + size]]
        yield np.ascontiguousarray(np.stack(values), dtype=described.dtype)


def _values(path: Path, told: _Picture) -> Array:
    raw = _read(path, told.start, told.size)
    if len(raw) < told.size:
        raise DataError(f"{path}: is cut short: {len(raw)} of {told.size} bytes of its picture are there")
    return np.frombuffer(raw, told.dtype).reshape(told.shape)


def _read(path: Path, start: int, size: int) -> bytes:
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            file.seek(start)
            raw: bytes = file.read(size)
            return raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: is cut short, or damaged (gzip)") from error
    except OSError as error:
        raise reading.failure(path, error) from error


def _frames(files: Sequence[Path]) -> list[tuple[Path, _Picture]]:
    """Frames of files in order; a file has one, or several one after another."""
    return [(path, one) for path in files for one in _pictures(path)]


def _pictures(path: Path) -> list[_Picture]:
    """The frames of a file, by their headers; general ones without values are stepped over."""
    found: list[_Picture] = []
    place = 0
    while (keys := _header(path, place)) is not None:
        place = int(keys["end"])
        if "dim1" not in keys:
            continue
        found.append(_picture(path, keys, place))
        place += int(keys.get("edfbinarysize", 0)) or found[-1].size
    if not found:
        raise DataError(f"{path}: holds no EDF picture; was it cut short?")
    return found


def _picture(path: Path, keys: Mapping[str, str], start: int) -> _Picture:
    """Dim_1 is the fast axis: the columns."""
    if keys.get("compression", "none").lower() not in ("none", ""):
        raise DataError(f"{path}: its values are compressed ({keys['compression'][:20]}); only a gzipped file is read")
    try:
        shape = (int(keys.get("dim2", 1)), int(keys["dim1"]))
        kind = DTYPES[plain(keys["datatype"])]
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: its header lacks a size or a known DataType") from error
    if min(shape) < 1:
        raise DataError(f"{path}: says {shape[0]} × {shape[1]} pixels")
    order = ">" if keys.get("byteorder", "").lower().startswith("high") else "<"
    return _Picture(start, shape, order + kind)


def _header(path: Path, place: int) -> dict[str, str] | None:
    """Keys of the header at a place, in braces, and where its values begin; None at the end of the file."""
    for size in LOOKED_AT:
        raw = _read(path, place, size)
        if not raw.strip(b"\0 \r\n"):
            return None
        if not raw.lstrip().startswith(b"{"):
            raise DataError(f"{path}: is no EDF: its header does not begin with a brace")
        if closed := _END.search(raw):
            lines = raw[: closed.start()].decode("latin-1").replace("{", "", 1).split(";")
            pairs = (line.partition("=") for line in lines)
            return {plain(key): value.strip() for key, _, value in pairs} | {"end": str(place + closed.end())}
        if len(raw) < size:
            break
    raise DataError(f"{path}: is cut short: its header does not end")
