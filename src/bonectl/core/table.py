"""What a measurement says: numbers with units and definitions, beside a reference."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from types import MappingProxyType
from typing import Any

SCHEMA = "bonectl-measure/1"

COLUMNS = ("name", "value", "unit", "reference", "difference", "percent", "definition")

# How a unit ends the name of a known answer in a header.
_SUFFIXES = MappingProxyType(
    {
        "1": "",
        "voxels": "",
        "mm": "_mm",
        "mm2": "_mm2",
        "mm3": "_mm3",
        "1/mm": "_per_mm",
        "1/mm3": "_per_mm3",
        "mgHA/cm3": "_mgha_cm3",
    }
)


@dataclass(frozen=True)
class Number:
    """One number of a specimen.

    Parameters
    ----------
    name : str
        Short and stable: the row's name in every output.
    value : float
        NaN where the number is not defined.
    unit : str
    definition : str
        What is counted or averaged, and by which rule.
    """

    name: str
    value: float
    unit: str
    definition: str

    def __post_init__(self) -> None:
        plain = int(self.value) if isinstance(self.value, int) else float(self.value)
        object.__setattr__(self, "value", plain)


@dataclass(frozen=True)
class Histogram:
    """Counts in bins of equal width; what lies outside is in the first and last bin.

    Parameters
    ----------
    name, unit : str
    start, step : float
        Lower edge of the first bin, and the width of each.
    counts : tuple of int
    """

    name: str
    unit: str
    start: float
    step: float
    counts: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without the empty bins at both ends."""
        filled = [i for i, n in enumerate(self.counts) if n]
        low, high = (filled[0], filled[-1] + 1) if filled else (0, 0)
        return {
            "name": self.name,
            "unit": self.unit,
            "start": self.start + low * self.step,
            "step": self.step,
            "counts": list(self.counts[low:high]),
        }


Finding = Number | Histogram


@dataclass(frozen=True)
class Row:
    """A number, and what it should have been.

    Parameters
    ----------
    number : Number
    reference : float, optional
        The same number of the reference, or the phantom's known answer.
    """

    number: Number
    reference: float | None = None

    @property
    def difference(self) -> float | None:
        """Value minus reference."""
        return None if self.reference is None else self.number.value - self.reference

    @property
    def percent(self) -> float | None:
        """Difference in percent of the reference's magnitude; None where that is 0."""
        if self.reference is None or self.difference is None or self.reference == 0:
            return None
        return 100 * self.difference / abs(self.reference)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; what is not a number is null."""
        return {
            "name": self.number.name,
            "value": _plain(self.number.value),
            "unit": self.number.unit,
            "reference": _plain(self.reference),
            "difference": _plain(self.difference),
            "percent": _plain(self.percent),
            "definition": self.number.definition,
        }


@dataclass(frozen=True)
class Table:
    """Rows of numbers, with the conditions under which they hold.

    Parameters
    ----------
    rows : tuple of Row
    conditions : mapping
        Voxel size, volume of interest, threshold and its rule, unit: the minimum list of Bouxsein et al. (2010).
    histograms : tuple of Histogram
    reference : str
        What the reference column holds; empty when there is none.
    warnings : tuple of str
        Which numbers should not be trusted, and why.
    """

    rows: tuple[Row, ...]
    conditions: Mapping[str, float | int | str | None] = field(default_factory=dict)
    histograms: tuple[Histogram, ...] = ()
    reference: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "conditions", MappingProxyType(dict(self.conditions)))

    def __getitem__(self, name: str) -> float:
        """Value of the row of that name."""
        return self.row(name).number.value

    def row(self, name: str) -> Row:
        """The row of that name; KeyError when there is none."""
        for row in self.rows:
            if row.number.name == name:
                return row
        raise KeyError(name)

    def beside(self, answers: Mapping[str, float]) -> "Table":
        """A copy whose reference column holds known answers, keyed by row name with a unit suffix (``tbth_mm``)."""

        def known(row: Row) -> float | None:
            return answers.get(row.number.name + _SUFFIXES.get(row.number.unit, ""))

        return replace(self, rows=tuple(Row(row.number, known(row)) for row in self.rows))

    def to_json(self) -> dict[str, Any]:
        """As JSON values, under the schema `SCHEMA`."""
        return {
            "schema": SCHEMA,
            "conditions": {key: _plain(value) for key, value in self.conditions.items()},
            "reference": self.reference or None,
            "warnings": list(self.warnings),
            "rows": [row.to_json() for row in self.rows],
            "histograms": [histogram.to_json() for histogram in self.histograms],
        }

    def json(self) -> str:
        """`to_json` as indented text."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_tsv(self) -> str:
        """Tab-separated text with the columns `COLUMNS`; the conditions are rows before the numbers.

        Numbers are printed so that they read back exactly; an empty field is a value that does not exist.
        """
        lines = [COLUMNS]
        lines += [(f"{name}", _text(value), "", "", "", "", "condition") for name, value in self.conditions.items()]
        lines += [
            (
                row.number.name,
                _text(row.number.value),
                row.number.unit,
                _text(row.reference),
                _text(row.difference),
                _text(row.percent),
                row.number.definition,
            )
            for row in self.rows
        ]
        return "".join("\t".join(line) + "\n" for line in lines)


def compared(measured: Iterable[Number], reference: Iterable[Number]) -> tuple[Row, ...]:
    """Rows of `measured`, each beside the number of the same name in `reference`."""
    theirs = {number.name: number.value for number in reference}
    return tuple(Row(number, theirs.get(number.name)) for number in measured)


def list_json(tables: Iterable[tuple[str, Table]]) -> str:
    """Tables of several volumes as a JSON list; each has the name of its volume under ``file``."""
    values = [{"file": name, **table.to_json()} for name, table in tables]
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def wide_tsv(tables: Iterable[tuple[str, Table]]) -> str:
    """Tables of several volumes as tab-separated text, one line each under one line of column names.

    The columns are ``file``, the conditions, and the numbers by name; where any volume has a reference, each number
    is followed by its ``_reference``, ``_difference`` and ``_percent``. An empty field is a value that does not exist.
    """
    pairs = list(tables)
    conditions = list(dict.fromkeys(name for _, table in pairs for name in table.conditions))
    names = list(dict.fromkeys(row.number.name for _, table in pairs for row in table.rows))
    beside = ("_reference", "_difference", "_percent") if any(table.reference for _, table in pairs) else ()
    lines = [["file", *conditions, *(name + end for name in names for end in ("", *beside))]]
    for file, table in pairs:
        rows = {row.number.name: row for row in table.rows}
        line = [_text(file), *(_text(table.conditions.get(name)) for name in conditions)]
        for name in names:
            line += _wide(rows.get(name))[: 1 + len(beside)]
        lines.append(line)
    return "".join("\t".join(line) + "\n" for line in lines)


def _wide(row: Row | None) -> list[str]:
    """Value, reference, difference and percent."""
    if row is None:
        return [""] * 4
    return [_text(value) for value in (row.number.value, row.reference, row.difference, row.percent)]


def _plain(value: float | int | str | None) -> float | int | str | None:
    return None if isinstance(value, float) and not isfinite(value) else value


def _text(value: float | int | str | None) -> str:
    """Shortest text that reads back as the same value; tabs and newlines never occur."""
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(value) if isinstance(value, float) else " ".join(str(value).split())
