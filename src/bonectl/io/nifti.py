"""NIfTI: a header of 348 bytes (NIfTI-1) or 540 (NIfTI-2) and the values, as programs for medical images write it.

Written with values as they are, in bounded memory, by files and pipes alike; NIfTI-2 where an axis is longer than
32,767. The voxel size is in mm. The bonectl header is an extension of the kind comment (6), which other programs keep
or pass over. No orientation in a body is claimed: both transforms are of code 0.

Read are files with header and values in one (``n+1``, ``n+2``), of either byte order. The voxel size is that of
``pixdim`` in the unit of ``xyzt_units`` (m, mm or µm); where that is unknown mm is taken, which is said. The straight
line of ``scl_slope`` and ``scl_inter`` is applied. Values are in the order in which they are stored; ``orientation`` in
`bonectl info` says where their axes run (``RAS``: x to the right, y to the front, z to the head), by the sform, else
the qform.

Source: nifti1.h and nifti2.h (nifti.nimh.nih.gov).
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite, sqrt
from typing import Any, BinaryIO

import numpy as np

from bonectl.core import progress
from bonectl.core.header import Fact, Header
from bonectl.core.lengths import PartialSpacing
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.io import _json, _raw
from bonectl.io._space import UNKNOWN, length, orientation

TITLE = "NIfTI"
SUFFIXES = (".nii",)
BEGINS = (b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c", b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c")

_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_CODES = {kind: code for code, kind in _TYPES.items()}

# Millimetres in the units of length (NIFTI_UNITS_METER, _MM, _MICRON).
_UNITS = {1: 1000.0, 2: 1.0, 3: 1e-3}
_MM = 2

_COMMENT = 6
_MARK = b"bonectl="
_MOST_EXTENSIONS = 64 << 20


@dataclass(frozen=True)
class _Layout:
    """Where the fields of a header stand: byte and form by name.

    Parameters
    ----------
    size : int
        Of the header [byte].
    magic : bytes
        Of a file that holds the values too.
    digits : int
        That a length is good for.
    fields : mapping
    """

    size: int
    magic: bytes
    digits: int
    fields: Mapping[str, tuple[int, str]]

    def unpacked(self, head: bytes, order: str) -> dict[str, Any]:
        """The fields of a header: a number where there is one, else a tuple."""
        found = {name: struct.unpack_from(order + form, head, at) for name, (at, form) in self.fields.items()}
        return {name: values[0] if len(values) == 1 else values for name, values in found.items()}

    def packed(self, values: Mapping[str, Any]) -> bytes:
        """A little-endian header with these fields, zero elsewhere."""
        head = bytearray(self.size)
        for name, value in ({"sizeof_hdr": self.size, "magic": self.magic} | dict(values)).items():
            at, form = self.fields[name]
            struct.pack_into("<" + form, head, at, *(value if isinstance(value, tuple | list) else (value,)))
        return bytes(head)


_ONE = _Layout(348, b"n+1\0", 7, {
    "sizeof_hdr": (0, "i"), "dim": (40, "8h"), "datatype": (70, "h"), "bitpix": (72, "h"), "pixdim": (76, "8f"),
    "vox_offset": (108, "f"), "scl_slope": (112, "f"), "scl_inter": (116, "f"), "xyzt_units": (123, "B"),
    "qform_code": (252, "h"), "sform_code": (254, "h"), "quatern": (256, "3f"), "srow": (280, "12f"),
    "magic": (344, "4s"),
})  # fmt: skip
_TWO = _Layout(540, b"n+2\0\r\n\032\n", 12, {
    "sizeof_hdr": (0, "i"), "magic": (4, "8s"), "datatype": (12, "h"), "bitpix": (14, "h"), "dim": (16, "8q"),
    "pixdim": (104, "8d"), "vox_offset": (168, "q"), "scl_slope": (176, "d"), "scl_inter": (184, "d"),
    "qform_code": (344, "i"), "sform_code": (348, "i"), "quatern": (352, "3d"), "srow": (400, "12d"),
    "xyzt_units": (500, "i"),
})  # fmt: skip


def read(file: BinaryIO, name: str) -> Stack:
    """A stack from the bytes of a NIfTI file or stream.

    Parameters
    ----------
    file : binary file
        At its first byte; need not be seekable.
    name : str
        How messages call it.

    Raises
    ------
    DataError
        When the header cannot be read or the values are fewer or more than it promises.
    """
    layout, told, order = _head(file, name)
    shape, stored = _shape(told, name), _stored(told, order, name)
    own = _own(file, layout, told, order, name)
    dtype = np.dtype(stored).newbyteorder("<").str
    spacing = partial(_spacing, told, layout, name)
    header = None if own is None else _json.kept(_json.loaded(own, name), shape, dtype, name, spacing)
    if header is not None and header.scaling is not None:
        return _raw.stack(file, stored, header, name)
    if header is None:
        header = Header(shape=shape, dtype=dtype, spacing=spacing(), acquisition=_facts(told))
    return _raw.scaled(_raw.stack(file, stored, header, name), float(told["scl_slope"]), float(told["scl_inter"]))


def write(stack: Stack, file: BinaryIO) -> None:
    """Write a stack front to back; the last slab goes out after everything before it has succeeded.

    Raises
    ------
    UsageError
        When NIfTI has no such type: float16.
    OSError
        As `file` raises it.
    """
    _raw.write(preamble(stack.header), stack, file)


def preamble(header: Header) -> bytes:
    """Everything before the first value; raises UsageError as `write`."""
    kind = "u1" if header.dtype == "|b1" else header.dtype[1:]
    if kind not in _CODES:
        raise UsageError(f"NIfTI holds no {np.dtype(header.dtype).name}; give --dtype float32, or another format")
    text = _MARK + _json.whole(header, np.dtype(f"<{kind}").str).encode("ascii")
    size = -(-(8 + len(text)) // 16) * 16
    layout = _ONE if max(header.shape) < 1 << 15 else _TWO
    steps = [1.0 if step is None else step for step in reversed(header.spacing)]
    slope, intercept = header.scaling or (1.0, 0.0)
    head = layout.packed(
        {
            "dim": (3, *reversed(header.shape), 1, 1, 1, 1),
            "datatype": _CODES[kind],
            "bitpix": 8 * header.item_bytes,
            "pixdim": (1.0, *steps, 0.0, 0.0, 0.0, 0.0),
            "vox_offset": layout.size + 4 + size,
            "scl_slope": slope,
            "scl_inter": intercept,
            "xyzt_units": _MM if all(header.spacing) else 0,
        }
    )
    return head + b"\1\0\0\0" + struct.pack("<ii", size, _COMMENT) + text.ljust(size - 8, b"\0")


def _head(file: BinaryIO, name: str) -> tuple[_Layout, dict[str, Any], str]:
    """The form of a header, its fields, and their byte order."""
    head = bytes(_raw.received(file, _ONE.size, name))
    order = next((order for order in "<>" if head[:4] in (struct.pack(order + "i", size) for size in (348, 540))), None)
    if order is None:
        raise DataError(f"{name}: is no NIfTI file, or cut short in its first bytes")
    layout = _ONE if struct.unpack(order + "i", head[:4]) == (348,) else _TWO
    head += bytes(_raw.received(file, layout.size - _ONE.size, name))
    if len(head) < layout.size:
        raise DataError(f"{name}: ends inside its header; re-copy the file")
    told = layout.unpacked(head, order)
    if told["magic"] != layout.magic:
        if told["magic"][:3] in (b"ni1", b"ni2"):
            raise DataError(f"{name}: is a header whose values are in another file (.img); save both as one .nii")
        raise DataError(f"{name}: is no NIfTI file: {told['magic']!r} stands where {layout.magic!r} should")
    return layout, told, order


def _shape(told: Mapping[str, Any], name: str) -> tuple[int, int, int]:
    axes, *lengths = told["dim"]
    if not 1 <= axes <= 7:
        raise DataError(f"{name}: its header claims {axes} axes; it is damaged")
    return _raw.shape(lengths[:axes], name)


def _stored(told: Mapping[str, Any], order: str, name: str) -> str:
    kind = _TYPES.get(told["datatype"])
    if kind is None:
        raise DataError(
            f"{name}: values of type {told['datatype']} cannot be used; one whole or floating number is needed"
        )
    return np.dtype(order + kind).str


def _own(file: BinaryIO, layout: _Layout, told: Mapping[str, Any], order: str, name: str) -> str | None:
    """Our header in an extension, where there is one; leaves the file at its first value."""
    offset = float(told["vox_offset"])
    room = (offset if isfinite(offset) else -1) - layout.size
    if offset and not (4 <= room <= _MOST_EXTENSIONS and room == int(room)):
        raise DataError(f"{name}: its values begin at byte {offset:g}, which no header of {layout.size} bytes needs")
    size = max(4, int(room))
    block = bytes(_raw.received(file, size, name))
    if len(block) < size:
        raise DataError(f"{name}: ends before its values; re-copy the file")
    at, found = 4, None
    while block[0] and at + 8 <= len(block):
        length, code = struct.unpack_from(order + "ii", block, at)
        if length < 8 or at + length > len(block):
            raise DataError(f"{name}: an extension of its header is damaged, at byte {layout.size + at}")
        text = block[at + 8 : at + length].rstrip(b"\0")
        if code == _COMMENT and text.startswith(_MARK):
            found = text.removeprefix(_MARK).decode("ascii", "replace")
        at += length
    return found


def _spacing(told: Mapping[str, Any], layout: _Layout, name: str) -> PartialSpacing:
    """(z, y, x) in mm."""
    unit = told["xyzt_units"] & 7
    scale = _UNITS.get(unit, 1.0)
    x, y, z = (length(abs(step) * scale, layout.digits) for step in told["pixdim"][1:4])
    if unit not in _UNITS and any((x, y, z)):
        progress.note(f"{name}: its voxel size has no unit; mm is taken")
    return (z, y, x) if told["dim"][0] > 2 else (UNKNOWN[0], y, x)


def _facts(told: Mapping[str, Any]) -> dict[str, Fact]:
    """Where the axes run to, where the header tells."""
    if told["sform_code"] > 0:
        rows = [told["srow"][at : at + 3] for at in (0, 4, 8)]
    elif told["qform_code"] > 0:
        rows = _rotation(told["quatern"], -1 if told["pixdim"][0] < 0 else 1)
    else:
        return {}
    axes = [*zip(*rows, strict=True)]
    return {"orientation": orientation(axes, "RAS")} if all(isfinite(step) for axis in axes for step in axis) else {}


def _rotation(quaternion: Sequence[float], along: int) -> list[list[float]]:
    """The matrix of a quaternion whose first part is left out (nifti1.h, method 2); `along` turns the last axis."""
    b, c, d = quaternion
    a = sqrt(max(0.0, 1 - b * b - c * c - d * d))
    return [
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), along * 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, along * 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), along * (a * a + d * d - c * c - b * b)],
    ]
