"""Any other HDF5 file: one dataset of it, named as ``file.h5:/path``."""

from pathlib import Path
from typing import Any

from bonectl.core.scan import Scan
from bonectl.errors import DataError, UsageError
from bonectl.scanners import _hdf5
from bonectl.scanners._projections import header

TITLE = "HDF5 dataset"
PLACE = 3
EXTRA = "hdf5"
# Ends of names that HDF5 files of scans have, also where they are empty or are not there any more.
SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs", ".nx5")

MOST_SHOWN = 4


def claims(path: Path) -> bool:
    """Whether it is HDF5, or names a dataset in such a file."""
    return _hdf5.is_hdf5(_parted(path)[0])


def hdf5(path: Path, *, dataset: str = "") -> Scan:
    """A dataset of three axes (view, row, col), of which nothing more is known.

    Parameters
    ----------
    path : Path
        The file, or ``file.h5:/path`` with the dataset's place in it.
    dataset : str
        The same place, where the name of the file does not say it.

    Raises
    ------
    DataError
        When there is no such dataset, or it has another number of axes.
    UsageError
        When no dataset is named, and there is not exactly one of three axes.
    """
    path, named = _parted(path)
    with _hdf5.opened(path) as file:
        name = dataset or named or _only(file, path)
        there = _hdf5.found(file, name, path)
        if there is None or not hasattr(there, "shape"):
            raise DataError(f"{path}: holds no dataset {name}; there are {_shown(_candidates(file)) or 'none'}")
        told = header(there.shape, _hdf5.dtype_of(there, path), f"{path}:{name}", unit="grey")
    return Scan(
        kind="hdf5",
        name=f"{path.name}:{name}",
        files=(path,),
        stack=_hdf5.source(path, name, told),
        problems=("no angles: give --angles", "nothing says what its values are: give --input-unit, or --flats"),
        notes=("no pixel size: give --voxel-size in mm",),
    )


def _parted(path: Path) -> tuple[Path, str]:
    """File and dataset of ``file.h5:/path``."""
    if path.exists():
        return path, ""
    before, colon, after = str(path).partition(":/")
    return (Path(before), f"/{after}") if colon else (path, "")


def _only(file: Any, path: Path) -> str:
    there = _candidates(file)
    if len(there) == 1:
        return there[0]
    if not there:
        raise DataError(f"{path}: holds no dataset of three axes that is a stack")
    raise UsageError(f"{path}: holds {_shown(there)}; name one: {path.name}:{there[0]}")


def _candidates(file: Any) -> list[str]:
    """Places of datasets of numbers along three axes."""
    found: list[str] = []

    def look(name: str, member: Any) -> None:
        if getattr(member, "ndim", 0) == 3 and member.dtype.kind in "iuf":
            found.append(f"/{name}")

    file.visititems(look)
    return found


def _shown(names: list[str]) -> str:
    return ", ".join(names[:MOST_SHOWN]) + (f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else "")
