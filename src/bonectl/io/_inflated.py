"""Compressed bytes, read as if they were not: gzip (also of several members) and zlib, forward only."""

import zlib
from io import RawIOBase
from typing import Any, BinaryIO

from bonectl.core import arrival
from bonectl.errors import DataError

# Compressed bytes that are read at a time.
_AT_ONCE = 1 << 18
# Either form, told by its first bytes (zlib.h, inflateInit2).
_EITHER = zlib.MAX_WBITS | 32


class Inflated(RawIOBase):
    """What the compressed bytes in a file stand for.

    Parameters
    ----------
    file : binary file
        At the first compressed byte.

    Raises
    ------
    DataError
        From reading, when the bytes end too early, or are damaged: their own check sum says so.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._waiting = b""
        self._count = 0
        self._begin()

    def _begin(self) -> None:
        self._inflater = zlib.decompressobj(_EITHER)
        self._is_between = True  # members: here the bytes may end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            data = self._waiting or bytes(arrival.receive_values(self._file, _AT_ONCE))
            if not data and self._is_between:
                return 0
            piece = self._inflated(data, len(buffer))
            if piece:
                buffer[: len(piece)] = piece
                self._count += len(piece)
                return len(piece)

    def _inflated(self, data: bytes, most: int) -> bytes:
        self._is_between = False
        try:
            piece = self._inflater.decompress(data, most)
        except zlib.error as error:
            raise DataError(f"is damaged after {self._count} bytes of its compressed part; re-copy the file") from error
        self._waiting = self._inflater.unconsumed_tail
        if self._inflater.eof:
            self._waiting = self._inflater.unused_data.lstrip(b"\0")  # zeros may pad a member
            self._begin()
        elif not data and not piece:
            raise DataError(f"ends after {self._count} bytes of its compressed part, too early; re-copy the file")
        return piece
