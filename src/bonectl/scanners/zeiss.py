"""Zeiss (Xradia) files: projections ``.txrm``, single pictures ``.xrm``, and volumes ``.txm``."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bonectl.core import reading
from bonectl.core.counted import counted
from bonectl.core.geometry import Angles
from bonectl.core.header import VOLUME, Fact, Header
from bonectl.core.scan import Frames, Scan, Source
from bonectl.core.slabs import Array, thickness
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UnavailableError
from bonectl.scanners._cone import Camera, upright
from bonectl.scanners._projections import header

TITLE = "Zeiss (Xradia) txrm, xrm and txm"
PLACE = 8
EXTRA = "zeiss"

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
SUFFIXES = (".txrm", ".xrm", ".txm")
# The streams lie in a storage of this name; compound files keep names as UTF-16.
STORAGE = "ImageInfo".encode("utf-16-le")
# Type of the values by the number in DataType.
DTYPES = {5: "<u2", 10: "<f4"}
# Pictures of one storage ImageData1, ImageData2 ...
TOGETHER = 100
# XrayGeometry of a cone beam.
CONE = 1
# Views are not moved by less [pixel].
SHIFT = 0.05


def claims(path: Path) -> bool:
    """Whether it is a compound file (OLE2) with Zeiss's streams in it."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return False
            if path.suffix.lower() in SUFFIXES:
                return True
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as there:
                return there.find(STORAGE) >= 0
    except (OSError, ValueError):
        return False


def zeiss(path: Path, *, shifts: bool = True) -> Scan:
    """Projections with their reference picture as the flat, or the slices of a volume (txm).

    PixelSize is that at the sample [um]; with StoRADistance and DtoRADistance [mm, either sign] it gives the cone's
    detector where XrayGeometry says that the beam is a cone, and a parallel beam's pixel else. The view angle is
    -Angles: with that, CIL's and mbirjax's readers reconstructed real scans. The axis lies CenterShift pixels towards
    lower columns from the middle, as mbirjax has it; CIL does not read it. Slices count with the rows of the pictures
    as they are stored.

    Scanners move the sample between views, or see it drift, and record by how much each view is to be moved towards
    higher columns and rows (Alignment). Where that is more than 0.05 pixel, views are divided by the reference and
    moved, by cubic splines: they are transmissions then, and a note says so. CIL moves them by whole pixels.

    How to see that a rule does not hold: a wrong direction blurs everything away from the axis (give --angles), a
    wrong column makes double edges (give --centre, or --centre auto).

    Parameters
    ----------
    path : Path
    shifts : bool
        Whether views are moved as the file says.

    Raises
    ------
    UnavailableError
        When olefile is not installed.
    DataError
        When it is damaged, or lacks the pictures' size or an angle for each.
    """
    with _opened(path) as file:
        pictures = file.pictures()
        if path.suffix.lower() == ".txm" or file.number("ImageInfo/AcquisitionMode", "<i4") not in (0, None):
            return _volume(path, file, pictures)
        return _projections(path, file, pictures, moved=shifts)


@dataclass(frozen=True)
class _Pictures:
    """How many pictures there are, of what size and type."""

    count: int
    rows: int
    columns: int
    dtype: str


