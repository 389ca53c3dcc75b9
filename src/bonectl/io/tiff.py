"""TIFF: a stack in one file that Fiji opens with the right voxel size.

ITK and 3D Slicer read no voxel size from ImageJ's form, whose unit is in its description: they take that of
`bonectl.io.ome` along x and y.

Written uncompressed and forward only, in bounded memory, to files and pipes alike: all directories first,
then all pages one after another. That is possible because the header is known before the first voxel, and
it makes the file memory-mappable. Below 4 GiB in ImageJ's form (resolution tags, ``unit=mm``,
``spacing=``, our header as ``bonectl={...}`` in ImageDescription and in ImageJ's Info, which survives a save
by Fiji); above, BigTIFF with tifffile's "shaped" JSON, resolution in pixels per cm, and the same header.

Read page by page. The pages that are promised (ImageJ ``images``, shaped ``shape``, OME ``SizeZ``, our own
header) and the pages that are there must agree, and the chain of directories must end where the file says:
most readers return the part of a truncated stack without a word. Values keep their type and are never
rescaled; one-bit pages become 0 and 1. ImageJ's calibration function is applied where it is a straight line of 8 or 16
bits (``cf=0``): values are those that ImageJ shows. So its signed 16 bits, stored as unsigned with c0 = -32768, are
read as signed. The type is the shortest of whole numbers that holds all values, else float32; `info` shows the line
as ``imagej_calibration``. Other functions are not applied, which is said.

Where the voxel size comes from: our header; else ImageJ's ``unit`` and ``spacing`` with the resolution tags;
else OME's PhysicalSize; else resolution tags in cm or inch, unless they hold one of the values that image
programs write for screen and paper (`_SCREENS`).

Sources: TIFF 6.0 (Adobe 1992); BigTIFF (Aware Systems); ImageJ's ij.io.TiffEncoder and TiffDecoder.
"""

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from typing import Any, BinaryIO

import numpy as np
import tifffile

from bonectl.core import arrival
from bonectl.core.counted import counted
from bonectl.core.header import DTYPES, MOST_VOXELS, Header
from bonectl.core.slabs import Array, thickness
from bonectl.core.stack import Stack
from bonectl.errors import BonectlError, DataError, UnavailableError, WriteError
from bonectl.io import _json, _tiff_chain, _tiff_tags, _tiff_text
from bonectl.io._tiff_tags import Describe
from bonectl.io._tiff_text import Told
from bonectl.io._whole import held_back

TITLE = "TIFF"
SUFFIXES = (".tif", ".tiff")
BEGINS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")

_LARGE_PAGE = 256 << 20
_MOST_RATIO = 2000
"""A page above `_LARGE_PAGE` bytes may expand to this many times its stored bytes; deflate's limit is 1032."""

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # it logs what we report


@dataclass(frozen=True)
class Page:
    """What all pages of a stack share."""

    shape: tuple[int, int]
    dtype: str

    def __str__(self) -> str:
        return f"{self.shape[0]} × {self.shape[1]} {self.dtype[1:]}"


@dataclass(frozen=True)
class Plain:
    """A page's pixels where they lie in one piece, as they are.

    Parameters
    ----------
    start : int
        Byte of the first one.
    stored : str
        Their type, with its byte order.
    """

    start: int
    stored: str

    def values(self, file: BinaryIO, shape: tuple[int, ...]) -> Array:
        """Read them, in the order of this machine."""
        file.seek(self.start)
        dtype = np.dtype(self.stored)
        read = np.frombuffer(file.read(prod(shape) * dtype.itemsize), dtype).reshape(shape)
        return read.astype(dtype.newbyteorder("<"))


@dataclass(frozen=True, eq=False)
class Pages:
    """A TIFF file's checked pages: what it says of itself, their form and number, and their voxels.

    `plain` is there for one page that needs no decoder.
    """

    told: Told
    page: Page
    count: int
    slabs: Iterator[Array]
    plain: Plain | None = None


def read(file: BinaryIO, name: str) -> Stack:
    """A stack from the bytes of a TIFF file; what is not seekable is spooled to a temporary file first.

    Parameters
    ----------
    file : binary file
        At the first byte of the file.
    name : str
        How messages call it.

    Raises
    ------
    DataError
        When the bytes are no TIFF stack of one channel, or pages are missing.
    UnavailableError
        When a compression needs the package imagecodecs.
    """
    found = pages(file, name)
    return Stack(found.told.header((found.count, *found.page.shape), found.page.dtype, name), found.slabs)


