"""A folder with one TIFF file per slice, read and written as one stack.

Pages of differing size or type are errors that name the files.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bonectl.core import arrival
from bonectl.core.counted import counted
from bonectl.core.header import Header
from bonectl.core.slabs import Array, thickness
from bonectl.core.stack import Stack
from bonectl.errors import DataError
from bonectl.io import tiff
from bonectl.io._whole import held_back
from bonectl.io.slices.series import name_of


def read(paths: Sequence[Path], name: str) -> Stack:
    """One stack of single-page files, in this order; every file is checked before the first slab.

    Raises
    ------
    DataError
        When sizes or types differ, a file holds several pages, or the slices' own headers promise more.
    """
    first, place = _single(paths[0])
    places = [place]
    for path in paths[1:]:
        other, place = _single(path)
        if other.page != first.page:
            raise DataError(f"{name}: {path.name} is {other.page}, {paths[0].name} is {first.page}; slices are alike")
        places.append(place)
    header = first.told.header((len(paths), *first.page.shape), first.page.dtype, name)
    return Stack(header, _slabs(places, header))


def write(stack: Stack, folder: Path, pattern: str) -> None:
    """Write one file per slice into an existing folder, named by the pattern; `core.atomic.settle` waits for the disk.

    Raises
    ------
    OSError
        As the file system raises it.
    """
    header = stack.header
    single = header.replace(shape=(1, *header.shape[1:]), geometry=None)
    index = 0
    for slab in held_back(stack):
        for one in slab:
            with (folder / name_of(pattern, index)).open("wb") as file:
                tiff.write_slice(Stack(single, iter([one[None]])), file, header)
            index += 1


@dataclass(frozen=True)
class _Place:
    """Where a slice's pixels are.

    Parameters
    ----------
    path : Path
    state : tuple
        Size and time of the file when it was checked.
    plain : tiff.Plain, optional
        How they lie there, where no decoder is needed.
    """

    path: Path
    state: tuple[int, int]
    plain: tiff.Plain | None


def _single(path: Path) -> tuple[tiff.Pages, _Place]:
    with arrival.opened(path) as file:
        pages = tiff.pages(file, str(path))
        state = _state(file)
    if pages.count != 1:
        raise DataError(
            f"{path}: holds {counted(pages.count, 'page')}, but lies among others; a folder has one page per file"
        )
    return pages, _Place(path, state, pages.plain)


def _state(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def _slabs(places: Sequence[_Place], header: Header) -> Iterator[Array]:
    size = thickness(header.slice_bytes)
    for start in range(0, len(places), size):
        yield np.concatenate([_slice(place, header) for place in places[start : start + size]])


def _slice(place: _Place, header: Header) -> Array:
    """One slice; a file that is as it was when it was checked is not taken apart a second time."""
    shape = (1, *header.shape[1:])
    with arrival.opened(place.path) as file:
        if place.plain is not None and _state(file) == place.state:
            return place.plain.values(file, shape)
        pages = tiff.pages(file, str(place.path))
        if pages.page.shape != header.shape[1:] or pages.page.dtype != header.dtype:
            raise DataError(f"{place.path}: was changed while it was read")
        return next(pages.slabs)
