"""A series of DICOM files, one slice each, as clinical CT and some HR-pQCT export it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bonectl.core import reading
from bonectl.core.header import Fact, Header
from bonectl.core.scan import Scan, Source
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import DataError, MissingInputError, UnavailableError, UsageError

TITLE = "DICOM series"
PLACE = 4
EXTRA = "dicom"

MAGIC, AT = b"DICM", 128
# Files of a folder that are looked at before it is said to hold no DICOM.
LOOKED_AT = 8
# Slices are evenly spaced when no step differs from the usual one by more than this share.
UNEVEN = 0.02

# What is read of a header, and nothing else: no name of a person, a place or a device's owner.
TAGS = (
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "Rows",
    "Columns",
    "BitsAllocated",
    "PixelRepresentation",
    "SamplesPerPixel",
    "NumberOfFrames",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "KVP",
    "ConvolutionKernel",
    "ManufacturerModelName",
)
# What lies in a folder beside images: reports, presentations, and the index of a disc.
NO_IMAGES = ("SR", "PR", "KO", "DOC", "REG", "RTSTRUCT")
INDEX = "1.2.840.10008.1.3.10"


@dataclass(frozen=True)
class _Slice:
    """One file's header, and where its slice lies along the stack [mm]."""

    path: Path
    told: Any
    place: float


def claims(path: Path) -> bool:
    """Whether it is a DICOM file, or a folder that holds some."""
    if path.is_dir():
        try:
            files = sorted(one for one in path.iterdir() if one.is_file() and not one.name.startswith("."))
        except OSError:
            return False
        return any(map(_is_dicom, files[:LOOKED_AT]))
    return _is_dicom(path)


def dicom(path: Path, *, series: int = -1) -> Scan:
    """The slices of a series in the order of their places, with the values that their rescaling gives.

    Values are of unit grey: where the files rescale to Hounsfield units (RescaleType HU, or a CT of none) they are
    those. Slices must be parallel, evenly spaced, and alike in size. Of each header only what is needed is read: no
    patient's name or number gets anywhere.

    Parameters
    ----------
    path : Path
        The folder of a series, or one file of a single slice.
    series : int
        Number of the series (SeriesNumber) where a folder holds several; -1: the only one.

    Raises
    ------
    UsageError
        When there are several series and none is named.
    DataError
        When slices are missing, unevenly spaced or differ in size.
    UnavailableError
        When pydicom is not installed, or lacks what decodes the pixels.
    """
    chosen = _chosen(path, series)
    slices = _ordered(chosen, path)
    first = slices[0].told
    header, per_slice = _header(slices, path)

    @contextmanager
    def open_() -> Iterator[Stack]:
        yield Stack(header, _slabs(slices, header, per_slice)).restored()

    shown = header if header.scaling is None else header.replace(dtype="<f4", scaling=None)
    facts: dict[str, Fact] = {"modality": str(first.get("Modality", "")), "slices": len(slices)}
    if kind := str(first.get("RescaleType", "") or ""):
        facts["rescale_type"] = kind
    if model := str(first.get("ManufacturerModelName", "") or ""):
        facts["scanner"] = model
    return Scan(
        kind="dicom",
        name=path.name,
        files=tuple(one.path for one in slices),
        stack=Source(shown, open_),
        facts=facts,
        notes=() if None not in header.spacing else ("no slice spacing: give --voxel-size in mm",),
    )


def _is_dicom(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            file.seek(AT)
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False


def _chosen(path: Path, series: int) -> list[tuple[Path, Any]]:
    """Files and headers of one series."""
    try:
        files = sorted(one for one in path.iterdir() if _is_dicom(one)) if path.is_dir() else [path]
    except OSError as error:
        raise reading.failure(path, error) from error
    found: dict[tuple[int, str], list[tuple[Path, Any]]] = defaultdict(list)
    for one in files:
        told = _told(one)
        if _is_image(one, told):
            found[int(told.get("SeriesNumber") or 0), str(told.get("SeriesInstanceUID", ""))].append((one, told))
    if not found:
        raise DataError(f"{path}: holds no DICOM file with an image")
    named = [key for key in found if series in (-1, key[0])]
    if not named:
        raise MissingInputError(f"{path}: holds no series {series}; there are {_numbers(found)}")
    if len(named) > 1:
        raise UsageError(f"{path}: holds series {_numbers(found)}; give one: dicom(series={named[0][0]})")
    return found[named[0]]


def _is_image(path: Path, told: Any) -> bool:
    """Whether a file holds a slice; a header that stops before it says so is damaged."""
    if "Rows" in told:
        return True
    meta = getattr(told, "file_meta", {})
    if told.get("Modality") in NO_IMAGES or str(meta.get("MediaStorageSOPClassUID", "")) == INDEX:
        return False
    raise DataError(f"{path}: is damaged DICOM: its header ends before the size of the image; copy it again")


def _numbers(found: dict[tuple[int, str], list[tuple[Path, Any]]]) -> str:
    return ", ".join(f"{number} ({len(files)} slices)" for (number, _), files in sorted(found.items()))


def _told(path: Path) -> Any:
    try:
        import pydicom
    except ImportError:
        raise UnavailableError(
            f"{path}: is DICOM, and pydicom is not installed: pip install 'bonectl[dicom]'"
        ) from None
    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS))
    except OSError as error:
        raise reading.failure(path, error) from error
    except Exception as error:  # pydicom raises nearly everything on a damaged file
        raise DataError(f"{path}: is damaged DICOM ({error})") from error


