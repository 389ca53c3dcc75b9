"""NRRD: a text header before the values, or in a file of its own, as 3D Slicer, ITK and Teem write it.

Written with values as they are, in bounded memory, by files and pipes alike. The voxel size stands in ``space
directions`` with ``space units`` in mm; the bonectl header is the key ``bonectl``, which survives a save by programs
that keep keys. No orientation in a body is claimed.

Read are values as they are (``raw``) or compressed (``gzip``), of either byte order, attached or in the file that a
``.nhdr`` names. The voxel size comes from ``space directions`` with ``space units``, else from ``spacings`` with
``units``; where no unit stands, mm is taken, as other programs do, which is said unless the header names an anatomical
space. Values are in the order in which they are stored; ``orientation`` in `bonectl info` says where their axes run.

Source: the definition of the NRRD file format (teem.sourceforge.net/nrrd/format.html).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import isfinite, nan, sqrt
from typing import BinaryIO, cast

import numpy as np

from bonectl.core import arrival, progress
from bonectl.core.header import Fact, Header
from bonectl.core.lengths import PartialSpacing
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.io import _json, _raw
from bonectl.io._inflated import Inflated
from bonectl.io._space import MILLIMETRES, UNKNOWN, length, orientation

TITLE = "NRRD"
SUFFIXES = (".nrrd",)
BEGINS = (b"NRRD000",)

_TYPES: Mapping[str, tuple[str, ...]] = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
"""Words of the format by numpy's, the one that is written last but for its alias with _t."""

_OLD_NAMES = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip"}
_SPACES = {"right-anterior-superior": "RAS", "left-anterior-superior": "LAS", "left-posterior-superior": "LPS"}


@dataclass(frozen=True)
class _Form:
    """How the values lie.

    Parameters
    ----------
    shape : tuple of int, (z, y, x)
    stored : str
        Their type with its byte order.
    packed : bool
        Whether they are compressed.
    data : str
        The file that holds them; empty where they follow the header.
    lines, bytes : int
        What is skipped before them; -1 byte: whatever there is before the last ones.
    """

    shape: tuple[int, int, int]
    stored: str
    packed: bool
    data: str
    lines: int
    bytes: int


def read(file: BinaryIO, name: str) -> Stack:
    """A stack from the bytes of a NRRD file or stream.

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
    UsageError
        When the values are in another file, to which a pipe does not lead.
    """
    fields, own = _fields(_raw.lines(file, name, last=""), name)
    form = _form(fields, name)
    dtype = np.dtype(form.stored).newbyteorder("<").str
    spacing = partial(_spacing, fields, len(_numbers(fields, "sizes", name)), name)
    header = None if own is None else _json.kept(_json.loaded(own, name), form.shape, dtype, name, spacing)
    if header is None:
        header = Header(shape=form.shape, dtype=dtype, spacing=spacing(), acquisition=_facts(fields))

    def values(where: BinaryIO, called: str) -> Stack:
        return _raw.stack(_values(where, form, header, called), form.stored, header, called)

    return _raw.detached(file, form.data, name, values) if form.data else values(file, name)


def write(stack: Stack, file: BinaryIO) -> None:
    """Write a stack front to back; the last slab goes out after everything before it has succeeded.

    Raises
    ------
    UsageError
        When NRRD has no such type: float16.
    OSError
        As `file` raises it.
    """
    header = stack.header
    kind = "u1" if header.dtype == "|b1" else header.dtype[1:]
    if kind not in _TYPES:
        raise UsageError(f"NRRD holds no {np.dtype(header.dtype).name}; give --dtype float32, or another format")
    own = _json.whole(header, np.dtype(f"<{kind}").str).replace("\\", "\\\\")
    word = next(word for word in reversed(_TYPES[kind]) if not word.endswith("_t"))
    lines = ["NRRD0005", f"type: {word}", "dimension: 3", *_placed(header.spacing), "endian: little", "encoding: raw"]
    lines.insert(3, f"sizes: {' '.join(map(str, reversed(header.shape)))}")
    _raw.write("\n".join([*lines, f"bonectl:={own}", "", ""]).encode("ascii"), stack, file)


def _placed(spacing: PartialSpacing) -> Iterator[str]:
    """Lines of the voxel size: directions where all steps are known, as most readers want them."""
    steps = [*reversed(spacing)]
    if all(steps):
        vectors = (
            f"({','.join(repr(step) if k == place else '0' for k in range(3))})" for place, step in enumerate(steps)
        )
        yield from ("space dimension: 3", f"space directions: {' '.join(vectors)}", 'space units: "mm" "mm" "mm"')
    elif any(steps):
        yield f"spacings: {' '.join('nan' if step is None else repr(step) for step in steps)}"
        words = ('""' if step is None else '"mm"' for step in steps)
        yield f"units: {' '.join(words)}"
    yield "kinds: domain domain domain"


def _fields(lines: list[str], name: str) -> tuple[dict[str, str], str | None]:
    """Fields by their names in lower case, and our own header where there is one."""
    fields: dict[str, str] = {}
    own = None
    for number, line in enumerate(lines[1:], 2):
        if not line or line.startswith("#"):
            continue
        key, sign, value = line.partition(":")
        if not sign:
            raise DataError(f"{name}: line {number} of its header is no field ({line[:40]!a}); re-copy the file")
        if value.startswith("="):
            own = _unescaped(value[1:]) if key == "bonectl" else own
            continue
        word = key.strip().lower()
        fields[_OLD_NAMES.get(word, word)] = value.strip()
    return fields, own


