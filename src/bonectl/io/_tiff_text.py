"""What a TIFF's texts and tags say of the stack: pages, voxel size, and our own header."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, nan, prod
from typing import Any
from xml.sax.saxutils import unescape

import numpy as np
import tifffile

from bonectl.core import progress
from bonectl.core.counted import counted
from bonectl.core.header import Header
from bonectl.core.lengths import PartialSpacing
from bonectl.core.slabs import Array
from bonectl.errors import DataError
from bonectl.io import _json
from bonectl.io._space import MILLIMETRES, UNKNOWN, length

# Pixels per inch that image programs write without knowing any: a voxel of 72 per inch would be 0.35 mm.
_SCREENS = (1, 72, 75, 90, 96, 100, 120, 150, 200, 300, 400, 600, 1200)
# Codes of ij.measure.Calibration.
_STRAIGHT, _NONE = "0", "20"
_FOREIGN = ("stk", "lsm", "nih", "fluoview", "indica", "eer", "sem", "fei")


# ImageJ stores signed 16-bit values unsigned, with this straight line (ij.measure.Calibration).
_SIGNED = (-32768.0, 1.0)


@dataclass(frozen=True)
class Law:
    """ImageJ's calibration function of whole numbers without sign: the value that it shows for a stored one.

    Parameters
    ----------
    offset, slope : float
        ``c0`` and ``c1`` of a straight line (``cf=0``).
    unit : str
        What ImageJ calls the value (``vunit``).
    """

    offset: float
    slope: float
    unit: str

    @property
    def is_signed(self) -> bool:
        """Whether this is how ImageJ stores signed 16-bit values."""
        return (self.offset, self.slope) == _SIGNED

    def dtype(self, stored: str) -> str:
        """Type of the values: the shortest of whole numbers that holds them all, else float32."""
        if not (self.offset.is_integer() and self.slope.is_integer()):
            return "<f4"
        ends = [int(self.offset + self.slope * stored) for stored in (0, np.iinfo(stored).max)]
        there = (name for name in _WHOLE if np.iinfo(name).min <= min(ends) and max(ends) <= np.iinfo(name).max)
        return next(there, "<f4")

    def values(self, stored: Array, dtype: str) -> Array:
        """What ImageJ shows."""
        return (self.offset + self.slope * stored.astype(np.float64)).astype(dtype)

    def __str__(self) -> str:
        return f"{self.offset:g} + {self.slope:g} * stored value" + (f" [{self.unit}]" if self.unit else "")


_WHOLE = ("|u1", "|i1", "<u2", "<i2", "<u4", "<i4")


@dataclass(frozen=True)
class Told:
    """What a TIFF says of itself.

    Parameters
    ----------
    pages : int
        Slices promised; 0 when nothing is promised.
    spacing : tuple
        (z, y, x) in mm, None where unknown.
    own : mapping, optional
        Our header, as JSON values.
    edited : bool
        Whether `own` passed through another program, which may have cropped the stack.
    law : Law, optional
        What turns stored values into those that are meant.
    ignored : str
        A calibration function that is not applied, in words; empty where there is none.
    """

    pages: int = 0
    spacing: PartialSpacing = UNKNOWN
    own: Mapping[str, Any] | None = None
    edited: bool = False
    law: Law | None = None
    ignored: str = ""

    def header(self, shape: tuple[int, int, int], dtype: str, name: str) -> Header:
        """The header of a stack of this shape: our own where there is one, else grey values."""
        if self.ignored:
            progress.note(f"{name}: ImageJ's {self.ignored} is not applied; the stored values are read")
        if self.own is None:
            return self._grey(shape, dtype)
        written = self.own.get("shape")
        if written == list(shape):
            return _json.header(self.own, shape, dtype, name)
        if self.edited:
            return _json.kept(self.own, shape, dtype, name) or self._grey(shape, dtype)
        raise DataError(f"{name}: holds {_by(shape)} voxels of a stack of {_by(written)}; read all its files, whole")

    def _grey(self, shape: tuple[int, int, int], dtype: str) -> Header:
        facts = {} if self.law is None else {"imagej_calibration": str(self.law)}
        return Header(shape=shape, dtype=dtype, spacing=self.spacing, acquisition=facts)


def _by(lengths: object) -> str:
    return " × ".join(str(n) for n in lengths) if isinstance(lengths, list | tuple) else str(lengths)


def told(tif: tifffile.TiffFile, name: str) -> Told:
    """Read the descriptions of the first page.

    Raises
    ------
    DataError
        When they announce channels, several series, or another program's private form of stack.
    """
    foreign = [flag for flag in _FOREIGN if getattr(tif, f"is_{flag}", False)]
    if foreign:
        raise DataError(f"{name}: is a {foreign[0].upper()} file; export it as plain TIFF first")
    page = tif.pages[0]
    description = page.description
    if description.startswith("ImageJ="):
        return _from_imagej(tif, page, description, name)
    if description.startswith("{"):
        return _from_shaped(tif, page, description, name)
    if "<OME" in description[:1000]:
        return _from_ome(description, name)
    return Told(spacing=(None, *_resolution(page, None)))


def imagej(header: Header, text: str) -> str:
    """ImageDescription in ImageJ's form."""
    lines = ["ImageJ=1.54f", f"images={header.shape[0]}", f"slices={header.shape[0]}", "loop=false"]
    if any(header.spacing):
        lines.append("unit=mm")
    if header.spacing[0] is not None:
        lines.append(f"spacing={header.spacing[0]!r}")
    return "\n".join([*lines, f"bonectl={_escaped(text)}", ""])


