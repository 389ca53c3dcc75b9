"""NPY: the stream between bonectl's tools, and a file that numpy, napari and others read.

The format is NPY version 1.0, C order, little-endian. The header's dict is followed by two spaces and
a comment, ``# bonectl {...}``, one line of ASCII JSON (`bonectl.core.header.Header.to_json`), padded with
spaces so that the data start at a multiple of 64 bytes. The whole header has at most 9,000 bytes,
because numpy refuses to load more than 10,000. `numpy.load` and its `mmap_mode` read it unchanged.

Reading goes forward only, so files and pipes are alike: magic, length, header, exactly the promised
bytes, then the end. The last slab is handed on only after the end has been seen, and written only after
everything before it succeeded: a stream of complete length is a stream that succeeded.

What the world writes is read too: versions 1.0 to 3.0, big-endian and Fortran order (a Fortran-order pipe
is spooled to a temporary file), no comment (then ``FILE.npy.json`` beside it, or grey values of unknown
spacing), two axes (one slice). Values keep their type and are never rescaled; only byte order changes.

Format: numpy.lib.format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bonectl.core import arrival, progress, reading
from bonectl.core.counted import counted
from bonectl.core.header import DTYPES, MOST_VOXELS, Header
from bonectl.core.slabs import Array, thickness
from bonectl.core.stack import Stack
from bonectl.errors import DataError
from bonectl.io import _json, _raw

LONGEST = 9000
"""Most bytes of a header that we write, magic and padding included; numpy refuses over 10,000."""

TITLE = "NPY"
SUFFIXES = (".npy",)
BEGINS = (b"\x93NUMPY",)

_MAGIC = b"\x93NUMPY"
_MARK = "# bonectl "
_ALIGN = 64
_OURS = re.compile(r'"bonectl"\s*:')
"""What every header that `write_bare` wrote holds, a damaged one too."""
_LONGEST_READ = 1 << 20
"""Most bytes of a header that we read; no three-axis array needs more."""

_DICT = re.compile(r"\s*\{(?P<body>[^}]*)\}(?P<rest>.*)", re.DOTALL)
_ITEM = re.compile(
    r"\s*(?P<q>['\"])(?P<key>descr|fortran_order|shape)(?P=q)\s*:\s*"
    r"(?:(?P<v>['\"])(?P<word>[^'\"]*)(?P=v)|(?P<bool>True|False)|\((?P<shape>[\d\s,L]*)\))\s*(?:,|$)"
)


@dataclass(frozen=True)
class _Layout:
    """What an NPY header says: type with byte order, memory order, shape as stored, comment."""

    dtype: str
    fortran: bool
    shape: tuple[int, ...]
    comment: str

    @property
    def total_bytes(self) -> int:
        return prod(self.shape) * np.dtype(self.dtype).itemsize


def read(file: BinaryIO, name: str) -> Stack:
    """A stack from the bytes of an NPY file or stream.

    Parameters
    ----------
    file : binary file
        At the first byte of the stack; need not be seekable.
    name : str
        How messages call it.

    Raises
    ------
    DataError
        When the bytes are no NPY stack, or fewer or more than the header promises: at once where the
        size of a file tells, otherwise from the slabs.
    """
    layout = _layout(file, name)
    header = _header(layout, file, name)
    if not layout.fortran or len(layout.shape) == 1:
        return _raw.stack(file, layout.dtype, header, name)
    if (size := arrival.regular_size(file)) is not None:
        _raw.check_size(header, size - file.tell(), name)
    return Stack(header, _transposed(file, layout, header, name))


def located(path: Path) -> tuple[Header, int, str] | None:
    """Where the values of a file lie, if slices can be read from it as they are.

    Returns
    -------
    header, start, dtype
        The byte at which they start, and their stored type; None for Fortran order.

    Raises
    ------
    DataError, MissingInputError, PermissionDeniedError
        As `mapped`.
    """
    with arrival.opened(path) as file:
        layout = _layout(file, str(path))
        header, start = _header(layout, file, str(path)), file.tell()
        _raw.check_size(header, (arrival.regular_size(file) or 0) - start, str(path))
    return None if layout.fortran else (header, start, layout.dtype)


def mapped(path: Path) -> tuple[Header, Array]:
    """The header and a read-only memory map of a file, (a, b, c) of the header's dtype.

    Raises
    ------
    DataError
        When the file is no NPY stack, or its size is not what its header promises.
    MissingInputError, PermissionDeniedError
        When it cannot be opened.
    """
    name = str(path)
    with arrival.opened(path) as file:
        layout = _layout(file, name)
        header = _header(layout, file, name)
        size, start = arrival.regular_size(file), file.tell()
        if size is None:
            raise DataError(f"{name}: is no regular file; only those can be memory-mapped")
        _raw.check_size(header, size - start, name)
        order = "F" if layout.fortran else "C"
        values: Array = np.memmap(file, np.dtype(layout.dtype), "r", start, layout.shape, order)  # type: ignore[call-overload]
    return header, values.reshape(header.shape)


def write(stack: Stack, file: BinaryIO) -> None:
    """Write a stack as a stream; the last slab goes out after everything before it has succeeded.

    Raises
    ------
    UsageError
        Before any voxel is pulled, when the header does not fit (see `frame`).
    OSError
        As `file` raises it.
    """
    _raw.write(frame(stack.header), stack, file)


def write_bare(stack: Stack, file: BinaryIO) -> str:
    """Write a plain NPY without comment, for readers that know none; returns the text of its sidecar.

    The sidecar is ``NAME.json`` beside the array, `Header.to_json` without a limit of length.
    """
    text = _json.dumped(stack.header.to_json()) + "\n"
    _raw.write(_framed(stack.header, ""), stack, file)
    return text


def frame(header: Header) -> bytes:
    """The bytes before the data.

    Raises
    ------
    UsageError
        When they would be more than `LONGEST` even without history.
    """
    room = LONGEST - len(_framed(header, _MARK)) - _ALIGN
    _, text = _json.fitted(header, room)
    return _framed(header, _MARK + text)


def _framed(header: Header, comment: str) -> bytes:
    """Magic, length, dict with the keys in numpy's order, comment, padding, newline."""
    layout = f"{{'descr': '{header.dtype}', 'fortran_order': False, 'shape': {header.shape!r}, }}"
    text = f"{layout}  {comment}" if comment else layout
    padding = -(len(_MAGIC) + 4 + len(text) + 1) % _ALIGN
    body = f"{text}{' ' * padding}\n".encode("ascii")
    return _MAGIC + b"\x01\x00" + len(body).to_bytes(2, "little") + body


