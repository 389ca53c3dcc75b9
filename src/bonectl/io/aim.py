"""AIM volumes of Scanco scanners (v020, v030): native values with the constants that make density of them, or masks."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from bonectl.core.header import Fact, Header
from bonectl.core.slabs import Array, thickness
from bonectl.core.stack import Stack
from bonectl.errors import DataError
from bonectl.io import _scanco

TITLE = "Scanco AIM"
SUFFIXES = (".aim",)
BEGINS = (b"\x14\x00\x00\x00\x8c\x00\x00\x00", b"AIMDATA_V030")  # v020: lengths of the two parts that always come

# Types of voxels, by the number in the header.
PLAIN = {
    0x00010001: "|i1",
    0x00160001: "|u1",
    0x000D0001: "|u1",
    0x00020002: "<i2",
    0x00170002: "<u2",
    0x00030004: "<i4",
    0x001A0004: "<f4",
}
BITS, RUNS_OF_TWO, RUNS = 0x00060001, 0x00150001, 0x00080002

MOST_LOG = 1 << 20

# Facts that are kept, by the key of the log; no name of a patient, a file or a site.
FACTS = {
    "Energy [V]": ("kvp", 1e-3),
    "Intensity [uA]": ("current_ma", 1e-3),
    "Integration time [us]": ("exposure_ms", 1e-3),
    "No. projections per 180": ("projections_per_180", 1),
    "Scanner type": ("scanner_type", 1),
}


@dataclass(frozen=True)
class _Form:
    """How the voxels lie: type, the bytes before them, and the border that is no part of the volume."""

    kind: int
    shape: tuple[int, int, int]
    border: tuple[int, int, int]
    size_bytes: int


def read(file: BinaryIO, name: str) -> Stack:
    """The stack in a file.

    Values are mineral density, by the constants in the file's own log, or native ones of unit grey where it has none;
    values of one byte, and all that is packed, are masks. A border (``offset``) is cut off. Where the volume lies in
    the scan stands in the facts of the exposure, as position_z, position_y and position_x [voxel].

    Parameters
    ----------
    file : binary file or pipe
    name : str
        What messages call it.

    Raises
    ------
    DataError
        When it is damaged, ends early, or holds voxels of another type.
    """
    is_wide = False
    first = _scanco.received(file, 20, name, "header")
    if first.startswith(BEGINS[1]):
        is_wide = True
        first = first[16:] + _scanco.received(file, 36, name, "header")
    sizes = struct.unpack("<5q" if is_wide else "<5i", first)
    struct_size = 216 if is_wide else 140
    if sizes[0] != len(first) or not 140 <= sizes[1] <= 4096 or not 0 <= sizes[2] <= MOST_LOG:
        raise DataError(f"{name}: is a damaged AIM: its header announces {sizes[:3]} bytes")
    raw = _scanco.received(file, sizes[1], name, "header")
    if len(raw) < min(struct_size, 140):
        raise DataError(f"{name}: is a damaged AIM: its header has {len(raw)} bytes")
    log = _log(_scanco.received(file, sizes[2], name, "processing log"))
    form, position, spacing = _told(raw, name, is_wide=is_wide)
    shape = tuple(n - 2 * b for n, b in zip(form.shape, form.border, strict=True))
    if min(shape) < 1:
        raise DataError(f"{name}: has a border of {form.border} voxels (z, y, x) in {form.shape}")
    is_mask = form.kind in (BITS, RUNS_OF_TWO, RUNS) or PLAIN[form.kind][1:] in ("i1", "u1")
    facts: dict[str, Fact] = {
        f"position_{axis}": at + b for axis, at, b in zip("zyx", position, form.border, strict=True)
    }
    header = Header(
        shape=(shape[0], shape[1], shape[2]),
        dtype=PLAIN.get(form.kind, "|i1"),
        spacing=spacing,
        acquisition=facts | {key: log[word] * factor for word, (key, factor) in FACTS.items() if word in log},
        **({"unit": "label"} if is_mask else _scanco.Constants(*(log.get(key, 0.0) for key in _LAW)).told()),
    )
    return Stack(header, _cut(_voxels(file, form, header, name), form.border))


_LAW = ("Mu_Scaling", "HU: mu water", "Density: slope", "Density: intercept")


def _log(raw: bytes) -> Mapping[str, float]:
    """The numbers of the processing log, by their keys: columns are two blanks or more apart."""
    found: dict[str, float] = {}
    for line in raw.decode("latin-1").splitlines():
        key, _, value = line.partition("  ")
        try:
            found.setdefault(key.strip(), float(value.split()[0]))
        except (ValueError, IndexError):
            continue
    return found


def _told(
    raw: bytes, name: str, *, is_wide: bool
) -> tuple[_Form, tuple[int, int, int], tuple[float | None, float | None, float | None]]:
    """Form, position [voxel] and spacing [mm] by the structure of a header; all as (z, y, x)."""
    (kind,) = struct.unpack_from("<i", raw, 20)
    width = 8 if is_wide else 4
    if len(raw) < 24 + 21 * width + 3 * width:
        raise DataError(f"{name}: is a damaged AIM: its header has {len(raw)} bytes")
    values = struct.unpack_from("<21q" if is_wide else "<21i", raw, 24)
    triples = [tuple(reversed(values[at : at + 3])) for at in range(0, 9, 3)]
    at = 24 + 21 * width
    if is_wide:
        sides = [value * 1e-6 for value in struct.unpack_from("<3q", raw, at)]  # nanometres
    else:
        sides = [_scanco.vax_float(raw[at + 4 * i : at + 4 * i + 4]) for i in range(3)]
    if kind not in PLAIN and kind not in (BITS, RUNS_OF_TWO, RUNS):
        raise DataError(f"{name}: holds voxels of Scanco's type {kind:#010x}, which bonectl does not read")
    position, shape, border = ((int(z), int(y), int(x)) for z, y, x in triples)
    if min(shape) < 1 or min(border) < 0:
        raise DataError(f"{name}: is a damaged AIM of {shape} voxels (z, y, x)")
    spacing = tuple(map(_scanco.side, reversed(sides)))
    return _Form(kind, shape, border, width), position, (spacing[0], spacing[1], spacing[2])


def _voxels(file: BinaryIO, form: _Form, header: Header, name: str) -> Iterator[Array]:
    whole = header.replace(shape=form.shape)
    if form.kind in PLAIN:
        yield from _scanco.slabs(file, whole, name)
        return
    if form.kind == BITS:
        yield _from_bits(file, form.shape, name)
        return
    size = int.from_bytes(_scanco.received(file, form.size_bytes, name, "voxels"), "little") - form.size_bytes
    packed = np.frombuffer(_scanco.received(file, max(size, 0), name, "voxels"), np.uint8)
    flat = (_from_runs_of_two if form.kind == RUNS_OF_TWO else _from_runs)(packed, int(np.prod(form.shape)), name)
    volume = flat.view(np.int8).reshape(form.shape)
    for start in range(0, form.shape[0], thickness(whole.slice_bytes)):
        yield volume[start : start + thickness(whole.slice_bytes)]


def _from_runs_of_two(packed: Array, count: int, name: str) -> Array:
    """Runs of two values in turn, which come first; a length of 255 is 254 and does not end the run."""
    values, lengths = packed[:2], packed[2:].astype(np.int64)
    goes_on = lengths == 255
    lengths -= goes_on
    which = np.concatenate([[0], np.cumsum(~goes_on)])[:-1] % 2 if lengths.size else lengths
    return _repeated(values[which] if lengths.size else values[:0], lengths, count, name)


def _from_runs(packed: Array, count: int, name: str) -> Array:
    """Pairs of a length and a value."""
    pairs = packed[: packed.size // 2 * 2].reshape(-1, 2)
    return _repeated(pairs[:, 1], pairs[:, 0].astype(np.int64), count, name)


def _repeated(values: Array, lengths: Array, count: int, name: str) -> Array:
    if int(lengths.sum()) != count:
        raise DataError(f"{name}: its runs hold {int(lengths.sum())} of {count} voxels; it is damaged or cut short")
    return np.repeat(values, lengths)


def _from_bits(file: BinaryIO, shape: tuple[int, int, int], name: str) -> Array:
    """Bytes of 2 × 2 × 2 voxels, x fastest, and after them the value that a set bit stands for."""
    half = [(n + 1) // 2 for n in shape]
    raw = np.frombuffer(_scanco.received(file, half[0] * half[1] * half[2] + 1, name, "voxels"), np.uint8)
    bits = np.unpackbits(raw[:-1, None], axis=1, bitorder="little").reshape(*half, 2, 2, 2)
    volume = bits.transpose(0, 3, 1, 4, 2, 5).reshape(2 * half[0], 2 * half[1], 2 * half[2])
    value = np.int8(int(raw[-1]) or 127) if int(raw[-1]) < 128 else np.int8(int(raw[-1]) - 256)
    return np.ascontiguousarray(volume[: shape[0], : shape[1], : shape[2]].astype(np.int8) * value)


def _cut(slabs: Iterator[Array], border: tuple[int, int, int]) -> Iterator[Array]:
    """Without the border, a slab at a time."""
    if border == (0, 0, 0):
        yield from slabs
        return
    held = 0
    pending: list[Array] = []  # slices that may belong to the border at the end
    inside = tuple(slice(b, -b or None) for b in border[1:])
    for slab in slabs:
        for one in slab:
            held += 1
            if held > border[0]:
                pending.append(np.ascontiguousarray(one[inside]))
            if len(pending) > border[0]:
                yield pending.pop(0)[None]
