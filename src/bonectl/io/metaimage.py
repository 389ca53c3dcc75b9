"""MetaImage: a text header before the values (``.mha``), or in a file of its own (``.mhd``), as ITK writes it.

Written with values as they are, in bounded memory, by files and pipes alike, under the name of an ``.mha``. The voxel
size is in mm. The bonectl header stands in keys of its own, ``bonectl0``, ``bonectl1`` ..., which other programs pass
over. No orientation in a body is claimed.

Read are values as they are or compressed, of either byte order, in the same file or in the one that an ``.mhd`` names.
Lengths are in mm, as ITK takes them, unless ``DistanceUnits`` says otherwise. A straight line of
``ElementToIntensityFunction`` is applied. Values are in the order in which they are stored; ``orientation`` in
`bonectl info` says where their axes run.

Source: the documentation and source of MetaIO (itk.org/Wiki/MetaIO/Documentation; Kitware/MetaIO, metaTypes.h).
"""

from collections.abc import Iterator, Mapping
from functools import partial
from math import isfinite
from typing import BinaryIO, cast

import numpy as np

from bonectl.core import arrival, progress
from bonectl.core.header import Fact, Header
from bonectl.core.lengths import PartialSpacing
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.io import _json, _raw
from bonectl.io._inflated import Inflated
from bonectl.io._space import MILLIMETRES, OPPOSITE, UNKNOWN, length, orientation

TITLE = "MetaImage"
SUFFIXES = (".mha",)
BEGINS = (b"ObjectType", b"NDims", b"Comment")

_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip
"""numpy's words for those of MetaIO, whose LONG is of 4 bytes on every machine."""

_WORDS = {kind: word for word, kind in _TYPES.items() if not word.endswith("LONG")} | {
    "i8": "MET_LONG_LONG",
    "u8": "MET_ULONG_LONG",
}

# Characters of our header in one line: MetaIO reads lines of up to 1,024 that it does not know.
_PIECE = 400


