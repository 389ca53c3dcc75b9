"""Which files are the slices of one stack: by folder or pattern, in which order, and whether one is missing.

The slices are the ``.tif`` and ``.tiff`` files (any case) whose names differ in one number, in the order of
that number. A gap, a number given twice, and files of two series are errors that name the files. ``flat*``, ``dark*``
and ``*_180deg*`` are other roles of a scan, not slices, unless the folder holds nothing else. Files whose names begin
with a dot are ignored.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bonectl.core import progress, reading
from bonectl.core.counted import counted
from bonectl.errors import DataError, MissingInputError

PATTERN = re.compile(r"%0?\d*d")
"""The place of the slice's number in the name of a file per slice, as in ``slice_%05d.tif``."""

_NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\.tiff?)", re.IGNORECASE)
_SUFFIX = re.compile(r".*\.tiff?", re.IGNORECASE)
_ROLE = re.compile(r"(flats?|darks?|.*_180deg)([^a-z].*|\.tiff?)", re.IGNORECASE)


def is_several(path: Path) -> bool:
    """Whether a name stands for a folder of slices, or for a pattern of their names."""
    return reading.is_folder(path) or PATTERN.search(path.name) is not None


@dataclass(frozen=True)
class _Slice:
    path: Path
    series: str
    number: int


def slices(path: Path) -> list[Path]:
    """The files of a folder, or of a pattern such as ``slice_%05d.tif``, that are slices, in order.

    Raises
    ------
    MissingInputError, PermissionDeniedError
        When no file matches, or the folder cannot be listed.
    DataError
        When the files are not one unbroken series.
    """
    return _of_pattern(path) if PATTERN.search(path.name) else _members(path)


def frames(folder: Path, role: str) -> list[Path]:
    """The files of a scan's folder that have a role in it, ``flat`` or ``dark``, in order; maybe none."""
    named = re.compile(rf"({role}s?)([^a-z].*|\.tiff?)", re.IGNORECASE)
    return sorted(path for path in _listed(folder) if named.fullmatch(path.name) and _SUFFIX.fullmatch(path.name))


def name_of(pattern: str, number: int) -> str:
    """The file name of a slice."""
    return PATTERN.sub(lambda place: place[0] % number, pattern, count=1)


def matching(path: Path) -> list[Path]:
    """The files that a pattern such as ``slice_%05d.tif`` may name, in no order."""
    return [member for _, member in _matches(path)]


def beside(path: Path) -> int:
    """How many other files of its folder are of the same series as a file: named alike up to the number."""
    own = _NUMBERED.fullmatch(path.name)
    if own is None or not path.is_file():
        return 0
    named = [_NUMBERED.fullmatch(other.name) for other in _listed(path.parent)]
    alike = [m for m in named if m is not None and m["prefix"].casefold() == own["prefix"].casefold()]
    return len(alike) - 1


def _matches(path: Path) -> list[tuple[int, Path]]:
    before, after = PATTERN.split(path.name, maxsplit=1)
    shape = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    return [(int(match[1]), member) for member in _listed(path.parent) if (match := shape.fullmatch(member.name))]


def _of_pattern(path: Path) -> list[Path]:
    found = _matches(path)
    if not found:
        raise MissingInputError(f"{path}: no file matches")
    return _ordered([_Slice(member, path.name, number) for number, member in found], path)


def _members(folder: Path) -> list[Path]:
    """The slices of a folder, in order."""
    files = [path for path in _listed(folder) if _SUFFIX.fullmatch(path.name) and not path.name.startswith(".")]
    if not files:
        raise MissingInputError(f"{folder}: holds no .tif file; a folder of slices is needed")
    found = [path for path in files if not _ROLE.fullmatch(path.name)]
    if found and len(found) < len(files):
        others = sorted(path.name for path in set(files) - set(found))
        many = counted(len(others), "file has", "files have")
        progress.note(f"{folder}: {many} another role in a scan, no slice of it ({others[0]} ...)")
    return in_order(found or files, folder)


def in_order(found: Sequence[Path], where: Path) -> list[Path]:
    """Files that are one unbroken series, in the order of the number in their names.

    Raises
    ------
    DataError
        Naming the files, for a gap, a number given twice, or two series; `where` is what the message calls them.
    """
    if len(found) == 1:  # one slice, or a whole stack that lies in a folder of its own
        return list(found)
    numbered = [(_NUMBERED.fullmatch(path.name), path) for path in found]
    if odd := [path.name for match, path in numbered if match is None]:
        raise DataError(f"{where}: {odd[0]} has no number before its suffix, so its place in the stack is unknown")
    return _ordered(
        [_Slice(path, match["prefix"].casefold(), int(match["number"])) for match, path in numbered if match], where
    )


def _ordered(found: Sequence[_Slice], where: Path) -> list[Path]:
    """Check that the slices are one series without gap or double."""
    series = {one.series: one.path.name for one in reversed(found)}
    if len(series) > 1:
        first, second = sorted(series.values())[:2]
        raise DataError(f"{where}: holds two series ({first} and {second}); give a pattern such as slice_%05d.tif")
    ordered = sorted(found, key=lambda one: (one.number, one.path.name))
    for one, following in pairwise(ordered):
        if following.number == one.number:
            raise DataError(f"{where}: {one.path.name} and {following.path.name} have the same number")
        if following.number > one.number + 1:
            missing = following.number - one.number - 1
            raise DataError(
                f"{where}: {counted(missing, 'slice is', 'slices are')}"
                f" missing between {one.path.name} and {following.path.name}"
            )
    return [one.path for one in ordered]


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise reading.failure(folder, error) from error
