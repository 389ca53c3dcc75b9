"""Stacks on disk as arrays that can be read anywhere, without holding them in memory."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bonectl import io, scanners
from bonectl.core import arrival, progress, reading, temporary
from bonectl.core.atomic import failure
from bonectl.core.header import Header
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.io import npy
from bonectl.learning.sample import Volume

# What mends a stack whose values are not all finite; messages call it by a name.
Mending = Callable[[Stack, str], Stack]


@contextmanager
def opened(paths: Sequence[Path], mending: Mending | None = None) -> Iterator[list[Volume]]:
    """Open stacks for random access.

    NPY files are read where they are; random patches come from them a hundred times faster than from a compressed TIFF,
    so every other format (and Fortran order) is written once to a temporary file. It has no name, so that nothing of it
    stays however the process ends.

    Parameters
    ----------
    paths : sequence of Path
        Files, or folders of slices.
    mending : callable, optional
        What becomes of values that are not finite. Stacks that may have any are unpacked then.

    Raises
    ------
    DataError, MissingInputError, PermissionDeniedError
        A file cannot be read as a stack.
    WriteError
        The temporary folder is full.
    """
    with ExitStack() as files:
        yield [_opened(path, files, mending) for path in paths]


@contextmanager
def kept(stack: Stack, name: str) -> Iterator[Volume]:
    """Work a stack out into a temporary file without a name, and open it.

    Raises
    ------
    WriteError
        The temporary folder is full.
    """
    with _spool() as spool:
        header = _unpacked(stack, f"teachers of {name}", spool)
        yield Volume(Slices(spool, 0, header.shape, header.dtype, name), header, name)


class Slices:
    """An array in a file, of which slices are read as they are asked for.

    A file that shrinks meanwhile is an error then, where a memory map would end the process by a signal.

    Parameters
    ----------
    file : binary file
        Stays open as long as this is used.
    start : int
        Where the first value lies [byte].
    shape : tuple of int, (z, y, x)
    dtype : str
        As stored.
    name : str
        How messages call it.
    """

    def __init__(self, file: BinaryIO, start: int, shape: tuple[int, int, int], dtype: str, name: str) -> None:
        self.shape, self.dtype, self.name = shape, np.dtype(dtype), name
        self._file, self._start = file, start

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, place: Any) -> Array:
        """Return slices, by numbers or by a range of them; with two ranges behind, only these rows and columns."""
        numbers, rows, columns = (*place, slice(None), slice(None))[:3] if isinstance(place, tuple) else (
            place, slice(None), slice(None)
        )  # fmt: skip
        first, end, _ = rows.indices(self.shape[1])
        wanted = np.arange(self.shape[0])[numbers]
        values = np.empty((len(wanted), end - first, self.shape[2]), self.dtype)
        for number, there in zip(wanted, values, strict=True):
            self._read(int(number), first, there)
        return values[:, :, columns]

    def _read(self, number: int, row: int, values: Array) -> None:
        """Fill (rows, x) from a row of a slice on."""
        at = self._start + (number * self.shape[1] + row) * self.shape[2] * self.dtype.itemsize
        left = values.data.cast("B")
        while left:
            try:
                got = os.preadv(self._file.fileno(), [left], at)
            except OSError as error:
                raise reading.failure(self.name, error) from error
            if not got:
                raise DataError(f"{self.name}: ends before slice {number}; it was cut short while it was read")
            left, at = left[got:], at + got


def _opened(path: Path, files: ExitStack, mending: Mending | None) -> Volume:
    """Open one stack, by way of a temporary file where it is no NPY file in C order of the values themselves."""
    found = npy.located(path) if _is_npy(path) else None
    if found is not None and found[0].scaling is None and (mending is None or np.dtype(found[2]).kind != "f"):
        header, start, dtype = found
        file = files.enter_context(arrival.opened(path))
        return Volume(Slices(file, start, header.shape, dtype, str(path)), header, str(path))
    _refuse_readings(path)
    with scanners.open(path) as stack:
        spool = files.enter_context(_spool())
        header = _unpacked(stack if mending is None else mending(stack, str(path)), f"unpack {path.name}", spool)
    return Volume(Slices(spool, 0, header.shape, header.dtype, str(path)), header, str(path))


# What makes line integrals of readings, by their unit.
STEPS = {"counts": "flats + log", "transmission": "log"}


def _refuse_readings(path: Path) -> None:
    """Refuse a scan as its scanner left it: trained on as a stack, its flats, darks and angles would be left aside."""
    if scanners.claimed(path) is None:
        return
    scan = scanners.read(path)
    if not scan.is_volume and scan.header.unit in STEPS:
        raise UsageError(
            f"{path}: holds a scanner's readings ({scan.kind}), networks take line integrals: `bonectl prepare {path} "
            f"--steps '{STEPS[scan.header.unit]}' --order sinogram -o NAME.npy`, or slices by `bonectl reconstruct`"
        )


@contextmanager
def _spool() -> Iterator[BinaryIO]:
    try:
        file = temporary.unnamed()
    except OSError as error:
        raise failure(tempfile.gettempdir(), error) from error
    with file:
        yield file


def _unpacked(stack: Stack, doing: str, spool: BinaryIO) -> Header:
    """Write the values of a stack, and nothing else; returns its header."""
    with progress.task(doing, stack.header.shape[0]) as advance:
        for slab in stack.slabs:
            try:
                temporary.write_all(spool, slab)
            except OSError as error:
                raise failure(tempfile.gettempdir(), error) from error
            advance(len(slab))
    return stack.header


def _is_npy(path: Path) -> bool:
    """Whether a path is a regular file that begins like NPY."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return io.claimant(file.read(8)) == "npy"
    except PermissionError:
        return False  # io.open says so properly