def read(file: BinaryIO, name: str) -> Stack:
    """A stack from the bytes of a MetaImage file or stream.

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
    fields = _fields(_raw.lines(file, name, last="ElementDataFile"), name)
    shape, stored = _raw.shape(_sizes(fields, name), name), _stored(fields, name)
    dtype = np.dtype(stored).newbyteorder("<").str
    own = "".join(text for text in _pieces(fields))
    told = partial(_spacing, fields, name)
    header = _json.kept(_json.loaded(own, name), shape, dtype, name, told) if own else None
    if header is None:
        header = Header(shape=shape, dtype=dtype, spacing=told(), acquisition=_facts(fields, name))

    def values(where: BinaryIO, called: str) -> Stack:
        return _raw.stack(_values(where, fields, header, called), stored, header, called)

    data = fields["ElementDataFile"]
    stack = values(file, name) if data.upper() == "LOCAL" else _raw.detached(file, data, name, values)
    if own and header.scaling is not None:
        return stack
    slope, intercept = (_number(fields, f"ElementToIntensityFunction{key}", name) for key in ("Slope", "Offset"))
    return _raw.scaled(stack, 1.0 if slope is None else slope, intercept or 0.0)


def write(stack: Stack, file: BinaryIO) -> None:
    """Write a stack front to back; the last slab goes out after everything before it has succeeded.

    Raises
    ------
    UsageError
        When MetaImage has no such type: float16.
    OSError
        As `file` raises it.
    """
    header = stack.header
    kind = "u1" if header.dtype == "|b1" else header.dtype[1:]
    if kind not in _WORDS:
        raise UsageError(f"MetaImage holds no {np.dtype(header.dtype).name}; give --dtype float32, or another format")
    own = _json.whole(header, np.dtype(f"<{kind}").str)
    lines = ["ObjectType = Image", "NDims = 3", "BinaryData = True", "BinaryDataByteOrderMSB = False"]
    lines += ["CompressedData = False", f"DimSize = {' '.join(map(str, reversed(header.shape)))}"]
    if all(header.spacing):
        lines.append(f"ElementSpacing = {' '.join(map(repr, reversed(header.spacing)))}")
    if header.scaling is not None:
        slope, intercept = header.scaling
        lines += [f"ElementToIntensityFunctionSlope = {slope!r}", f"ElementToIntensityFunctionOffset = {intercept!r}"]
    lines += [f"bonectl{at // _PIECE} = {own[at : at + _PIECE]}" for at in range(0, len(own), _PIECE)]
    lines += [f"ElementType = {_WORDS[kind]}", "ElementDataFile = LOCAL", ""]
    _raw.write("\n".join(lines).encode("ascii"), stack, file)


def _fields(lines: list[str], name: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        key, sign, value = line.partition("=")
        if line.strip() and not sign:
            raise DataError(f"{name}: line {number} of its header is no key = value ({line[:40]!a}); re-copy the file")
        # our own pieces may begin or end with a blank
        fields[key.strip()] = value[1:] if key.startswith("bonectl") else value.strip()
    missing = [key for key in ("DimSize", "ElementType", "ElementDataFile") if key not in fields]
    if missing:
        raise DataError(f"{name}: its header has no {missing[0]}; it is damaged, or cut short")
    if fields.get("ObjectType", "Image").lower() != "image":
        raise DataError(f"{name}: holds a MetaIO {fields['ObjectType'][:20]!a}; an Image is needed")
    if fields["ElementDataFile"].split(" ")[0] == "LIST" or "%" in fields["ElementDataFile"]:
        raise DataError(f"{name}: its values lie in several files; save it as one")
    if fields.get("BinaryData", "True").lower() not in ("true", "1"):
        raise DataError(f"{name}: its values are text (BinaryData = False); save it in binary")
    if fields.get("ElementNumberOfChannels", "1") != "1":
        raise DataError(f"{name}: has {fields['ElementNumberOfChannels'][:20]!a} channels; one grey channel is needed")
    return fields


def _pieces(fields: Mapping[str, str]) -> Iterator[str]:
    number = 0
    while (piece := fields.get(f"bonectl{number}")) is not None:
        yield piece
        number += 1


def _sizes(fields: Mapping[str, str], name: str) -> list[str]:
    words = fields["DimSize"].split()
    if fields.get("NDims", str(len(words))) != str(len(words)):
        raise DataError(f"{name}: its header has {len(words)} sizes for NDims = {fields['NDims'][:20]!a}")
    return words


def _stored(fields: Mapping[str, str], name: str) -> str:
    kind = _TYPES.get(fields["ElementType"].upper())
    if kind is None:
        raise DataError(f"{name}: values of type {fields['ElementType'][:40]!a} cannot be used; one number is needed")
    order = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")).lower()
    if order not in ("true", "1", "false", "0"):
        raise DataError(f"{name}: cannot read its byte order ({order[:20]!a}); BinaryDataByteOrderMSB is True or False")
    return np.dtype((">" if order in ("true", "1") else "<") + kind).str


def _values(file: BinaryIO, fields: Mapping[str, str], header: Header, name: str) -> BinaryIO:
    """The file at its first value."""
    skip = _number(fields, "HeaderSize", name) or 0.0
    if skip == -1:
        size = arrival.regular_size(file)
        if size is None:
            raise DataError(
                f"{name}: its values are the last bytes of a file (HeaderSize = -1), which a pipe does not tell"
            )
        file.seek(max(file.tell(), size - header.total_bytes))
    elif not (0 <= skip < 1 << 40 and skip.is_integer()) or len(_raw.received(file, int(skip), name)) < skip:
        raise DataError(f"{name}: ends before its values (HeaderSize = {skip:g}); re-copy the file")
    is_packed = fields.get("CompressedData", "False").lower() in ("true", "1")
    return cast(BinaryIO, Inflated(file)) if is_packed else file


def _number(fields: Mapping[str, str], key: str, name: str) -> float | None:
    """A number of the header; None where there is none."""
    if key not in fields:
        return None
    found = _numbers(fields, key)
    if len(found) != 1 or not isfinite(found[0]):
        raise DataError(f"{name}: cannot read {key} in its header ({fields[key][:40]!a})")
    return found[0]


def _numbers(fields: Mapping[str, str], key: str) -> list[float]:
    try:
        return [float(word) for word in fields.get(key, "").split()]
    except ValueError:
        return []


def _spacing(fields: Mapping[str, str], name: str) -> PartialSpacing:
    """(z, y, x) in mm."""
    steps = _numbers(fields, "ElementSpacing") or _numbers(fields, "ElementSize")
    if len(steps) not in (2, 3):
        return UNKNOWN
    unit = fields.get("DistanceUnits", "mm").lower()
    scale = 1.0 if unit in ("?", "") else MILLIMETRES.get(unit)
    if scale is None:
        progress.note(f"{name}: its voxel size is in {unit[:20]!a}, which is unknown; give --voxel-size")
        return UNKNOWN
    x, y, z = (*(length(abs(step) * scale) for step in steps), None)[:3]
    return z, y, x


def _facts(fields: Mapping[str, str], name: str) -> dict[str, Fact]:
    """Where the axes run to, where the header tells: ITK's letters are those where they come from."""
    matrix = next(
        (_numbers(fields, key) for key in ("TransformMatrix", "Rotation", "Orientation") if key in fields), []
    )
    axes = [matrix[at : at + 3] for at in (0, 3, 6)] if len(matrix) == 9 else []
    word = fields.get("AnatomicalOrientation", "").upper()
    if axes and orientation(axes, "LPS") == "oblique":
        return {"orientation": "oblique"}
    if len(word) == 3 and set(word) <= OPPOSITE.keys():
        return {"orientation": "".join(OPPOSITE[letter] for letter in word)}
    return {}
