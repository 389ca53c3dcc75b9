"""The middle slice of a volume that a scan left, small, and what its header says of how it was made."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonectl.batching import record
from bonectl.batching.discovery import HIDDEN
from bonectl.core.header import Header
from bonectl.errors import BonectlError

# Longest side of a picture [pixel].
SIDE = 256


@dataclass(frozen=True, eq=False)
class Middle:
    """A picture and some facts of a volume.

    Parameters
    ----------
    values : (y, x) array
        The middle slice, of at most `SIDE` pixels, in `unit`.
    unit : str
    facts : mapping
        The column of the rotation axis and where it came from, where the history tells.
    """

    values: NDArray[np.float32]
    unit: str
    facts: Mapping[str, Any]


def middle(volume: Path, folder: Path) -> Middle | None:
    """That of a volume; None where it cannot be read.

    Parameters
    ----------
    volume : Path
        A file, or a pattern of slices.
    folder : Path
        The scan's, where the picture is kept for the next time.
    """
    files = record.files(volume.parent, volume.name)
    if not files:
        return None
    kept = folder / HIDDEN / "middle.npz"
    newest = max(file.stat().st_mtime_ns for file in files)
    if kept.is_file() and kept.stat().st_mtime_ns > newest:
        try:
            with np.load(kept) as told:
                facts = {name: told[name].item() for name in told.files if name not in ("values", "unit")}
                return Middle(told["values"], str(told["unit"]), facts)
        except (OSError, ValueError, KeyError):
            kept.unlink(missing_ok=True)
    try:
        made = _read(volume, files)
    except (BonectlError, OSError, ValueError, KeyError):
        return None
    try:
        np.savez(kept, values=made.values, unit=np.array(made.unit), **dict(made.facts))
    except OSError:  # it is there for speed alone
        kept.unlink(missing_ok=True)
    return made


def _read(volume: Path, files: list[Path]) -> Middle:
    from bonectl import io

    with io.open(volume, stored=True) as stack:
        header = stack.header
        number = header.shape[0] // 2
        values = _stored(files, number)
        if values is None or values.shape != header.shape[1:]:
            values = _walked(stack.slabs, number)
    slope, intercept = header.scaling or (1.0, 0.0)
    small = _small(values.astype(np.float32)) * np.float32(slope) + np.float32(intercept)
    return Middle(small, header.unit, _facts(header))


def _stored(files: list[Path], number: int) -> NDArray[Any] | None:
    """One slice without those before it, where the format lets."""
    if len(files) > 1:
        files, number = [files[number]], 0
    suffix = files[0].suffix.lower()
    if suffix == ".npy":
        return np.asarray(np.load(files[0], mmap_mode="r", max_header_size=1 << 30)[number])
    if suffix in (".tif", ".tiff"):
        import tifffile

        with tifffile.TiffFile(files[0]) as tif:
            return np.asarray(tif.pages[number].asarray()) if number < len(tif.pages) else None
    return None


def _walked(slabs: Any, number: int) -> NDArray[Any]:
    for slab in slabs:
        if number < len(slab):
            return np.asarray(slab[number])
        number -= len(slab)
    raise ValueError("a stack without its middle")


def _small(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of blocks of pixels, so that noise looks as it is from afar."""
    block = -(-max(values.shape) // SIDE)
    if block == 1:
        return values
    rows, columns = (n // block for n in values.shape)
    parts = values[: rows * block, : columns * block].reshape(rows, block, columns, block)
    return np.asarray(parts.mean(axis=(1, 3), dtype=np.float32))


def _facts(header: Header) -> dict[str, Any]:
    for entry in reversed(header.history):
        if "centre" in entry.notes:
            return {name: entry.notes[name] for name in ("centre", "centre_from") if name in entry.notes}
    return {}
