"""File and stream formats, one file each: `claims` first bytes, `read`s and `write`s stacks.

`open` and `read` choose the format by the bytes; `SUFFIXES` tells which format a name stands for.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from io import RawIOBase
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, BinaryIO, cast

from bonectl.core.stack import Stack
from bonectl.errors import DataError

SUFFIXES: Mapping[str, str] = MappingProxyType(
    {".npy": "npy", ".tif": "tiff", ".tiff": "tiff", ".ome.tif": "ome", ".ome.tiff": "ome"}
)
"""Format by the end of a name, in lower case; the longest that fits counts (`named`)."""

PATTERN = re.compile(r"%0?\d*d")
"""The place of the slice's number in the name of a file per slice, as in ``slice_%05d.tif``."""


def named(path: Path) -> str | None:
    """The format that a file's name stands for; None where it stands for none."""
    ends = [suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)]
    return SUFFIXES[max(ends, key=len)] if ends else None


def module(name: str) -> ModuleType:
    """The format of that name, imported only now: a pipe of NPY streams never pays for TIFF."""
    return import_module(f"bonectl.io.{name}")


@contextmanager
def open(path: Path, *, stored: bool = False) -> Iterator[Stack]:
    """The stack in a file, in a folder of slices, or in the files of a pattern such as ``slice_%05d.tif``.

    Parameters
    ----------
    path : Path
    stored : bool
        Whether whole numbers that stand for values (`Header.scaling`) stay as they are stored.

    Raises
    ------
    MissingInputError, PermissionDeniedError
        When it is not there, or may not be read.
    DataError
        When the bytes are no stack.
    """
    # (os.path.isdir is false, and no error, for names that cannot be)
    if os.path.isdir(path) or PATTERN.search(path.name):  # noqa: PTH112
        folder = module("folder")
        paths = folder.slices(path)
        if len(paths) > 1:
            stack = folder.read(paths, str(path))
            yield stack if stored else stack.restored()
            return
        path = paths[0]
    with module("arrival").opened(path) as file:
        yield read(file, str(path), stored=stored)


def read(file: BinaryIO, name: str, *, stored: bool = False) -> Stack:
    """The stack in an open file or pipe, by the format that claims its first bytes; `stored` as for `open`.

    Raises
    ------
    DataError
        When no format does, or the bytes are damaged.
    WriteError
        When reading fails.
    """
    arrival = module("arrival")
    head = bytes(arrival.receive(file, 8))
    if not head:
        raise DataError(f"{name}: is empty; did the command that was to write it fail?")
    for format_ in dict.fromkeys(SUFFIXES.values()):
        if module(format_).claims(head):
            stack = cast(Stack, module(format_).read(_from_start(head, file), name))
            return stack if stored else stack.restored()
    raise DataError(f"{name}: is neither NPY nor TIFF (it begins with {head!r})")


def _from_start(head: bytes, file: BinaryIO) -> BinaryIO:
    """The file with its first bytes still to come."""
    if not file.seekable():
        return cast(BinaryIO, _Again(head, file))
    file.seek(-len(head), os.SEEK_CUR)
    return file


class _Again(RawIOBase):
    """A pipe whose first bytes have been looked at already."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._head:
            return cast(int, self._file.readinto(buffer))  # type: ignore[attr-defined]
        count = min(len(buffer), len(self._head))
        buffer[:count], self._head = self._head[:count], self._head[count:]
        return count