def shaped(header: Header, text: str) -> str:
    """ImageDescription in tifffile's form."""
    return f'{{"shape":{json.dumps(header.shape)},"bonectl":{text}}}'


def _escaped(text: str) -> str:
    """JSON for a Java properties line, where a backslash escapes: written twice."""
    return text.replace("\\", "\\\\")


def _from_imagej(tif: tifffile.TiffFile, page: Any, description: str, name: str) -> Told:
    lines = dict(line.split("=", 1) for line in description.splitlines() if "=" in line)
    counts = {key: _count(lines.get(key, "1"), name) for key in ("channels", "slices", "frames")}
    slices = _along_one(counts, name)
    pages = _count(lines.get("images", str(slices)), name)
    if slices not in (1, pages):
        raise DataError(f"{name}: announces {counted(pages, 'image')}, but {counted(slices, 'slice')}")
    if "bonectl" in lines:
        return Told(pages, UNKNOWN, _json.loaded(lines["bonectl"].replace("\\\\", "\\"), name))
    spacing = _imagej_spacing(page, lines)
    info = str((tif.imagej_metadata or {}).get("Info", ""))
    own = [line.partition("=")[2] for line in info.splitlines() if line.startswith("bonectl=")]
    law, ignored = _law(lines, page, is_ours=bool(own))
    if own:
        return Told(pages, spacing, _json.loaded(own[0], name), edited=True, law=law, ignored=ignored)
    return Told(pages, spacing, law=law, ignored=ignored)


def _law(lines: Mapping[str, str], page: Any, *, is_ours: bool) -> tuple[Law | None, str]:
    """ImageJ's calibration function, or in words what of it is not applied.

    Straight lines of whole numbers without sign are, as in ImageJ; of our own stacks, whose header says what values
    are, only the one that stands for signed numbers.
    """
    kind = lines.get("cf", "").strip()
    if kind in ("", _NONE):
        return None, ""
    try:
        law = Law(float(lines["c0"]), float(lines["c1"]), _spoken(lines.get("vunit", "")))
    except (KeyError, ValueError):
        law = Law(nan, nan, "")
    if (law.offset, law.slope) == (0, 1) and kind == _STRAIGHT:
        return None, ""
    if kind != _STRAIGHT or not isfinite(law.offset) or not isfinite(law.slope) or law.slope == 0:
        return None, f"calibration function {kind[:4]!a}, which is no straight line,"
    if abs(law.offset) + abs(law.slope) * 0xFFFF > float(np.finfo(np.float32).max):
        return None, f"calibration {law}, beyond float32,"
    if page.dtype.kind != "u" or page.dtype.itemsize > 2 or (is_ours and not law.is_signed):
        return None, f"calibration {law}"
    return law, ""


def _spoken(unit: str) -> str:
    return "".join(letter for letter in unit.strip()[:40] if letter.isprintable())


