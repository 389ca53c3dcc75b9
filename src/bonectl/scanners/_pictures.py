"""One grey picture per file: TIFF, and the plain forms of BMP and PNG that reconstruction programs write."""

import struct
import zlib
from pathlib import Path

import numpy as np

from bonectl import io
from bonectl.core import reading
from bonectl.core.slabs import Array
from bonectl.errors import DataError

# No picture of a scan has a longer side [pixel].
LONGEST = 1 << 16
_PNG = b"\x89PNG\r\n\x1a\n"
# A BMP's palette is grey when red, green and blue are the same.
_COLOURS = 256


def read(path: Path) -> Array:
    """The grey values of a picture, (row, col), uint8 or uint16 as they are stored (a TIFF's may be of another type).

    Raises
    ------
    MissingInputError, PermissionDeniedError, WriteError
        When it is not there, may not be read, or reading fails.
    DataError
        When it is cut short, coloured, compressed in a way that is not read, or no picture.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise reading.failure(path, error) from error
    try:
        if raw[:2] == b"BM":
            return _bmp(raw)
        if raw[:8] == _PNG:
            return _png(raw)
    except (struct.error, IndexError, zlib.error) as error:
        raise DataError(f"{path}: is cut short, or damaged") from error
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    with io.open(path) as stack:
        values = stack.collect()
    if len(values) != 1:
        raise DataError(f"{path}: holds {len(values)} pages; one slice per file is needed")
    first: Array = values[0]
    return first


def _checked(width: int, height: int) -> tuple[int, int]:
    if not (0 < width <= LONGEST and 0 < abs(height) <= LONGEST):
        raise ValueError(f"is a picture of {width} × {height} pixels; is it damaged?")
    return width, height


def _bmp(raw: bytes) -> Array:
    """Windows bitmap of 8 bits without compression; rows lie from the bottom up, each padded to four bytes."""
    (start,) = struct.unpack_from("<I", raw, 10)
    size, width, height, _, bits, compression = struct.unpack_from("<IiiHHI", raw, 14)
    width, height = _checked(width, height)
    if (bits, compression) != (8, 0):
        raise ValueError(f"is a bitmap of {bits} bits, compression {compression}; 8 grey bits without are read")
    (used,) = struct.unpack_from("<I", raw, 46)
    palette = np.frombuffer(raw, np.uint8, 4 * (used or _COLOURS), 14 + size).reshape(-1, 4)
    if (palette[:, 0] != palette[:, 1]).any() or (palette[:, 0] != palette[:, 2]).any():
        raise ValueError("is a bitmap in colours; slices are grey")
    stride = -(-width // 4) * 4
    if len(raw) < start + stride * abs(height):
        raise IndexError
    rows = np.frombuffer(raw, np.uint8, stride * abs(height), start).reshape(abs(height), stride)[:, :width]
    return np.ascontiguousarray(palette[:, 0][rows[::-1] if height > 0 else rows])


def _png(raw: bytes) -> Array:
    """PNG (ISO 15948) of 8 or 16 grey bits, not interlaced."""
    width, height, bits, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", raw, 16)
    width, height = _checked(width, height)
    if colour or bits not in (8, 16) or interlaced:
        raise ValueError("is a PNG in colours, of fewer than 8 bits, or interlaced; 8 or 16 grey bits are read")
    packed, place, kind = [], 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", raw, place)
        if kind == b"IDAT":
            packed.append(raw[place + 8 : place + 8 + length])
        place += 12 + length
    step = bits // 8
    lines = zlib.decompressobj().decompress(b"".join(packed), height * (width * step + 1))
    lines_of = np.frombuffer(lines, np.uint8, height * (width * step + 1)).reshape(height, -1)
    done = np.zeros((height, width * step), np.uint8)
    above = np.zeros(width * step, np.uint8)
    for i, line in enumerate(lines_of):
        above = done[i] = _unfiltered(int(line[0]), line[1:], above, step)
    return done if step == 1 else done.view(">u2").astype("<u2")


def _unfiltered(kind: int, line: Array, above: Array, step: int) -> Array:
    """A line of which each byte was told as its difference from a neighbour (ISO 15948, 9.2)."""
    if kind == 0:
        return line
    if kind == 1:  # from the left: sums modulo 256 along each byte of a pixel
        return np.cumsum(line.reshape(-1, step), axis=0, dtype=np.uint8).ravel()
    if kind == 2:
        return line + above
    if kind not in (3, 4):
        raise ValueError(f"is a PNG with an unknown filter {kind}; is it damaged?")
    known, up = line.tolist(), above.tolist()
    done = [0] * step + known
    corner = [0] * step + up
    for i, byte in enumerate(known):
        left, over, over_left = done[i], up[i], corner[i]
        guess = (left + over) // 2 if kind == 3 else _paeth(left, over, over_left)
        done[i + step] = (byte + guess) & 255
    return np.array(done[step:], np.uint8)


def _paeth(left: int, over: int, corner: int) -> int:
    """The neighbour that is nearest to left + over - corner."""
    guess = left + over - corner
    return min((left, over, corner), key=lambda one: abs(guess - one))