def pages(file: BinaryIO, name: str) -> "Pages":
    """What `read` makes a stack of; raises the same errors."""
    there = arrival.seekable(file, name)
    try:
        with _decoding(name):
            offsets = _tiff_chain.offsets(there, name)
            there.seek(0)
            tif = tifffile.TiffFile(there, name="input")  # a spool has no name of its own
            if len(tif.pages) != len(offsets):
                raise arrival.promised(name, len(tif.pages), len(offsets), "pages")
            told = _tiff_text.told(tif, name)
            page = _page(tif, 0, name)
            _check_codec(tif.pages[0])
            count = _count(tif, told, page, name)
    except BonectlError:
        if there is not file:
            there.close()
        raise
    slabs, plain = _slabs(tif, count, page, name), None
    if told.law is None and count == 1 and tif.pages[0].is_memmappable:
        plain = Plain(tif.pages[0].dataoffsets[0], np.dtype(tif.pages[0].dtype).newbyteorder(tif.byteorder).str)
    if (law := told.law) is not None:
        dtype = law.dtype(page.dtype)
        page, slabs = replace(page, dtype=dtype), (law.values(slab, dtype) for slab in slabs)
    return Pages(told, page, count, slabs if there is file else _closing(slabs, there), plain)


def _closing(slabs: Iterator[Array], spool: BinaryIO) -> Iterator[Array]:
    with spool:
        yield from slabs


def write(stack: Stack, file: BinaryIO, describe: Describe | None = None) -> None:
    """Write a stack front to back; the last slab goes out after everything before it has succeeded.

    Parameters
    ----------
    stack : Stack
    file : binary file
    describe : callable, optional
        ImageDescription from the header and our JSON, beside resolution in pixels per cm; nothing is ImageJ's form
        below 4 GiB, tifffile's above.

    Raises
    ------
    OSError
        As `file` raises it.
    """
    _put(stack, file, stack.header, describe)


def write_slice(stack: Stack, file: BinaryIO, whole: Header) -> None:
    """Write a stack of one slice under the header of the stack that it is part of."""
    _put(stack, file, whole)