def _layout(file: BinaryIO, name: str) -> _Layout:
    """Parse everything before the data, and stop where they start."""
    head = bytes(arrival.receive(file, 8))
    if not head:
        raise DataError(f"{name}: is empty; did the command that was to write it fail?")
    if not head.startswith(_MAGIC):
        raise DataError(f"{name}: is no NPY file (it begins with {head[:6]!r})")
    version = tuple(head[6:])
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise DataError(f"{name}: no NPY version {'.'.join(map(str, version))} is known, or it is cut short")
    width = 2 if version == (1, 0) else 4
    prefix = bytes(arrival.receive(file, width))
    length = int.from_bytes(prefix, "little")
    if len(prefix) < width:
        raise DataError(f"{name}: ends inside its header; re-copy the file")
    if length > _LONGEST_READ:
        raise DataError(f"{name}: claims a header of {length} bytes, which no stack needs")
    body = bytes(arrival.receive(file, length))
    if len(body) < length:
        raise DataError(f"{name}: ends inside its header; re-copy the file")
    try:
        text = body.decode("utf-8" if version == (3, 0) else "latin-1")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: its header is not UTF-8 text ({error})") from error
    return _parsed(text, name)


def _parsed(text: str, name: str) -> _Layout:
    """The header's dict, by a grammar of exactly three keys: nothing is evaluated."""
    found = _DICT.fullmatch(text)
    if found is None:
        raise DataError(f"{name}: its header is no NPY dictionary ({_shown(text)})")
    items: dict[str, re.Match[str]] = {}
    body, position = found["body"].rstrip(), 0
    while position < len(body):
        item = _ITEM.match(body, position)
        if item is None or item["key"] in items:
            raise DataError(f"{name}: cannot read {_shown(body[position:])} in its header; a plain array is needed")
        items[item["key"]] = item
        position = item.end()
    try:
        word, order, shape = items["descr"]["word"], items["fortran_order"]["bool"], items["shape"]["shape"]
    except KeyError as error:
        raise DataError(f"{name}: its header has no {error.args[0]}") from error
    if word is None or order is None or shape is None:
        raise DataError(f"{name}: its header holds values of the wrong kind ({_shown(body)})")
    rest = found["rest"].strip()
    if rest and not rest.startswith("#"):
        raise DataError(f"{name}: unexpected {_shown(rest)} in its header")
    return _Layout(_dtype(word, name), order == "True", _shape(shape, name), rest)


