"""Scanners and facilities, a file per kind of scan: `claims` says whether something is of it, its function reads it.

`claimed` and `read` choose among them by what the bytes and names are.
"""

from pathlib import Path

from bonectl.core import kit
from bonectl.core.scan import Scan
from bonectl.core.spec import Spec
from bonectl.errors import DataError


def claimed(path: Path) -> str | None:
    """The scanner whose scan lies at a path, surest signs first; None where it is a stack, or nothing known.

    Parameters
    ----------
    path : Path
        A file, a folder, or a dataset in a file as ``file.h5:/path``.
    """
    for name in kit.names("scanners", by="PLACE"):
        if kit.load("scanners", name, "claims")(path):
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
