"""Scanners and facilities, a file per kind of scan: `claims` says whether something is of it, its function reads it.

`claimed` and `read` choose among them by what the bytes and names are; `open` gives a stack of whatever lies at a path.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bonectl import io
from bonectl.core import kit, progress
from bonectl.core.scan import Scan
from bonectl.core.spec import Spec
from bonectl.core.stack import Stack
from bonectl.errors import DataError

# As many first bytes as tell a stack, which is no scan whatever lies beside it.
HEAD = 64


def claimed(path: Path) -> str | None:
    """The scanner whose scan lies at a path, surest signs first; None where it is a stack, or nothing known.

    Parameters
    ----------
    path : Path
        A file, a folder, or a dataset in a file as ``file.h5:/path``.
    """
    if _is_stack(path):
        return None
    for name in kit.names("scanners", by="PLACE"):
        if kit.load("scanners", name, "claims")(path):
            return name
    return None


def named(path: Path) -> str | None:
    """The scanner that a file's name stands for, whatever is in the file; None where it stands for none."""
    for name in kit.names("scanners", by="PLACE"):
        if path.suffix.lower() in kit.describe("scanners", name).facts.get("SUFFIXES", ()):
            return name
    return None


def read(path: Path, spec: Spec | None = None) -> Scan:
    """The scan at a path.

    Parameters
    ----------
    path : Path
    spec : Spec, optional
        The scanner with its knobs; the one that claims the path where it is not given.

    Raises
    ------
    DataError
        When no scanner claims it, or its files do not fit together.
    """
    if spec is None:
        name = claimed(path)
        if name is None:
            raise DataError(f"{path}: is no scan that bonectl knows; there are {', '.join(kit.names('scanners'))}")
        spec = Spec(name, {})
    scan: Scan = kit.bind("scanners", spec)(path)
    return scan


def writers() -> dict[str, str]:
    """Parts that write scans as the scanner does, by the short name that they state as ``AS``."""
    parts = {name: kit.describe("scanners", name) for name in kit.names("scanners")}
    return {str(part.facts["AS"]): name for name, part in parts.items() if "AS" in part.facts}


def write(scan: Scan, path: Path, name: str) -> None:
    """Write a scan as a scanner of that kind leaves it, to a file or folder that is not there yet.

    Parameters
    ----------
    scan : Scan
        Projections with their geometry, in counts, and flats or a white level.
    path : Path
    name : str
        One of `writers`.

    Raises
    ------
    UsageError
        When files of that kind cannot tell the scan's geometry.
    """
    kit.load("scanners", writers()[name], "write")(scan, path)


@contextmanager
def open(path: Path, *, stored: bool = False) -> Iterator[Stack]:
    """The stack at a path: of a file or folder of slices, a scan's projections, or a volume that a scanner made.

    Parameters
    ----------
    path : Path
    stored : bool
        Whether whole numbers that stand for values (`Header.scaling`) stay as they are stored.

    Raises
    ------
    MissingInputError, PermissionDeniedError, DataError
        As `bonectl.io.open` and `read`.
    """
    if claimed(path) is None:
        with io.open(path, stored=stored) as stack:
            yield stack
        return
    scan = read(path)
    left = [word for word, there in (("flats", scan.flats), ("darks", scan.darks), ("angles", scan.angles)) if there]
    for line in (*scan.notes, *([f"its {', '.join(left)} are left; here are its projections"] if left else [])):
        progress.note(f"{path}: {line}")
    with scan.stack.open() as stack:
        yield stack


def _is_stack(path: Path) -> bool:
    """Whether a path is a file in one of the formats of stacks, a pipe or a device, or nothing that is there."""
    try:
        if not path.is_file():
            return not path.is_dir() and ":/" not in str(path)
        with path.open("rb") as file:
            return io.claimant(file.read(HEAD)) is not None
    except (OSError, ValueError):
        return False
