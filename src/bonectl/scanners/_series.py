"""The files of a scan that are numbered in their names, against what its log promises."""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bonectl.core.counted import counted
from bonectl.core.header import Header
from bonectl.core.scan import Source
from bonectl.core.stack import Stack
from bonectl.errors import DataError, MissingInputError
from bonectl.scanners import _slices

# Names of missing files that a message gives.
MOST_NAMED = 2


@dataclass(frozen=True)
class Series:
    """Files by their number, and what is wrong with them.

    Parameters
    ----------
    files : tuple of Path
        Those of the promised numbers that are there, in order.
    problems : tuple of str
        What is missing, or too much.
    """

    files: tuple[Path, ...]
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, folder: Path, name: re.Pattern[str], promised: int, log: Path) -> "Series":
        """Files of a folder whose names match a pattern with the group ``number``.

        Parameters
        ----------
        folder : Path
        name : pattern
        promised : int
            How many there should be.
        log : Path
            The file that promises it.
        """
        there: dict[int, Path] = {}
        for path in _slices.listed(folder):
            if match := name.fullmatch(path.name):
                there.setdefault(int(match["number"]), path)
        if not there:
            return cls((), (f"none of the {counted(promised, 'projection')} of {log.name} lies beside it",))
        first = min(there) if min(there) in (0, 1) else 0
        wanted = range(first, first + promised)
        found = tuple(there[number] for number in wanted if number in there)
        problems = []
        if gone := [number for number in wanted if number not in there]:
            names = ", ".join(_named(there, number) for number in gone[:MOST_NAMED])
            more = " ..." if len(gone) > MOST_NAMED else ""
            be = "is" if len(gone) == 1 else "are"
            problems.append(f"{len(found)} of {counted(promised, 'projection')}: {names}{more} {be} missing")
        if len(there) > len(found):
            what = counted(len(there) - len(found), "projection")
            problems.append(f"{what} more than the {promised} that {log.name} promises; was another scan left here?")
        return cls(found, tuple(problems))

    def source(self, header: Header, log: Path) -> Source:
        """Its frames under a header; opening it raises the problem where there is one."""
        if not self.problems:
            return _slices.frames(self.files, log.name, **_told(header))

        def open_() -> AbstractContextManager[Stack]:
            raise (DataError if self.files else MissingInputError)(f"{log.parent}: {self.problems[0]}")

        return Source(header, open_)


def _named(there: dict[int, Path], number: int) -> str:
    """What the file of a number would be called, by one that is there."""
    like = there[min(there)].name
    places = list(re.finditer(r"\d+", like.rpartition(".")[0]))[-1]
    return f"{like[: places.start()]}{number:0{len(places[0])}d}{like[places.end() :]}"


def _told(header: Header) -> dict[str, object]:
    return {
        "unit": header.unit,
        "pitch": header.spacing[1:],
        "acquisition": dict(header.acquisition),
        "geometry": header.geometry,
    }


def first_of(files: Sequence[Path]) -> Header | None:
    """The header of the first of some files; None where there is none."""
    return _slices.frames(files[:1], files[0].name).header if files else None
