"""What stands before the pixels of a TIFF that is written: its directories, one for each page, and their tags."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from bonectl.core.header import Header
from bonectl.io import _tiff_text

# A larger file is BigTIFF.
_CLASSIC_ENDS = (1 << 32) - (1 << 16)

_FORMATS = {"u": 1, "i": 2, "f": 3, "b": 1}
"""SampleFormat by kind of number; a mask is written as unsigned 0 and 1."""

Describe = Callable[[Header, str], str]
"""ImageDescription from a header and its JSON."""


def preamble(header: Header, text: str, describe: Describe | None) -> Iterator[bytes]:
    """Everything before the first pixel: file header, one directory per page, the values they point at."""
    pages, page_bytes = header.shape[0], header.slice_bytes
    is_big = header.total_bytes + pages * 400 + 4 * len(text) > _CLASSIC_ENDS
    layout = _BIG if is_big else _CLASSIC
    shared = _shared_tags(header, text, describe or (_tiff_text.shaped if is_big else None), big=is_big)
    lengths = [layout.directory_bytes(len(_tags_of(shared, page))) for page in (0, 1)]
    first = layout.header_bytes
    blobs = first + lengths[0] + (pages - 1) * lengths[1]
    places, blob = layout.placed(shared, blobs)
    data = -(-(blobs + len(blob)) // 64) * 64
    yield layout.file_header(first)
    for page in range(pages):
        tags = _tags_of(shared, page)
        following = first + lengths[0] + page * lengths[1] if page + 1 < pages else 0
        places[_STRIP_OFFSETS] = layout.number(data + page * page_bytes)
        yield layout.directory(tags, places, following)
    yield blob + bytes(data - blobs - len(blob))


_STRIP_OFFSETS = 273
_FIRST_PAGE_ONLY = (270, 50838, 50839)

Tag = tuple[int, str, int, bytes]
"""Code, kind of value, count, value."""


@dataclass(frozen=True)
class _Layout:
    """The two sizes of TIFF; all numbers little-endian."""

    offset: str
    count: str
    magic: bytes

    @property
    def header_bytes(self) -> int:
        return len(self.magic) + struct.calcsize("<" + self.offset)

    def file_header(self, first: int) -> bytes:
        return self.magic + self.number(first)

    def number(self, value: int) -> bytes:
        """A file offset or a byte count."""
        return struct.pack("<" + self.offset, value)

    @property
    def inline(self) -> int:
        """Bytes of a value that fit into its directory entry."""
        return struct.calcsize("<" + self.offset)

    def directory_bytes(self, tags: int) -> int:
        return struct.calcsize("<" + self.count) + tags * (4 + 2 * self.inline) + self.inline

    def placed(self, tags: list[Tag], start: int) -> tuple[dict[int, bytes], bytes]:
        """What each entry holds: the value, or its offset in the blob of long values that begins at `start`."""
        places, blob = {}, b""
        for code, _, _, value in tags:
            if len(value) <= self.inline:
                places[code] = value.ljust(self.inline, b"\0")
            else:
                blob += bytes(-(start + len(blob)) % 8)
                places[code] = self.number(start + len(blob))
                blob += value
        return places, blob

    def directory(self, tags: list[Tag], places: dict[int, bytes], following: int) -> bytes:
        entries = b"".join(
            struct.pack("<HH" + self.offset, code, _KINDS[kind], count) + places[code] for code, kind, count, _ in tags
        )
        return struct.pack("<" + self.count, len(tags)) + entries + self.number(following)


_CLASSIC = _Layout(offset="I", count="H", magic=b"II*\0")
_BIG = _Layout(offset="Q", count="Q", magic=b"II+\0\x08\0\0\0")
_KINDS = {"byte": 1, "ascii": 2, "short": 3, "long": 4, "rational": 5, "long8": 16}


def _tags_of(tags: list[Tag], page: int) -> list[Tag]:
    return tags if page == 0 else [tag for tag in tags if tag[0] not in _FIRST_PAGE_ONLY]


def _shared_tags(header: Header, text: str, describe: Describe | None, *, big: bool) -> list[Tag]:
    """Tags in ascending order; strip offsets still to come. Without `describe` in ImageJ's form."""
    _, rows, columns = header.shape
    size = "long8" if big else "long"
    description = (describe or _tiff_text.imagej)(header, text).encode("ascii") + b"\0"
    # ImageJ multiplies by its own unit (mm) and would read cm from the tag; others know no unit but the tag's
    unit, per = (1, 1.0) if describe is None else (3, 10.0)
    tags = [
        _numbers(256, "long", columns),
        _numbers(257, "long", rows),
        _numbers(258, "short", 8 * header.item_bytes),
        _numbers(259, "short", 1),
        _numbers(262, "short", 1),
        (270, "ascii", len(description), description),
        _numbers(_STRIP_OFFSETS, size, 0),
        _numbers(277, "short", 1),
        _numbers(278, "long", rows),
        _numbers(279, size, header.slice_bytes),
        (282, "rational", 1, _resolution(header.spacing[2], per)),
        (283, "rational", 1, _resolution(header.spacing[1], per)),
        _numbers(296, "short", unit if header.spacing[2] is not None else 1),
        _numbers(339, "short", _FORMATS[header.dtype[1]]),
    ]
    return tags + _info_tags(text) if describe is None else tags


def _info_tags(text: str) -> list[Tag]:
    """ImageJ's own metadata block with one entry, Info."""
    info = f"bonectl={text}\n".encode("utf-16-le")
    head = b"JIJI" + b"ofni" + struct.pack("<I", 1)
    body = head + info
    return [_numbers(50838, "long", len(head), len(info)), (50839, "byte", len(body), body)]


def _numbers(code: int, kind: str, *values: int) -> Tag:
    letter = {"short": "H", "long": "I", "long8": "Q"}[kind]
    return code, kind, len(values), struct.pack(f"<{len(values)}{letter}", *values)


def _resolution(spacing: float | None, millimetres: float) -> bytes:
    """Pixels per length as a fraction of 32-bit numbers; 1/1 where unknown."""
    if spacing is None:
        return struct.pack("<II", 1, 1)
    ratio = Fraction(str(millimetres)) / Fraction(str(spacing))
    most = (1 << 32) - 1
    ratio = ratio.limit_denominator(most if ratio < 1 else max(1, int(most / ratio)))
    if not 0 < ratio.numerator <= most:
        return struct.pack("<II", 1, 1)
    return struct.pack("<II", ratio.numerator, ratio.denominator)
