"""OME-Zarr: a folder of chunks in halving sizes (``.ome.zarr``), which napari, Fiji and others open at any zoom.

Written are the values as they are, uncompressed, by slabs, with every next size the mean of 2 × 2 × 2 voxels (of masks
every second voxel). The voxel size is in millimetres. The bonectl header stands beside the image's own description, so
that what bonectl wrote it reads again; of other folders the full size is read where its chunks are as they are or in
zlib, as images of three axes z, y, x.

Source: OME-NGFF 0.4 (ngff.openmicroscopy.org/0.4), Zarr storage specification 2 (zarr-specs.readthedocs.io).
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from bonectl.core import progress, reading
from bonectl.core.counted import counted
from bonectl.core.header import DTYPES, Header
from bonectl.core.lengths import is_length
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.io import _json
from bonectl.io._whole import held_back

TITLE = "OME-Zarr"
SUFFIXES = (".ome.zarr", ".zarr")
BEGINS = ()

# Voxels of a chunk along each axis.
CHUNK = (16, 256, 256)
# Sizes are halved until the longest side is no longer.
SMALLEST = 256

# Millimetres per unit of length, by its name in the description.
MILLIMETRES = {"nanometer": 1e-6, "micrometer": 1e-3, "millimeter": 1.0, "centimeter": 10.0, "meter": 1e3}


def holds(folder: Path) -> bool:
    """Whether a folder is a Zarr group of version 2 with an image in several sizes."""
    return (folder / ".zgroup").is_file() and (folder / ".zattrs").is_file()


def write_folder(stack: Stack, folder: Path) -> None:
    """Write a volume into an empty folder.

    Raises
    ------
    UsageError
        When the stack is a scan, or of a type that Zarr does not know.
    OSError
        As the file system raises it.
    """
    if stack.header.is_scan:
        raise UsageError("OME-Zarr is for volumes; write a scan as .npy or .tif")
    stack = stack.restored()
    header = stack.header
    levels = _levels(header.shape)
    spacing = [step if step is not None else 1.0 for step in header.spacing]
    described = _described(header, levels, spacing)
    (folder / ".zgroup").write_text('{"zarr_format": 2}', "ascii")
    (folder / ".zattrs").write_text(json.dumps(described, indent=1), "ascii")
    first = _Level.chain(folder, levels, header)
    for slab in held_back(stack):
        for one in slab:
            first.take(one)
    first.close()


def read_folder(folder: Path, name: str) -> Stack:
    """The full size of the image in a folder.

    Raises
    ------
    DataError
        When it is damaged, has other axes, or chunks in another compression.
    """
    told = _loaded(folder / ".zattrs", name)
    try:
        image = told["multiscales"][0]
        dataset = image["datasets"][0]
        place = folder / dataset["path"]
        axes = image["axes"]
        scale = next(t["scale"] for t in dataset["coordinateTransformations"] if t["type"] == "scale")
    except (KeyError, IndexError, TypeError, StopIteration) as error:
        raise DataError(f"{name}: holds no image of OME-NGFF ({error})") from error
    array = _loaded(place / ".zarray", name)
    form = _Form.of(array, name)
    if [axis.get("name") for axis in axes] != ["z", "y", "x"] or len(scale) != 3:
        raise DataError(f"{name}: has axes {[axis.get('name') for axis in axes]}; z, y, x are needed")
    if isinstance(own := told.get("bonectl"), Mapping):
        header = Header.from_json(own, form.shape, form.dtype)
    else:
        sides = [
            float(step) * MILLIMETRES[axis["unit"]] if axis.get("unit") in MILLIMETRES else None
            for step, axis in zip(scale, axes, strict=True)
        ]
        known = [side if side is not None and is_length(side) else None for side in sides]
        header = Header(shape=form.shape, dtype=form.dtype, spacing=(known[0], known[1], known[2]))
    return Stack(header, _slabs(place, form, name, is_whole="bonectl" in told))


def _levels(shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """Shapes of the image, from the full size down."""
    found = [shape]
    while max(found[-1]) > SMALLEST:
        z, y, x = (max(1, n // 2) for n in found[-1])
        found.append((z, y, x))
    return found


def _described(header: Header, levels: Sequence[tuple[int, int, int]], spacing: Sequence[float]) -> dict[str, Any]:
    """The description of the image, and beside it our header."""
    datasets = []
    for number in range(len(levels)):
        factor = 2.0**number
        moves: list[dict[str, Any]] = [{"type": "scale", "scale": [step * factor for step in spacing]}]
        if number:  # the middle of the first voxel of a smaller size
            moves.append({"type": "translation", "translation": [step * (factor - 1) / 2 for step in spacing]})
        datasets.append({"path": str(number), "coordinateTransformations": moves})
    axes = [
        {"name": axis, "type": "space"} | ({"unit": "millimeter"} if step is not None else {})
        for axis, step in zip("zyx", header.spacing, strict=True)
    ]
    image = {"version": "0.4", "name": "bonectl", "axes": axes, "datasets": datasets}
    return {"multiscales": [image], "bonectl": json.loads(_json.dumped(header.to_json()))}


class _Level:
    """One size of the image: gathers slices to chunks, and hands the mean of pairs of slices to the next size."""

    def __init__(self, folder: Path, shape: tuple[int, int, int], header: Header, following: "_Level | None") -> None:
        self.folder, self.shape, self.following = folder, shape, following
        self.dtype, self.is_label = np.dtype(header.dtype), header.unit == "label" or header.dtype == "|b1"
        self.held: list[Array] = []
        self.waiting: Array | None = None
        self.done = 0
        folder.mkdir()
        (folder / ".zarray").write_text(
            json.dumps(
                {
                    "zarr_format": 2, "shape": shape, "chunks": CHUNK, "dtype": header.dtype, "compressor": None,
                    "fill_value": False if header.dtype == "|b1" else 0, "order": "C", "filters": None,
                    "dimension_separator": "/",
                }
            ),
            "ascii",
        )  # fmt: skip

    @classmethod
    def chain(cls, folder: Path, levels: Sequence[tuple[int, int, int]], header: Header) -> "_Level":
        """All sizes, the full one first."""
        following: _Level | None = None
        for number in range(len(levels) - 1, -1, -1):
            following = cls(folder / str(number), levels[number], header, following)
        assert following is not None
        return following

    def take(self, one: Array) -> None:
        """Take the next slice."""
        self.held.append(one)
        if len(self.held) == CHUNK[0]:
            self._flush()
        if self.following is not None:
            self._halve(one)

    def close(self) -> None:
        """Write what is still held, of all sizes."""
        if self.held:
            self._flush()
        if self.following is not None:
            if self.waiting is not None and self.shape[0] == 1:
                self.following.take(self._small(self.waiting, self.waiting))
            self.following.close()

    def _halve(self, one: Array) -> None:
        if self.waiting is None:
            self.waiting = one
            return
        assert self.following is not None
        self.following.take(self._small(self.waiting, one))
        self.waiting = None

    def _small(self, one: Array, other: Array) -> Array:
        """Half the size of two slices."""
        assert self.following is not None
        _, rows, columns = self.following.shape
        if self.is_label:
            return np.ascontiguousarray(one[::2, ::2][:rows, :columns])
        across = [one if n == 1 else one[: 2 * n].reshape(n, 2, -1).mean(1) for one, n in ((one, rows), (other, rows))]
        both = (across[0] + across[1]) / 2
        small = both if columns == 1 else both[:, : 2 * columns].reshape(rows, columns, 2).mean(2)
        return np.asarray(np.rint(small) if self.dtype.kind in "iu" else small).astype(self.dtype)

    def _flush(self) -> None:
        """Write the chunks of the slices that are held."""
        slab = np.stack(self.held)
        row = self.folder / str(self.done // CHUNK[0])
        for y, x in product(range(ceil(self.shape[1] / CHUNK[1])), range(ceil(self.shape[2] / CHUNK[2]))):
            part = slab[:, y * CHUNK[1] : (y + 1) * CHUNK[1], x * CHUNK[2] : (x + 1) * CHUNK[2]]
            chunk = np.zeros(CHUNK, self.dtype)
            chunk[: part.shape[0], : part.shape[1], : part.shape[2]] = part
            (row / str(y)).mkdir(parents=True, exist_ok=True)
            (row / str(y) / str(x)).write_bytes(chunk.tobytes())
        self.done += len(self.held)
        self.held = []


class _Form:
    """How an array lies in its chunks."""

    def __init__(self, array: Mapping[str, Any], name: str) -> None:
        self.shape: tuple[int, int, int] = tuple(int(n) for n in array["shape"])  # type: ignore[assignment]
        self.chunks = tuple(int(n) for n in array["chunks"])
        self.stored = np.dtype(array["dtype"])
        self.dtype = str(self.stored.newbyteorder("<").str)
        self.packed = (array["compressor"] or {}).get("id")
        self.between = array.get("dimension_separator", ".")
        self.fill = array.get("fill_value") or 0
        if len(self.shape) != 3 or len(self.chunks) != 3 or min(*self.shape, *self.chunks) < 1:
            raise ValueError(f"shape {self.shape} in chunks of {self.chunks}")
        if self.dtype not in DTYPES:
            raise ValueError(f"values of type {self.stored}")
        if self.packed not in (None, "zlib", "gzip") or array.get("filters") or array.get("order", "C") != "C":
            raise ValueError(f"chunks in {self.packed or 'another order'}")

    @classmethod
    def of(cls, array: Mapping[str, Any], name: str) -> "_Form":
        """By the description of an array."""
        try:
            return cls(array, name)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{name}: holds an array that bonectl does not read ({error})") from error


def _slabs(place: Path, form: _Form, name: str, *, is_whole: bool) -> Iterator[Array]:
    """Slabs of a chunk's depth; what bonectl wrote lacks no chunk, others may leave out what holds nothing."""
    depth, rows, columns = form.chunks
    left_out = 0
    for z in range(ceil(form.shape[0] / depth)):
        slab = np.zeros((min(depth, form.shape[0] - z * depth), *form.shape[1:]), np.dtype(form.dtype))
        for y, x in product(range(ceil(form.shape[1] / rows)), range(ceil(form.shape[2] / columns))):
            target = slab[:, y * rows : (y + 1) * rows, x * columns : (x + 1) * columns]
            chunk = _chunk(path := place / form.between.join(map(str, (z, y, x))), form, name)
            if chunk is None and is_whole:
                raise DataError(f"{name}: the chunk {path} is missing; copy it again")
            left_out += chunk is None
            target[...] = form.fill if chunk is None else chunk[: len(target), : target.shape[1], : target.shape[2]]
        yield slab
    if left_out:
        many = counted(left_out, "chunk is", "chunks are")
        progress.note(f"{name}: {many} left out, and read as {form.fill}")


def _chunk(path: Path, form: _Form, name: str) -> Array | None:
    """One chunk; None where it was left out, because all of it is the filling value."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise reading.failure(path, error) from error
    if form.packed is not None:
        try:
            raw = zlib.decompress(raw, wbits=47)
        except zlib.error as error:
            raise DataError(f"{name}: the chunk {path.name} of {path.parent} is damaged ({error})") from error
    count = int(np.prod(form.chunks))
    if len(raw) != count * form.stored.itemsize:
        raise DataError(
            f"{name}: the chunk {path} has {len(raw)} of {count * form.stored.itemsize} bytes; copy it again"
        )
    return np.frombuffer(raw, form.stored).reshape(form.chunks)


def _loaded(path: Path, name: str) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8", "replace")
    except OSError as error:
        raise reading.failure(path, error) from error
    return _json.loaded(text, name)
