"""Walk a TIFF's chain of directories to its end, which libraries do not insist on."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from bonectl.errors import DataError

_MOST_TAGS = 4096
_MOST_PAGES = 1 << 24


def offsets(file: BinaryIO, name: str) -> list[int]:
    """Where each page's directory begins, in order.

    Raises
    ------
    DataError
        When the chain or a value in it leaves the file, or the chain returns on itself or is empty.
    """
    file.seek(0, 2)
    size = file.tell()
    file.seek(0)
    form, following = _form(file.read(16), name)
    found: dict[int, None] = {}
    while following:
        if following in found or len(found) > _MOST_PAGES:
            raise DataError(f"{name}: its list of pages returns on itself after page {len(found) - 1}")
        try:
            after = form.next(file, following, size)
        except (struct.error, ValueError) as error:
            raise DataError(
                f"{name}: is cut short or damaged: page {len(found)} is listed at byte {following} of {size}, "
                "but is not whole; re-copy the file"
            ) from error
        found[following] = None
        following = after
    if not found:
        raise DataError(f"{name}: holds no page; re-copy the file")
    return list(found)


# Bytes of one value by TIFF's number for its type.
_VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


@dataclass(frozen=True)
class _Form:
    """How numbers are laid out: byte order, and letters for a count of tags and for an offset."""

    order: str
    count: str
    offset: str

    def next(self, file: BinaryIO, start: int, size: int) -> int:
        """Read the directory at `start`; returns where the next one is, 0 at the end.

        Raises
        ------
        struct.error, ValueError
            When it, or a value that it points at, is not inside the file of `size` bytes.
        """
        head = struct.Struct(self.order + self.count)
        entry = struct.Struct(self.order + "HH" + self.offset + self.offset)
        tail = struct.Struct(self.order + self.offset)
        if start >= size:  # seeking further may fail, and the reason would not be the disk
            raise ValueError(start)
        file.seek(start)
        (tags,) = head.unpack(file.read(head.size))
        if not 0 < tags <= _MOST_TAGS:
            raise ValueError(tags)
        for _, kind, count, place in entry.iter_unpack(_exactly(file, tags * entry.size)):
            length = count * _VALUE_BYTES.get(kind, 0)
            if length > tail.size and place + length > size:
                raise ValueError(place)
        (following,) = tail.unpack(file.read(tail.size))
        return int(following)


def _exactly(file: BinaryIO, count: int) -> bytes:
    found = file.read(count)
    if len(found) < count:
        raise ValueError(count)
    return found


def _form(head: bytes, name: str) -> tuple[_Form, int]:
    """The form of the file, and where its first directory is."""
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        raise DataError(f"{name}: is no TIFF file, or cut short in its first bytes")
    (version,) = struct.unpack(order + "H", head[2:4])
    if version == 42:
        return _Form(order, "H", "I"), struct.unpack(order + "I", head[4:8])[0]
    if version == 43 and len(head) == 16 and head[4:8] == struct.pack(order + "HH", 8, 0):
        return _Form(order, "Q", "Q"), struct.unpack(order + "Q", head[8:16])[0]
    raise DataError(f"{name}: is no TIFF file of a known form, or cut short in its first bytes")