def _dtype(word: str, name: str) -> str:
    """A number type from the closed list, in its stored byte order."""
    kind = word.lstrip("<>|=")
    if len(word) - len(kind) > 1 or not any(dtype[1:] == kind for dtype in DTYPES):
        known = ", ".join(dtype[1:] for dtype in DTYPES)
        raise DataError(f"{name}: values of type {_shown(word)} cannot be used; there are {known}")
    return (">" if word.startswith(">") else "<") + kind


def _shape(text: str, name: str) -> tuple[int, ...]:
    lengths = [part.strip().removesuffix("L") for part in text.split(",")]
    if lengths[-1] == "":
        lengths.pop()
    if not all(part.isascii() and part.isdigit() and len(part) < 20 for part in lengths):
        raise DataError(f"{name}: cannot read the shape ({_shown(text)}) in its header")
    shape = tuple(int(part) for part in lengths)
    if len(shape) not in (2, 3):
        raise DataError(f"{name}: has {counted(len(shape), 'axis', 'axes')}; a stack has 3, or 2 for one slice")
    if min(shape) < 1 or prod(shape) > MOST_VOXELS:
        raise DataError(f"{name}: a stack of shape {shape} cannot be")
    return shape


def _header(layout: _Layout, file: BinaryIO, name: str) -> Header:
    """The header from the comment, else the sidecar, else what the array alone tells."""
    shape = (1,) * (3 - len(layout.shape)) + layout.shape
    dtype = np.dtype(layout.dtype).newbyteorder("<").str
    is_ours = layout.comment.startswith(_MARK)
    told = _json.loaded(layout.comment.removeprefix(_MARK), name) if is_ours else _sidecar(file, name)
    if told is None:
        return Header(shape=shape, dtype=dtype)  # type: ignore[arg-type]
    return _json.header(told, shape, dtype, name)  # type: ignore[arg-type]


def _sidecar(file: BinaryIO, name: str) -> dict[str, Any] | None:
    """The header beside a file; None where there is none, or it is somebody else's, which is told."""
    place = arrival.path_of(file)
    if place is None:
        return None
    path = place.with_name(f"{place.name}.json")
    text = _text(path)
    if text is None:
        return None
    told = _json.loaded(text, str(path)) if _OURS.search(text) else {}
    if "bonectl" in told:
        return told
    progress.note(f"{path}: is no header that bonectl wrote, and is left out")
    return None


def _text(path: Path) -> str | None:
    """What a regular file holds; None where there is none, which a named pipe is not, or it may not be read."""
    try:
        return path.read_text("utf-8", "replace") if reading.is_file(path) else None
    except OSError as error:
        progress.note(f"{path}: is left out ({(error.strerror or str(error)).lower()})")
        return None


def _transposed(file: BinaryIO, layout: _Layout, header: Header, name: str) -> Iterator[Array]:
    """Slabs of an array whose first axis runs fastest, gathered through a memory map."""
    there = arrival.on_disk(file, name)
    try:
        start = there.tell()
        there.seek(0, 2)
        _raw.check_size(header, there.tell() - start, name)
        values = np.memmap(there, np.dtype(layout.dtype), "r", start, layout.shape, "F").reshape(header.shape)
    finally:
        if there is not file:  # the map holds on to the bytes by itself
            there.close()
    size = thickness(header.slice_bytes)
    for first in range(0, header.shape[0], size):
        yield np.ascontiguousarray(values[first : first + size], dtype=np.dtype(header.dtype))


def _shown(text: str, most: int = 40) -> str:
    """A piece of a header for a message: printable, short."""
    return ascii(text[:most].strip() + ("..." if len(text) > most else ""))
