"""File and stream formats, one file each: a format states its facts, `read`s stacks, and `write`s them if it can.

`open` and `read` choose the format by the bytes, `to_write` by the name. What is no format here is a folder, or begins
with an underscore.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from io import RawIOBase
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from bonectl.core import kit
from bonectl.errors import DataError, UsageError

if TYPE_CHECKING:
    from bonectl.core.stack import Stack


def readers() -> tuple[str, ...]:
    """Formats that read, in alphabetical order."""
    return kit.defining("io", "read")


def writers() -> tuple[str, ...]:
    """Formats that write, in alphabetical order."""
    return kit.defining("io", "write")


def folder_formats() -> tuple[str, ...]:
    """Formats whose stack is a folder, in alphabetical order."""
    return kit.defining("io", "write_folder")


def title(name: str) -> str:
    """What people call a format."""
    return str(kit.fact("io", name, "TITLE"))


def titles() -> str:
    """All that is read, in words: ``NPY, TIFF``."""
    return ", ".join(sorted(map(title, readers()), key=str.lower))


def suffixes(names: Iterable[str]) -> list[str]:
    """The ends of names that stand for these formats."""
    return [suffix for name in names for suffix in kit.fact("io", name, "SUFFIXES")]


def named(path: Path) -> str | None:
    """The format that a file's name stands for, by the longest end that fits; None where it stands for none."""
    ends = {suffix: name for name in kit.names("io") for suffix in kit.fact("io", name, "SUFFIXES")}
    fitting = [suffix for suffix in ends if path.name.lower().endswith(suffix)]
    return ends[max(fitting, key=len)] if fitting else None


def to_write(path: Path, name: str | None = None) -> str:
    """The format to write a file in: the one of that name, else the one that the file's name stands for.

    Raises
    ------
    UsageError
        When there is none, or it is only read.
    """
    if name is not None:
        kit.known("io", name)
    found = name or named(path)
    able = (*writers(), *folder_formats())
    there = ", ".join(suffixes(able))
    if found is None:
        raise UsageError(f"{path}: no format has that suffix; name it {there}, or give --format")
    if found not in able:
        raise UsageError(
            f"{path}: bonectl reads {title(found)}, but does not write it; "
            f"give --format {', '.join(writers())}, or another name: {there}"
        )
    return found


def claimant(head: bytes) -> str | None:
    """The format whose files begin so; None where there is none."""
    found = (name for name in kit.names("io") if head.startswith(tuple(kit.fact("io", name, "BEGINS"))))
    return next(found, None)


def module(name: str) -> ModuleType:
    """The format of that name, imported only now: a pipe of NPY streams never pays for TIFF."""
    kit.known("io", name)
    return import_module(f"bonectl.io.{name}")


@contextmanager
def open(path: Path, *, stored: bool = False) -> Iterator["Stack"]:
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
    from bonectl.core import arrival
    from bonectl.io.slices import series

    if (name := _folder_format(path)) is not None:
        yield module(name).read_folder(path, str(path))
        return
    if series.is_several(path):
        paths = series.slices(path)
        if len(paths) > 1:
            from bonectl.io.slices import files

            stack = files.read(paths, str(path))
            yield stack if stored else stack.restored()
            return
        path = paths[0]
    with arrival.opened(path) as file:
        yield read(file, str(path), stored=stored)


def _folder_format(path: Path) -> str | None:
    """The format of a folder that is a stack; None for a file, or a folder of slices."""
    from bonectl.core import reading

    if not reading.is_folder(path):
        return None
    return next((name for name in folder_formats() if module(name).holds(path)), None)


def read(file: BinaryIO, name: str, *, stored: bool = False) -> "Stack":
    """The stack in an open file or pipe, by the format whose first bytes it has; `stored` as for `open`.

    Raises
    ------
    DataError
        When no format has them, or the bytes are damaged.
    WriteError
        When reading fails.
    """
    from bonectl.core import arrival

    head = bytes(arrival.receive(file, _longest()))
    if not head:
        raise DataError(f"{name}: is empty; did the command that was to write it fail?")
    found = claimant(head)
    if found is None:
        from bonectl.io._strangers import called

        raise DataError(
            f"{name}: {called(head) or f'begins with {head[:8]!r}'}; it is in none of the formats {titles()}"
        )
    if found not in readers():
        raise DataError(f"{name}: is {title(found)}, which bonectl does not read; it reads {titles()}")
    stack = cast("Stack", module(found).read(_from_start(head, file), name))
    return stack if stored else stack.restored()


def _longest() -> int:
    """As many first bytes as tell all formats apart."""
    return max(len(begin) for name in kit.names("io") for begin in kit.fact("io", name, "BEGINS"))


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
