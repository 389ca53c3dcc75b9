"""Temporary files without a name: nothing of them stays, however the process ends."""

import errno
import os
import tempfile
from collections.abc import Callable
from typing import BinaryIO, cast

import numpy as np

from bonectl.core.slabs import Array


def unnamed(*, buffered: bool = False) -> BinaryIO:
    """An open file in the folder for temporary files; who asks for it closes it.

    Raises
    ------
    OSError
        When the folder is not there, is full, or may not be written to.
    """
    return cast(BinaryIO, tempfile.TemporaryFile(prefix="bonectl-", buffering=-1 if buffered else 0))


def write_all(file: BinaryIO, values: Array) -> None:
    """Write an array to its end; raises OSError as the file does."""
    _move_all(file.write, values)


def read_all(file: BinaryIO, values: Array) -> None:
    """Fill a C-contiguous array; raises OSError as the file does, or when it ends before."""
    _move_all(file.readinto, values)  # type: ignore[attr-defined]


def _move_all(move: Callable[[memoryview], int | None], values: Array) -> None:
    left = np.ascontiguousarray(values).data.cast("B")
    while left:
        done = move(left)
        if not done:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        left = left[done:]
