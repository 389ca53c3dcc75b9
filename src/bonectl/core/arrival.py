"""Bytes that arrive forward only: read what was promised, spool what cannot be read in order."""

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from bonectl.core import reading, temporary
from bonectl.core.counted import counted
from bonectl.errors import DataError, WriteError

_SPOOLED_AT_ONCE = 4 << 20
"""Bytes copied at a time into a spool."""

_AT_ONCE = 64 << 20
"""Bytes allocated before they have arrived; more is claimed only as the bytes come in."""


def opened(path: Path) -> BinaryIO:
    """Open a file for reading, or raise what its failure amounts to."""
    try:
        return path.open("rb")
    except OSError as error:
        raise reading.failure(path, error) from error


def receive(file: BinaryIO, size: int) -> bytearray:
    """Read `size` bytes, or fewer where the file ends: a header's, which are looked at one by one."""
    return bytearray(receive_values(file, size))


def receive_values(file: BinaryIO, size: int) -> NDArray[np.uint8]:
    """Read `size` bytes, or fewer where the file ends.

    Memory follows the bytes that arrive: a header that claims terabytes costs `_AT_ONCE` at most. It is not cleared
    first, and large pages serve it, as NumPy asks for them.
    """
    buffer = np.empty(min(size, _AT_ONCE), np.uint8)
    filled = 0
    while filled < size:
        if filled == len(buffer):
            more = np.empty(min(size, filled + max(filled, _AT_ONCE)), np.uint8)
            more[:filled] = buffer
            buffer = more
            del more
        got = _readinto(file, buffer.data[filled:])
        if not got:
            break
        filled += got
    return buffer[:filled]


def _readinto(file: BinaryIO, view: memoryview) -> int:
    try:
        # BinaryIO does not promise readinto, but every binary file of io has it
        return cast(int, file.readinto(view) or 0)  # type: ignore[attr-defined]
    except OSError as error:
        raise WriteError(f"read failed: {error.strerror}") from error


def ended(file: BinaryIO) -> bool:
    """Whether no byte is left; reads one to find out."""
    return not receive(file, 1)


def regular_size(file: BinaryIO) -> int | None:
    """The size of a regular file in bytes; None for a pipe, a terminal or a device."""
    try:
        status = os.fstat(file.fileno())
    except OSError:  # io.UnsupportedOperation (a file in memory) is one
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def path_of(file: BinaryIO) -> Path | None:
    """Where a file lies; None for a pipe, or for what only bears a file's name."""
    called = getattr(file, "name", None)  # "<stdin>", or a number, where the file has been opened for us
    if not isinstance(called, str):
        return None
    try:
        return Path(called) if os.path.samestat(Path(called).stat(), os.fstat(file.fileno())) else None
    except (OSError, ValueError):
        return None


def seekable(file: BinaryIO, name: str) -> BinaryIO:
    """Return `file` itself, or a copy of what is left of it in an unnamed temporary file."""
    return file if file.seekable() else _spooled(file, name)


def on_disk(file: BinaryIO, name: str) -> BinaryIO:
    """Return `file` itself if it can be memory-mapped, or a copy of what is left of it that can."""
    return file if regular_size(file) is not None else _spooled(file, name)


def _spooled(file: BinaryIO, name: str) -> BinaryIO:
    """A copy without a name, so that nothing stays behind however the process ends."""
    try:
        spool = temporary.unnamed(buffered=True)  # lives as long as the slabs read from it
        shutil.copyfileobj(file, spool, _SPOOLED_AT_ONCE)
        spool.seek(0)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise WriteError(f"{name}: cannot be copied to {tempfile.gettempdir()}: {reason}") from error
    return spool


def promised(name: str, found: int, total: int, slices: str = "slices") -> DataError:
    """The error for a stack that is shorter than its header says."""
    return DataError(
        f"{name}: {counted(total - found, f'of {total} {slices} is', f'of {total} {slices} are')}"
        f" missing; re-copy the file"
    )
