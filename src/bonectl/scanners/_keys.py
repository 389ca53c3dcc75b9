"""Texts of ``key=value`` lines in which scanners tell what they did: SkyScan's logs, Nikon's xtekct, the ESRF's info.

Such texts also name people, computers and folders. Only what is asked for by its key is ever taken out of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from bonectl.core import reading
from bonectl.errors import DataError

# No log is longer [byte].
MOST_BYTES = 1 << 20
# No scanner takes more views, and no detector has more rows or columns.
MOST_COUNTED = 1e6
_NUMBER = re.compile(r"\s*([-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?)")
_SECTION = re.compile(r"\[(.*)\]")


@dataclass(frozen=True)
class Keys:
    """What a text says, found by keys whose case, blanks and punctuation do not count: they differ by model.

    Parameters
    ----------
    path : Path
    values : mapping
        Value by (section, key), both plain; the section is '' before the first.
    """

    path: Path
    values: Mapping[tuple[str, str], str] = field(repr=False)

    @classmethod
    def of(cls, path: Path) -> "Keys":
        """Read a text, whatever ends its lines; bytes that are no UTF-8 are taken as Latin-1.

        Raises
        ------
        MissingInputError, PermissionDeniedError, WriteError
            When it is not there, may not be read, or reading fails.
        """
        section = ""
        values: dict[tuple[str, str], str] = {}
        for line in text(path).splitlines():
            if there := _SECTION.fullmatch(line.strip()):
                section = plain(there[1])
                continue
            key, equals, value = line.partition("=")
            if equals and not key.lstrip().startswith((";", "#")):
                values.setdefault((section, plain(key)), value.strip())
        return cls(path, values)

    def word(self, *names: str, section: str = "") -> str:
        """The first value of several keys that is there; in one section where it is named; '' where none is."""
        for name in map(plain, names):
            for (where, key), value in self.values.items():
                if key == name and value and (not section or where == plain(section)):
                    return value
        return ""

    def number(self, *names: str) -> float | None:
        """The same as a number, which may be followed by its unit; None where there is none."""
        there = _NUMBER.match(self.word(*names))
        value = float(there[1].replace(",", ".")) if there else float("nan")
        return value if isfinite(value) else None

    def needed(self, *names: str) -> float:
        """The same; raises DataError where there is none."""
        value = self.number(*names)
        if value is None:
            raise DataError(f"{self.path}: has no number for {names[0]!r}; was the file cut short?")
        return value

    def length(self, *names: str) -> float:
        """The same; raises DataError where it is not positive, too."""
        value = self.needed(*names)
        if value <= 0:
            raise DataError(f"{self.path}: says {value:g} for {names[0]!r}; a length is more than 0")
        return value

    def count(self, *names: str) -> int:
        """The same as a whole number of at least 1, and of no more than any scanner counts."""
        value = self.length(*names)
        if not 0.5 < value < MOST_COUNTED:
            raise DataError(f"{self.path}: says {value:g} for {names[0]!r}; is it damaged?")
        return round(value)

    def has(self, *names: str) -> bool:
        """Whether all of some keys are there, in whatever section."""
        return {*map(plain, names)} <= {key for _, key in self.values}


def plain(name: str) -> str:
    """A key without what differs between models: case, blanks and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def text(path: Path) -> str:
    """The text of a file, UTF-8 or else Latin-1, of which no byte is wrong.

    Raises
    ------
    MissingInputError, PermissionDeniedError, WriteError
        When it is not there, may not be read, or reading fails.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES)
    except OSError as error:
        raise reading.failure(path, error) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