def _unescaped(text: str) -> str:
    return re.sub(r"\\(n|\\)", lambda found: "\n" if found[1] == "n" else "\\", text)


def _form(fields: Mapping[str, str], name: str) -> _Form:
    missing = [field for field in ("type", "dimension", "encoding", "sizes") if field not in fields]
    if missing:
        raise DataError(f"{name}: its header has no {missing[0]}; it is damaged, or cut short")
    sizes = _numbers(fields, "sizes", name)
    if [len(sizes)] != _numbers(fields, "dimension", name):
        raise DataError(f"{name}: its header has {len(sizes)} sizes for a dimension of {fields['dimension'][:20]!a}")
    encoding = fields["encoding"].lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise DataError(f"{name}: its encoding {encoding[:20]!a} cannot be read; save it as raw or gzip")
    data = fields.get("data file", "")
    if data.split(" ")[0] == "LIST" or "%" in data:
        raise DataError(f"{name}: its values lie in several files; save it as one")
    skips = [_numbers(fields, f"{unit} skip", name) if f"{unit} skip" in fields else [0] for unit in ("line", "byte")]
    (lines,), (count,) = skips if [len(skip) for skip in skips] == [1, 1] else ([-1], [-2])
    if lines < 0 or count < -1 or (count == -1 and encoding != "raw"):
        raise DataError(f"{name}: line skip and byte skip of its header cannot be followed")
    return _Form(_raw.shape(sizes, name), _stored(fields, name), encoding != "raw", data, lines, count)


def _stored(fields: Mapping[str, str], name: str) -> str:
    word = " ".join(fields["type"].lower().split())
    kind = next((kind for kind, words in _TYPES.items() if word in words), None)
    if kind is None:
        raise DataError(f"{name}: values of type {word[:40]!a} cannot be used; one whole or floating number is needed")
    if kind[1] == "1":
        return f"|{kind}"
    order = {"little": "<", "big": ">"}.get(fields.get("endian", "").lower())
    if order is None:
        raise DataError(f"{name}: its header does not tell the byte order (endian: little or big)")
    return f"{order}{kind}"


def _numbers(fields: Mapping[str, str], field: str, name: str) -> list[int]:
    words = fields[field].split()
    if not words or not all(re.fullmatch(r"-?\d{1,18}", word, re.ASCII) for word in words):
        raise DataError(f"{name}: cannot read {field} in its header ({fields[field][:40]!a})")
    return [int(word) for word in words]


def _values(file: BinaryIO, form: _Form, header: Header, name: str) -> BinaryIO:
    """The file at its first value."""
    for _ in range(form.lines):
        if not _raw.line(file, name):
            raise DataError(f"{name}: ends before the lines that its header says to skip")
    if form.packed:
        file = cast(BinaryIO, Inflated(file))
    if form.bytes == -1:
        size = arrival.regular_size(file)
        if size is None:
            raise DataError(
                f"{name}: its values are the last bytes of a file (byte skip: -1), which a pipe does not tell"
            )
        file.seek(max(file.tell(), size - header.total_bytes))
    elif len(_raw.received(file, form.bytes, name)) < form.bytes:
        raise DataError(f"{name}: ends before its values; re-copy the file")
    return file


def _spacing(fields: Mapping[str, str], axes: int, name: str) -> PartialSpacing:
    """(z, y, x) in mm; None where unknown."""
    if directions := _directions(fields):
        steps = [nan if vector is None else sqrt(sum(step * step for step in vector)) for vector in directions]
        units = {*re.findall(r'"([^"]*)"', fields.get("space units", ""))} or {""}
        if len(units) > 1:
            progress.note(f"{name}: its axes have different units, so its voxel size is unknown; give --voxel-size")
            return UNKNOWN
        words = [units.pop()] * len(steps)
        is_told = fields.get("space", "").lower() in (*_SPACES, *_SPACES.values())
    else:
        steps = [_float(word) for word in fields.get("spacings", "").split()]
        words, is_told = re.findall(r'"([^"]*)"', fields.get("units", "")) or [""] * len(steps), False
    scales = [1.0 if not word else MILLIMETRES.get(word.strip().lower()) for word in words]
    if steps and not any(words) and any(map(isfinite, steps)) and not is_told:
        progress.note(f"{name}: its voxel size has no unit; mm is taken")
    found = [None if scale is None else length(step * scale) for step, scale in zip(steps, scales, strict=False)]
    x, y, z = (*found, None, None, None)[:3]
    return (z, y, x) if len(found) == axes else UNKNOWN


def _directions(fields: Mapping[str, str]) -> list[list[float] | None]:
    """The step along each axis as a vector; None for an axis without one."""
    found = re.findall(r"none|\(([^()]*)\)", fields.get("space directions", ""))
    return [[_float(word) for word in text.split(",")] if text else None for text in found]


def _float(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return nan


def _facts(fields: Mapping[str, str]) -> dict[str, Fact]:
    """Where the axes run to, where the header tells."""
    word = fields.get("space", "").lower()
    space = _SPACES.get(word, word.upper() if word.upper() in _SPACES.values() else "")
    axes = [axis for axis in _directions(fields) if axis is not None and len(axis) == 3 and all(map(isfinite, axis))]
    return {"orientation": orientation(axes, space)} if space and len(axes) == 3 else {}