def _ordered(chosen: Sequence[tuple[Path, Any]], where: Path) -> list[_Slice]:
    """By their places along the stack's normal, else by their numbers."""
    try:
        if all("ImagePositionPatient" in told and "ImageOrientationPatient" in told for _, told in chosen):
            way = np.array(chosen[0][1].ImageOrientationPatient, dtype=float)
            normal = np.cross(way[:3], way[3:])
            slices = [_Slice(p, t, float(np.dot(normal, np.array(t.ImagePositionPatient, float)))) for p, t in chosen]
            if any(np.abs(np.array(one.told.ImageOrientationPatient, float) - way).max() > 1e-3 for one in slices):
                raise DataError(f"{where}: its slices are not parallel")
        else:
            slices = [_Slice(p, t, float(t.get("InstanceNumber") or 0)) for p, t in chosen]
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: is damaged DICOM: where its slices lie cannot be read ({error})") from error
    slices.sort(key=lambda one: one.place)
    steps = np.diff([one.place for one in slices])
    if steps.size:
        usual = float(np.median(steps))
        if usual <= 0 or (odd := np.flatnonzero(np.abs(steps - usual) > UNEVEN * max(usual, 1e-9))).size:
            at = int(odd[0]) if usual > 0 else int(np.flatnonzero(steps <= 0)[0])
            one, other = slices[at].path.name, slices[at + 1].path.name
            raise DataError(f"{where}: slices are missing or doubled between {one} and {other}; steps must be even")
    return slices


def _header(slices: Sequence[_Slice], where: Path) -> tuple[Header, bool]:
    """The header, and whether each slice has a rescaling of its own."""
    first = slices[0].told
    alike = ("Rows", "Columns", "BitsAllocated", "PixelRepresentation")
    for one in slices[1:]:
        for tag in alike:
            if one.told.get(tag) != first.get(tag):
                raise DataError(f"{where}: {one.path.name} has {tag} {one.told.get(tag)}, others {first.get(tag)}")
    if int(first.get("SamplesPerPixel") or 1) != 1 or int(first.get("NumberOfFrames") or 1) != 1:
        raise DataError(f"{where}: files of one grey slice each are needed; {slices[0].path.name} holds more")
    bits, sign = int(first.get("BitsAllocated") or 16), "i" if int(first.get("PixelRepresentation") or 0) else "u"
    if bits not in (8, 16, 32):
        raise DataError(f"{where}: values of {bits} bits; 8, 16 or 32 are needed")
    laws = {_law(one.told) for one in slices}
    own, law = len(laws) > 1, next(iter(laws))
    rows = first.get("PixelSpacing") or (None, None)
    sides = [None if side is None else float(side) for side in rows]
    header = Header(
        shape=(len(slices), int(first.Rows), int(first.Columns)),
        dtype="<f4" if own else f"{'|' if bits == 8 else '<'}{sign}{bits // 8}",
        spacing=(_step(slices), sides[0], sides[1]),
        unit="grey",
        scaling=None if own or law == (1.0, 0.0) else law,
        acquisition=_exposure(first),
    )
    return header, own


def _law(told: Any) -> tuple[float, float]:
    slope, intercept = (told.get(f"Rescale{word}") for word in ("Slope", "Intercept"))
    return (1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept))


def _step(slices: Sequence[_Slice]) -> float | None:
    """Between slices [mm]: of their places, else as the header says."""
    first = slices[0].told
    if len(slices) > 1 and "ImagePositionPatient" in first:
        return float(np.median(np.diff([one.place for one in slices])))
    told = first.get("SpacingBetweenSlices") or first.get("SliceThickness")
    return float(told) if told else None


def _exposure(told: Any) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    if told.get("KVP"):
        facts["kvp"] = float(told.KVP)
    if told.get("ConvolutionKernel"):
        kernel = told.ConvolutionKernel
        facts["kernel"] = kernel if isinstance(kernel, str) else "/".join(map(str, kernel))
    return facts


def _slabs(slices: Sequence[_Slice], header: Header, per_slice: bool) -> Iterator[Array]:
    import pydicom

    for one in slices:
        try:
            pixels = pydicom.dcmread(one.path).pixel_array
        except OSError as error:
            raise reading.failure(one.path, error) from error
        except Exception as error:  # a missing decoder and damaged bytes are told by many classes
            if "decod" in str(error) or "plugin" in str(error):
                raise UnavailableError(f"{one.path}: {str(error).splitlines()[0]}") from error
            raise DataError(f"{one.path}: its pixels cannot be read ({str(error).splitlines()[0]})") from error
        if pixels.shape != header.shape[1:]:
            raise DataError(f"{one.path}: holds pixels of shape {pixels.shape}, its header says {header.shape[1:]}")
        if per_slice:
            slope, intercept = _law(one.told)
            pixels = pixels * slope + intercept
        yield np.ascontiguousarray(pixels[None], dtype=header.dtype)
