"""What kind of scan a path is: a scanner's, a stack in a file, or a folder of slices."""

import re
from pathlib import Path

# Readings without sample or beam, which are no scan of their own.
_ROLE = re.compile(r"(flats?|darks?|.*_180deg)([^a-z].*)?", re.IGNORECASE)
_SLICE = re.compile(r"(.*?)\d+\.tiff?", re.IGNORECASE)

# What is a scan by its first bytes or its name, and cannot be looked into.
UNREADABLE = "unreadable"

# Fewer files that are named alike are stacks of their own.
FEWEST = 3


def kind(path: Path) -> str | None:
    """What scan or stack a path is, by names and first bytes; None where it is none.

    What is damaged, empty, or a link to what is not there stays a scan: how it fails is told when it is read, and it is
    counted.
    """
    if (scanner := _scanner(path)) is not None:
        return scanner
    if path.is_dir():
        return "slices" if _is_series(path) else None
    if not (path.is_file() or path.is_symlink()) or _ROLE.fullmatch(path.stem):
        return None
    if path.is_symlink() and not path.is_file() and not path.suffix:  # it led to a folder, such as one on another disk
        return UNREADABLE
    from bonectl import io, scanners

    return io.named(path) or scanners.named(path)


def _scanner(path: Path) -> str | None:
    from bonectl import scanners
    from bonectl.errors import BonectlError

    try:
        return scanners.claimed(path)
    except (BonectlError, OSError, ValueError, KeyError):  # why is told when it is read
        return UNREADABLE


def _is_series(folder: Path) -> bool:
    """Whether a folder holds slices: single pages that are named alike up to a number."""
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return False
    found = [(match[1].lower(), name) for name in names if (match := _SLICE.fullmatch(name))]
    slices = [(series, name) for series, name in found if not _ROLE.fullmatch(Path(name).stem)]
    named = [series for series, _ in slices]
    alike = [name for series, name in slices if named.count(series) >= FEWEST]
    return bool(alike) and not _has_pages(folder / alike[0])


def _has_pages(path: Path) -> bool:
    """Whether a file holds several slices by itself; what cannot be read is told when it is read."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tif:
            return len(tif.pages) > 1
    except (OSError, ValueError):
        return False
