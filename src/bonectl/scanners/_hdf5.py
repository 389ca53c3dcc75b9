"""HDF5 files: what is in them, datasets as stacks, and what it amounts to that one cannot be read."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bonectl.core import reading
from bonectl.core.header import DTYPES, Header
from bonectl.core.scan import Source
from bonectl.core.slabs import Array, thickness
from bonectl.core.stack import Stack
from bonectl.errors import DataError, MissingInputError, UnavailableError

MAGIC = b"\x89HDF\r\n\x1a\n"
# A user block of one of these sizes may come before the magic bytes (HDF5 File Format Specification 3.0, II.A).
PLACES = (0, 512, 1024, 2048, 4096)

# Factors to what bonectl counts in, by the words that files use.
_LENGTHS = {1e3: "m meter metre", 10.0: "cm", 1.0: "mm millimeter millimetre", 1e-6: "nm"} | {
    1e-3: "um µm μm micron microns micrometer micrometre"
}
MILLIMETRES = {word: factor for factor, words in _LENGTHS.items() for word in words.split()}
KILOVOLTS = {"ev": 1e-3, "kev": 1.0, "mev": 1e3}
DEGREES = dict.fromkeys(("degree", "degrees", "deg", "°"), 1.0)
DEGREES |= dict.fromkeys(("radian", "radians", "rad"), 180 / np.pi)


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5; false for what is no file, or may not be read."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            for place in PLACES:
                file.seek(place)
                if file.read(len(MAGIC)) == MAGIC:
                    return True
    except (OSError, ValueError):
        return False
    return False


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An `h5py.File` for reading.

    Raises
    ------
    UnavailableError
        When h5py is not installed, or a compression needs a plugin.
    MissingInputError, PermissionDeniedError, DataError
        When it is not there, may not be read, or is damaged.
    """
    try:
        import h5py
    except ImportError:
        raise UnavailableError(f"{path}: is HDF5, and h5py is not installed: pip install 'bonectl[hdf5]'") from None
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise _unreadable(path, error) from error
    with file:
        yield file


def _unreadable(path: Path, error: OSError) -> Exception:
    if error.errno:
        return reading.failure(path, error)
    said = str(error)
    if "filter" in said or "plugin" in said:
        return UnavailableError(
            f"{path}: is compressed in a way that h5py lacks: pip install hdf5plugin, and try again"
        )
    if "truncated" in said:
        return DataError(f"{path}: is cut short: the end of the HDF5 file is missing; copy it again")
    if "locked" in said or "lock" in said:
        return DataError(f"{path}: is still being written (locked); wait until the acquisition has closed it")
    return DataError(f"{path}: is damaged HDF5 ({said.partition('(')[2].rstrip(')') or said})")


def found(group: Any, name: str, path: Path) -> Any:
    """A member of a group; None where it is not there.

    Raises
    ------
    MissingInputError
        When it is a link to something that is not there.
    """
    there = group.get(name) if _leads(group, name) else None
    if there is None and (link := dangling(group, name)):
        raise MissingInputError(f"{path}: {name} is a link to {link}, which is not there; copy that file too")
    return there


def dangling(group: Any, name: str) -> str:
    """Where a link leads whose target is not there; '' for what is no link, or leads somewhere."""
    import h5py

    for part in _parents(name):
        try:
            link = group.get(part, getlink=True)
        except (KeyError, ValueError):
            return ""
        if isinstance(link, h5py.ExternalLink) and not _leads(group, part):
            return f"{link.path} in {link.filename}"
        if isinstance(link, h5py.SoftLink) and not _leads(group, part):
            return str(link.path)
        if link is None:
            return ""
    return ""


def _parents(name: str) -> list[str]:
    parts = name.strip("/").split("/")
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def _leads(group: Any, name: str) -> bool:
    try:
        return bool(group.get(name) is not None)
    except (OSError, KeyError):
        return False


def text(value: Any) -> str:
    """An attribute or dataset of one word, whatever its type."""
    value = np.ravel(value)[0] if np.size(value) else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def quantity(group: Any, names: Sequence[str], units: dict[str, float], usual: str) -> float | None:
    """The first of several datasets that holds a number, in what `units` convert to; None where none does.

    Parameters
    ----------
    group : h5py.Group
    names : sequence of str
        Where it may stand.
    units : mapping
        Factor by the word of the attribute ``units``.
    usual : str
        The unit where the attribute is missing.
    """
    for name in names:
        there = group.get(name)
        try:
            value = float(np.ravel(there[()])[0]) if there is not None else np.nan
        except (TypeError, ValueError, IndexError, OSError):
            continue
        factor = units.get(text(there.attrs.get("units", usual)).strip().lower()) if there is not None else None
        if np.isfinite(value) and factor is not None:
            return value * factor
    return None


def dtype_of(dataset: Any, path: Path) -> str:
    """The type that a stack of it has.

    Raises
    ------
    DataError
        When it holds no numbers that a stack takes.
    """
    kind = np.dtype(dataset.dtype)
    name = str(kind.newbyteorder("<").str if kind.kind in "iuf" else kind.str)
    if name not in DTYPES:
        raise DataError(f"{path}: {dataset.name} holds values of type {kind}; numbers are needed")
    return name


def source(path: Path, name: str, header: Header, frames: Sequence[int] | None = None) -> Source:
    """A dataset (frame, row, col) as a stack; some of its frames where `frames` lists them, in that order."""
    runs = _runs(range(header.shape[0]) if frames is None else frames)

    @contextmanager
    def open_() -> Iterator[Stack]:
        with opened(path) as file:
            dataset = found(file, name, path)
            yield Stack(header, _slabs(dataset, runs, header, path))

    return Source(header, open_)


def _runs(frames: Sequence[int]) -> list[tuple[int, int]]:
    """Unbroken runs [start, stop) of a list of frames."""
    if isinstance(frames, range):
        return [(frames.start, frames.stop)]
    cuts = [0, *(i for i, (one, other) in enumerate(pairwise(frames), 1) if other != one + 1), len(frames)]
    return [(frames[low], frames[high - 1] + 1) for low, high in pairwise(cuts) if low < high]


def _slabs(dataset: Any, runs: Sequence[tuple[int, int]], header: Header, path: Path) -> Iterator[Array]:
    size = thickness(header.slice_bytes)
    for first, last in runs:
        for start in range(first, last, size):
            try:
                part = dataset[start : min(start + size, last)]
            except OSError as error:
                raise _unreadable(path, error) from error
            yield np.ascontiguousarray(part, dtype=header.dtype)


@contextmanager
def created(path: Path) -> Iterator[Any]:
    """A new `h5py.File`; raises UnavailableError where h5py is not installed."""
    try:
        import h5py
    except ImportError:
        raise UnavailableError(f"{path}: HDF5 needs h5py: pip install 'bonectl[hdf5]'") from None
    with h5py.File(path, "w") as file:
        yield file


def group(parent: Any, name: str, kind: str) -> Any:
    """A new group of a NeXus class."""
    made = parent.create_group(name)
    made.attrs["NX_class"] = kind
    return made


def put(parent: Any, name: str, shape: Sequence[int], frames: Iterable[Any], dtype: str) -> None:
    """A new dataset, filled frame by frame."""
    made = parent.create_dataset(name, shape, dtype)
    for i, frame in enumerate(frames):
        made[i] = frame