def _put(stack: Stack, file: BinaryIO, told: Header, describe: Describe | None = None) -> None:
    text = _json.dumped(told.to_json() | {"shape": told.shape})
    for piece in _tiff_tags.preamble(stack.header, text, describe):
        file.write(piece)
    file.flush()
    for slab in held_back(stack):
        file.write(slab.data)
    file.flush()


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Turn whatever a TIFF decoder throws at damaged bytes into a DataError."""
    try:
        yield
    except (BonectlError, MemoryError):
        raise
    except ImportError as error:
        raise UnavailableError(f"{name}: {_codecs(str(error))}") from error
    except Exception as error:  # tifffile and codecs raise nearly everything on nonsense
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL, errno.EOVERFLOW):  # bad offsets
            raise WriteError(f"{name}: read failed: {(error.strerror or str(error)).lower()}") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        if "requires the 'imagecodecs' package" in reason:
            raise UnavailableError(f"{name}: {_codecs(reason)}") from error
        raise DataError(f"{name}: is damaged ({reason[:100]}); re-copy the file") from error


def _codecs(reason: str) -> str:
    return f"its compression needs the package imagecodecs ({reason[:80]}); pip install 'bonectl[codecs]'"


def _page(tif: tifffile.TiffFile, index: int, name: str) -> Page:
    """Shape and type of a page that can be a slice, after checking that its bytes are there."""
    page = tif.pages[index]
    where = f"{name}: page {index}"
    if page.samplesperpixel != 1 or page.photometric in (2, 3, 5, 6, 8) or len(page.shape) != 2:
        raise DataError(f"{where}: is a colour image or has several samples ({page.shape}); one grey channel is needed")
    if page.dtype is None or np.dtype(page.dtype).newbyteorder("<").str not in DTYPES:
        raise DataError(f"{where}: values of type {page.dtype} ({page.bitspersample} bits) cannot be used")
    sizes, offsets = page.databytecounts, page.dataoffsets
    ends = [offset + size for offset, size in zip(offsets, sizes, strict=True)]
    if not ends or min(sizes) < 1 or min(offsets) < 1:
        raise DataError(f"{where}: has no pixel data; re-copy the file")
    if max(ends) > tif.filehandle.size:
        raise DataError(f"{where}: its data lie beyond the end of the file, which is cut short; re-copy the file")
    packed = page.shape[0] * page.shape[1] * page.bitspersample // 8
    if page.compression == 1 and not page.is_tiled and sum(sizes) < packed:
        raise DataError(f"{where}: holds {sum(sizes)} of {packed} bytes; re-copy the file")
    if packed > max(_LARGE_PAGE, _MOST_RATIO * sum(sizes)):
        raise DataError(f"{where}: claims {page.shape} pixels, more than its {sum(sizes)} bytes can hold")
    if (page.compression != 1 or page.is_tiled) and len(sizes) != prod(page.chunked):  # tifffile fills up with 0
        raise DataError(f"{where}: holds {len(sizes)} of {counted(prod(page.chunked), 'piece')}; re-copy the file")
    return Page(page.shape, _dtype(page))


def _check_codec(page: Any) -> None:
    """Look the decoders up before any work; tifffile raises when one needs a package that is not there."""
    if page.compression != 1:
        tifffile.TIFF.DECOMPRESSORS[page.compression]
    if page.predictor != 1:
        tifffile.TIFF.UNPREDICTORS[page.predictor]


def _dtype(page: Any) -> str:
    dtype = np.dtype(page.dtype).newbyteorder("<").str
    return "|u1" if dtype == "|b1" else dtype


def _count(tif: tifffile.TiffFile, told: Told, first: Page, name: str) -> int:
    """How many slices there are, once what is promised and what is there agree."""
    there = len(tif.pages)
    promised = told.pages or there
    if promised * first.shape[0] * first.shape[1] > MOST_VOXELS:
        raise DataError(f"{name}: {promised} pages of {first} cannot be")
    if there == 1 and promised > 1 and _contiguous(tif.pages[0]):
        page = tif.pages[0]
        room = tif.filehandle.size - page.dataoffsets[0]
        size = np.dtype(page.dtype).itemsize * first.shape[0] * first.shape[1]
        if room < promised * size:
            raise arrival.promised(name, room // size, promised, "pages")
        return promised
    if there != promised:
        if there < promised:
            raise arrival.promised(name, there, promised, "pages")
        raise DataError(f"{name}: holds {counted(there, 'page')}, but announces {promised}; save it as one stack")
    for index in range(1, there):
        page = _page(tif, index, name)
        if page != first:
            raise DataError(
                f"{name}: page {index} is {page}, page 0 is {first}; "
                "a stack has one size and type (several series or resolutions: save the one that is meant)"
            )
    return there


def _contiguous(page: Any) -> bool:
    """Whether more pages may follow this one's pixels without directories of their own (ImageJ's large files)."""
    return page.compression == 1 and not page.is_tiled and page.predictor == 1 and page.fillorder == 1


def _slabs(tif: tifffile.TiffFile, count: int, page: Page, name: str) -> Iterator[Array]:
    dtype = np.dtype(page.dtype)
    slice_bytes = page.shape[0] * page.shape[1] * dtype.itemsize
    size = thickness(slice_bytes)
    pixels = _together(tif, slice_bytes) if len(tif.pages) < count else _each(tif)
    for start in range(0, count, size):
        stop = min(start + size, count)
        slab = np.empty((stop - start, *page.shape), dtype)
        for index in range(start, stop):
            with _decoding(f"{name}: page {index}"):
                pixels(index, slab[index - start])
        yield slab


def _each(tif: tifffile.TiffFile) -> Callable[[int, Array], None]:
    def pixels(index: int, out: Array) -> None:
        page = tif.pages[index]
        if page.dtype == out.dtype:
            page.asarray(out=out, maxworkers=1)  # or a page would be held twice
        else:
            out[...] = page.asarray(maxworkers=1)

    return pixels


def _together(tif: tifffile.TiffFile, slice_bytes: int) -> Callable[[int, Array], None]:
    """Pages that follow the first one's pixels without directories."""
    first = tif.pages[0]
    stored = np.dtype(first.dtype).newbyteorder(tif.byteorder)

    def pixels(index: int, out: Array) -> None:
        tif.filehandle.seek(first.dataoffsets[0] + index * slice_bytes)
        out[...] = np.frombuffer(tif.filehandle.read(slice_bytes), stored).reshape(out.shape)

    return pixels