def _imagej_spacing(page: Any, lines: Mapping[str, str]) -> PartialSpacing:
    unit = lines.get("unit", "").strip()
    scale = MILLIMETRES.get(unit.lower())
    if scale is None:
        return UNKNOWN if unit else (None, *_resolution(page, None))
    try:
        depth = abs(float(lines["spacing"])) * scale
    except (KeyError, ValueError):
        depth = 0.0
    return (length(depth), *_resolution(page, scale))


def _from_shaped(tif: tifffile.TiffFile, page: Any, description: str, name: str) -> Told:
    try:
        value = json.loads(description)
    except (ValueError, RecursionError):
        return Told(spacing=(None, *_resolution(page, None)))  # a description of somebody else's
    shape = value.get("shape")
    if not isinstance(shape, list) or not all(isinstance(n, int) and n > 0 for n in shape):
        return Told(spacing=(None, *_resolution(page, None)))
    again = [k for k in range(1, len(tif.pages)) if '"shape"' in (_text(tif, k) or "")]
    if again:
        raise DataError(f"{name}: holds several series (the second begins at page {again[0]}); save each as a file")
    pages, left = divmod(prod(shape), prod(page.shape))
    if left:
        raise DataError(f"{name}: announces the shape {tuple(shape)}, but its pages are {page.shape}")
    own = value.get("bonectl")
    spacing: PartialSpacing = (None, *_resolution(page, None))
    return Told(pages, spacing, _json.loaded(json.dumps(own), name) if isinstance(own, dict) else None)


def _text(tif: tifffile.TiffFile, index: int) -> str | None:
    return getattr(tif.pages[index], "description", None)


def _from_ome(description: str, name: str) -> Told:
    pixels = re.findall(r"<(?:\w+:)?Pixels\b([^>]*)>", description)
    if len(pixels) != 1:
        raise DataError(f"{name}: holds {len(pixels)} OME images; save each as a file")
    said = dict(re.findall(r"(\w+)\s*=\s*\"([^\"]*)\"", pixels[0]))
    slices = _along_one({key: _count(said.get(f"Size{key}", "1"), name) for key in "ZCT"}, name)
    spacing: PartialSpacing = (_ome_length(said, "Z"), _ome_length(said, "Y"), _ome_length(said, "X"))
    own = re.search(r'Namespace="bonectl"[^>]*>\s*<(?:\w+:)?Value>([^<]*)</', description)
    if own is None:
        return Told(slices, spacing)
    return Told(slices, spacing, _json.loaded(unescape(own[1]), name), edited=True)


def _along_one(counts: Mapping[str, int], name: str) -> int:
    """The length of the one axis that is longer than 1: many programs call slices channels, or frames."""
    longer = [count for count in counts.values() if count > 1]
    if len(longer) > 1:
        said = ", ".join(f"{count} {key}" for key, count in counts.items())
        raise DataError(f"{name}: has {said}; a stack has one such axis, its slices")
    return longer[0] if longer else 1


def _ome_length(said: Mapping[str, str], axis: str) -> float | None:
    unit = said.get(f"PhysicalSize{axis}Unit", "µm")  # the default of the OME schema
    scale = MILLIMETRES.get(unit.replace("&#181;", "µ"), 0.0)
    try:
        return length(float(said[f"PhysicalSize{axis}"]) * scale)
    except (KeyError, ValueError):
        return None


def _resolution(page: Any, scale: float | None) -> tuple[float | None, float | None]:
    """(y, x) in mm from the resolution tags; `scale` is the mm of their unit, None to take the tag's own."""
    is_own = scale is None
    if scale is None:
        unit = page.tags.valueof(296, 2)
        scale = {2: 25.4, 3: 10.0}.get(int(unit))
        if scale is None:
            return None, None
    found = []
    for code in (283, 282):
        over, under = page.tags.valueof(code, (0, 1))
        per = over / under if under else 0.0
        is_screen = is_own and any(abs(per * 25.4 / scale - screen) < 0.6 for screen in _SCREENS)
        found.append(None if per <= 0 or is_screen else length(scale / per))
    return found[0], found[1]


def _count(text: str, name: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text) > 0):
        raise DataError(f"{name}: announces {text[:20]!a} images")
    return int(text)
