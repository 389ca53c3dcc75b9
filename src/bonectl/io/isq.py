"""ISQ volumes of Scanco scanners: native values, and where the header has them the constants that make density."""

import struct
from typing import BinaryIO

from bonectl.core.header import Fact, Header
from bonectl.core.stack import Stack
from bonectl.errors import DataError
from bonectl.io import _scanco

TITLE = "Scanco ISQ"
SUFFIXES = (".isq",)
BEGINS = (b"CTDATA-HEADER_V1",)

BLOCK = 512
# No header is longer [block].
MOST_BLOCKS = 4096


def read(file: BinaryIO, name: str) -> Stack:
    """The stack in a file: mineral density where its header has the constants, else native values of unit grey.

    Raises
    ------
    DataError
        When it is damaged, ends early, or holds raw data of another kind.
    """
    first = _scanco.received(file, BLOCK, name, "header")
    if not first.startswith(BEGINS):
        raise DataError(f"{name}: is a damaged ISQ: it begins with {first[:16]!r}")
    (kind,) = struct.unpack_from("<i", first, 16)
    if kind != 3:
        raise DataError(f"{name}: holds data of Scanco's kind {kind}; a volume (kind 3, ISQ) is needed")
    columns, rows, slices, *lengths = struct.unpack_from("<6i", first, 44)
    (mu_scaling,) = struct.unpack_from("<i", first, 88)
    (energy, current) = struct.unpack_from("<2i", first, 168)
    (blocks,) = struct.unpack_from("<i", first, 508)
    if min(columns, rows, slices) < 1 or not 0 <= blocks <= MOST_BLOCKS:
        raise DataError(f"{name}: is a damaged ISQ of {slices} × {rows} × {columns} voxels")
    extended = _scanco.received(file, blocks * BLOCK, name, "header")
    counts = (columns, rows, slices)
    sides = [_scanco.side(um * 1e-3 / count) for um, count in zip(lengths, counts, strict=True)]
    facts: dict[str, Fact] = {"kvp": energy * 1e-3, "current_ma": current * 1e-3}
    header = Header(
        shape=(slices, rows, columns),
        dtype="<i2",
        spacing=(sides[2], sides[1], sides[0]),
        acquisition={key: value for key, value in facts.items() if value},
        **_constants(extended, mu_scaling).told(),
    )
    return Stack(header, _scanco.slabs(file, header, name))


def _constants(extended: bytes, mu_scaling: int) -> _scanco.Constants:
    """By the block ``Calibration`` of an extended header; zeros where there is none.

    The first block of the extended header may only say that there are several; then comes a list of four, each with
    its name at byte 8 and its length in blocks at byte 24 of 128.
    """
    at = BLOCK if extended[8:24] == b"MultiHeader     " else 0
    place = at + BLOCK
    for entry in range(at, at + 4 * 128, 128):
        part = extended[entry : entry + 128]
        if len(part) < 128:
            break
        (blocks,) = struct.unpack_from("<i", part, 24)
        if blocks < 0 or place + blocks * BLOCK > len(extended):
            break
        if part[8:24] == b"Calibration     " and blocks >= 2:
            block = extended[place : place + blocks * BLOCK]
            slope, intercept, mu_water = (_scanco.vax_double(block[at : at + 8]) for at in (664, 672, 688))
            return _scanco.Constants(float(mu_scaling), mu_water, slope, intercept)
        place += blocks * BLOCK
    return _scanco.Constants(float(mu_scaling), 0.0, 0.0, 0.0)
