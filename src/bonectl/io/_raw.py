"""Values that lie one after another, last axis fastest, as most formats keep them: counted, and read in slabs."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import isfinite, prod
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bonectl.core import arrival
from bonectl.core.counted import counted
from bonectl.core.header import MOST_VOXELS, Header
from bonectl.core.slabs import Array, thickness
from bonectl.core.stack import Stack
from bonectl.errors import BonectlError, DataError, UsageError, WriteError
from bonectl.io._whole import held_back


def shape(sizes: Sequence[int | str], name: str) -> tuple[int, int, int]:
    """Lengths with the fastest axis first, as (z, y, x): two are one slice, and what is longer ends in ones.

    Parameters
    ----------
    sizes : sequence of int or str
        Numbers, or words of a header that should be some.
    name : str
        How messages call the file.

    Raises
    ------
    DataError
        When no stack can be so.
    """
    if odd := [size for size in map(str, sizes) if not re.fullmatch(r"-?\d{1,18}", size, re.ASCII)]:
        raise DataError(f"{name}: its header has a length of {odd[0][:40]!a} voxels")
    lengths = [int(size) for size in sizes]
    while len(lengths) > 3 and lengths[-1] == 1:
        lengths.pop()
    if len(lengths) not in (2, 3):
        raise DataError(f"{name}: has {counted(len(lengths), 'axis', 'axes')}; a stack has 3, or 2 for one slice")
    if min(lengths) < 1 or prod(lengths) > MOST_VOXELS:
        raise DataError(f"{name}: a stack of {' × '.join(map(str, lengths))} voxels cannot be")
    x, y, z = (*lengths, 1)[:3]
    return z, y, x


def check_size(header: Header, there: int, name: str) -> None:
    """Compare the bytes that are there with those that the header promises.

    Raises
    ------
    DataError
        When there are fewer, or more.
    """
    if there < header.total_bytes:
        raise arrival.promised(name, there // header.slice_bytes, header.shape[0])
    if there > header.total_bytes:
        raise DataError(
            f"{name}: {counted(there - header.total_bytes, 'byte follows', 'bytes follow')}"
            f" the last slice; re-copy the file"
        )


def write(head: bytes, stack: Stack, file: BinaryIO) -> None:
    """Write a header and the values after it; the last slab goes out after everything before it has succeeded.

    Raises
    ------
    OSError
        As `file` raises it.
    """
    file.write(head)
    file.flush()  # the next stage plans while this one computes its first slab
    for slab in held_back(stack):
        file.write(slab.data)
    file.flush()


def stack(file: BinaryIO, stored: str, header: Header, name: str) -> Stack:
    """The stack whose values are all that is left of a file; its size is checked at once where it can be told.

    Parameters
    ----------
    file : binary file
        At the first value; need not be seekable.
    stored : str
        Type of the values there, with its byte order.
    header : Header
        Of the same type in the order of this machine.
    name : str
        How messages call the file.

    Raises
    ------
    DataError
        When there are fewer or more values than the header promises: at once, or from the slabs.
    """
    if (size := arrival.regular_size(file)) is not None:
        check_size(header, size - file.tell(), name)
    return Stack(header, _slabs(file, stored, header, name))


def _slabs(file: BinaryIO, stored: str, header: Header, name: str) -> Iterator[Array]:
    total, native = header.shape[0], np.dtype(header.dtype)
    size = thickness(header.slice_bytes)
    for start in range(0, total, size):
        count = min(size, total - start)
        block = received(file, count * header.slice_bytes, name)
        if len(block) < count * header.slice_bytes:
            raise arrival.promised(name, start + len(block) // header.slice_bytes, total)
        if start + count == total and len(received(file, 1, name)):
            raise DataError(f"{name}: more bytes follow the last slice; re-copy the file")
        values: Array = block.view(stored)
        yield values.reshape(count, *header.shape[1:]).astype(native, copy=False)


def received(file: BinaryIO, size: int, name: str) -> NDArray[np.uint8]:
    """As `bonectl.core.arrival.receive_values`, with the file's name in what goes wrong."""
    try:
        return arrival.receive_values(file, size)
    except BonectlError as error:
        raise type(error)(f"{name}: {error}") from error


def lines(file: BinaryIO, name: str, last: str) -> list[str]:
    """Lines of text before the values, without their ends, up to one that begins with `last` (if empty: is empty).

    Raises
    ------
    DataError
        When they are more than any header has.
    """
    found: list[str] = []
    left = _LONGEST
    while text := line(file, name, left):
        left -= len(text)
        if left <= 0:
            raise DataError(f"{name}: has more than {_LONGEST} bytes before its values, which no header needs")
        found.append(text.rstrip(b"\r\n").decode("utf-8", "replace"))
        if found[-1].startswith(last) if last else not found[-1]:
            break
    return found


_LONGEST = 4 << 20


def line(file: BinaryIO, name: str, most: int = _LONGEST) -> bytes:
    """The next line with its end, or nothing at the end of the file."""
    try:
        return file.readline(most)
    except OSError as error:
        raise WriteError(f"{name}: read failed: {(error.strerror or str(error)).lower()}") from error


def detached(file: BinaryIO, data: str, name: str, read: Callable[[BinaryIO, str], Stack]) -> Stack:
    """The stack whose values are in another file, which its header names, in the header's folder.

    Parameters
    ----------
    file : binary file
        The header.
    data : str
        What it calls the file of its values.
    name : str
        How messages call the header.
    read : callable
        Gives the stack from the file of values and what messages call that; it is closed after the last slab.

    Raises
    ------
    UsageError
        When the header comes through a pipe.
    MissingInputError, PermissionDeniedError
        When the file of values is not there, or may not be read.
    """
    header = arrival.path_of(file)
    if header is None:
        raise UsageError(f"{name}: its values are in {data[:60]!a}, to which a pipe does not lead; give a path")
    there = arrival.opened(header.parent / data)
    try:
        found = read(there, f"{name}: {data}")
    except BaseException:
        there.close()
        raise

    def slabs() -> Iterator[Array]:
        with there:
            yield from found.slabs

    return replace(found, slabs=slabs())


def scaled(stack: Stack, slope: float, intercept: float) -> Stack:
    """Values that stored numbers stand for by a straight line: slope × stored + intercept.

    Whole numbers of 8 or 16 bits and a rising line stay as they are stored, with the line in the header
    (`Header.scaling`); others become floating-point numbers that hold them.
    """
    header = stack.header
    if not (isfinite(slope) and isfinite(intercept)) or slope == 0 or (slope, intercept) == (1, 0):
        return stack
    if header.dtype[1] in "iu" and header.item_bytes <= 2 and slope > 0:
        return replace(stack, header=header.replace(scaling=(slope, intercept)))
    dtype = "<f4" if header.item_bytes <= 2 or header.dtype == "<f4" else "<f8"
    return stack.map(lambda slab: (slab * np.float64(slope) + intercept).astype(dtype), header.replace(dtype=dtype))