@dataclass(frozen=True)
class _File:
    """An open compound file."""

    path: Path
    ole: Any

    def values(self, name: str, dtype: str = "<f4") -> Array:
        """A stream as numbers; empty where it is not there. What fills no number at its end is left."""
        raw = self.raw(name)
        size = np.dtype(dtype).itemsize
        return np.frombuffer(raw[: len(raw) // size * size], dtype)

    def number(self, name: str, dtype: str = "<f4") -> float | None:
        """The first number of a stream."""
        values = self.values(name, dtype)
        return float(values[0]) if values.size and np.isfinite(values[0]) else None

    def raw(self, name: str) -> bytes:
        """The bytes of a stream; none where it is not there."""
        if not self.ole.exists(name):
            return b""
        try:
            with self.ole.openstream(name) as stream:
                read: bytes = stream.read()
                return read
        except (OSError, ValueError, IndexError) as error:
            raise DataError(f"{self.path}: is cut short, or damaged, at {name}") from error

    def pictures(self) -> _Pictures:
        """What ImageInfo says; of a scan that was broken off, as many as were taken."""
        names = ("ImageHeight", "ImageWidth", "DataType")
        rows, columns, kind = (int(self.number(f"ImageInfo/{name}", "<i4") or 0) for name in names)
        counts = [self.number(f"ImageInfo/{name}", "<i4") for name in ("ImagesTaken", "NoOfImages")]
        count = int(min((one for one in counts if one), default=0))
        if min(rows, columns, count) < 1 or kind not in DTYPES:
            raise DataError(f"{self.path}: lacks the size, number or type of its pictures (ImageInfo)")
        return _Pictures(count, rows, columns, DTYPES[kind])

    def picture(self, name: str, told: _Pictures, dtype: str) -> Array:
        """One picture, (row, col)."""
        values = self.values(name, dtype)
        if values.size != told.rows * told.columns:
            raise DataError(f"{self.path}: {name} has {values.size} pixels of {told.rows * told.columns}; is it whole?")
        return values.reshape(told.rows, told.columns)


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    try:
        import olefile
    except ImportError:
        raise UnavailableError(
            f"{path}: is a Zeiss file, and olefile is not installed: pip install 'bonectl[zeiss]'"
        ) from None
    try:
        ole = olefile.OleFileIO(str(path))
    except OSError as error:
        if error.errno:
            raise reading.failure(path, error) from error
        raise DataError(f"{path}: is cut short, or damaged: no compound file can be read in it") from error
    except (ValueError, IndexError, TypeError) as error:
        raise DataError(f"{path}: is cut short, or damaged: no compound file can be read in it") from error
    with ole:
        yield _File(path, ole)


def _source(
    path: Path, told: _Pictures, described: Header, flat: Frames | None = None, away: Array | None = None
) -> Source:
    @contextmanager
    def open_() -> Iterator[Stack]:
        with _opened(path) as file:
            slabs = _slabs(file, told, described)
            if flat is not None and away is not None:
                with flat.source.open() as frames:
                    slabs = _moved(slabs, frames.collect()[0], away)
            yield Stack(described, slabs)

    return Source(described, open_)


def _slabs(file: _File, told: _Pictures, described: Header) -> Iterator[Array]:
    size = thickness(described.slice_bytes)
    for start in range(0, told.count, size):
        numbers = range(start + 1, min(start + size, told.count) + 1)
        names = [f"ImageData{(number - 1) // TOGETHER + 1}/Image{number}" for number in numbers]
        yield np.stack([file.picture(name, told, told.dtype) for name in names])


def _moved(slabs: Iterator[Array], flat: Array, away: Array) -> Iterator[Array]:
    """Views as shares of the open beam, each moved by its rows and columns."""
    from scipy.ndimage import shift  # not where files are only asked whether they are of this kind

    number = 0
    for slab in slabs:
        shares = (slab / flat).astype("<f4")
        yield np.stack([shift(view, away[number + i], order=3, mode="nearest") for i, view in enumerate(shares)])
        number += len(slab)


def _pixel(file: _File) -> float | None:
    """At the sample [mm]."""
    size = file.number("ImageInfo/PixelSize")
    return size / 1000 if size and size > 0 else None


def _volume(path: Path, file: _File, told: _Pictures) -> Scan:
    side = _pixel(file)
    described = Header(
        shape=(told.count, told.rows, told.columns),
        dtype=told.dtype,
        axes=VOLUME,
        spacing=(side, side, side),
        unit="grey",
        acquisition=_exposure(file),
    )
    return Scan(kind="zeiss", name=path.name, files=(path,), stack=_source(path, told, described))


def _projections(path: Path, file: _File, told: _Pictures, *, moved: bool) -> Scan:
    degrees = file.values("ImageInfo/Angles")[: told.count]
    if degrees.size < told.count:
        many = counted(degrees.size, "angle")
        raise DataError(f"{path}: has {many} for {counted(told.count, 'view')} (ImageInfo/Angles)")
    angles = Angles.of(-degrees.astype(np.float64))
    beside = file.number("AutoRecon/CenterShift")
    beside = file.number("ReconSettings/CenterShift") if beside is None else beside
    centre = None if beside is None else (told.columns - 1) / 2 - beside
    pixel, flat = _pixel(file), _reference(path, file, told)
    away = _away(file, told.count)
    worst = float(np.abs(away).max(initial=0))
    moved = moved and flat is not None and worst >= SHIFT
    notes: tuple[str, ...] = ()
    if worst >= SHIFT:
        done = "applied, which makes transmissions of them: zeiss(shifts=false) leaves both" if moved else "not applied"
        notes = (f"views are shifted by up to {worst:.2g} pixels (Alignment): {done}",)
    sod, far = (abs(file.number(f"ImageInfo/{name}RADistance") or 0.0) for name in ("Sto", "Dto"))
    geometry = None
    if file.number("ImageInfo/XrayGeometry", "<i4") == CONE and pixel and sod:
        pitch = pixel * (sod + far) / sod
        camera = Camera(rows=told.rows, columns=told.columns, pitch=pitch, row_pitch=pitch)
        geometry = upright(camera, angles, sod, sod + far, centre=centre)
    if pixel is None:
        notes += ("no pixel size: give --voxel-size in mm",)
    pitch_or_none = geometry.pitch if geometry else pixel
    described = header(
        (told.count, told.rows, told.columns),
        "<f4" if moved else told.dtype,
        path.name,
        unit="transmission" if moved else "counts" if flat else "grey",
        pitch=(pitch_or_none, pitch_or_none),
        acquisition=_exposure(file),
        geometry=geometry,
    )
    return Scan(
        kind="zeiss",
        name=path.name,
        files=(path,),
        stack=_source(path, told, described, *((flat, away) if moved else ())),
        flats=None if moved else flat,
        angles=None if geometry else angles,
        centre=centre,
        problems=() if flat else ("no reference picture: give --flats, or --input-unit where values are no counts",),
        notes=notes,
        facts={"beam": "cone" if geometry else "parallel"},
    )


def _reference(path: Path, file: _File, told: _Pictures) -> Frames | None:
    """The pictures without sample, which are of a type of their own."""
    there = [name for name in ("ReferenceData/Image", "MultiReferenceData/Image1") if file.ole.exists(name)]
    if not there:
        return None
    kind = file.number(f"{there[0].partition('/')[0]}/DataType", "<i4")
    dtype = DTYPES.get(int(kind or 10), "<f4")
    frame = file.picture(there[0], told, dtype)
    described = header(frame.shape, dtype, f"{path.name}: {there[0]}")

    @contextmanager
    def open_() -> Iterator[Stack]:
        yield Stack.of(frame[None], described)

    return Frames(Source(described, open_))


def _away(file: _File, views: int) -> Array:
    """By how many rows and columns each view is to be moved, (view, 2) [pixel]; 0 where nothing is said."""
    there = [file.values(f"Alignment/{axis}-Shifts") for axis in ("Y", "X")]
    return np.stack([values[:views] if values.size >= views else np.zeros(views) for values in there], axis=1)


def _exposure(file: _File) -> dict[str, Fact]:
    places = {
        "kvp": "ImageInfo/Voltage",
        "exposure_s": "ImageInfo/ExpTimes",
        "optical_magnification": "ImageInfo/OpticalMagnification",
    }
    found = {fact: file.number(place) for fact, place in places.items()}
    return {fact: value for fact, value in found.items() if value}
