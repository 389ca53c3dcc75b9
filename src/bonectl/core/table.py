"""What a measurement says: numbers with units and definitions, beside a reference."""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from io import StringIO
from math import isfinite
from types import MappingProxyType
from typing import Any

SCHEMA = "bonectl.measure/1"

COLUMNS = (
    "name",
    "value",
    "unit",
    "reference",
    "difference",
    "percent",
    "definition",
    "value_low",
    "value_high",
    "difference_low",
    "difference_high",
)

# What follows a number's name in the heads of `Columns`.
BESIDE = ("_reference", "_difference", "_percent")
AROUND = ("_low", "_high", "_difference_low", "_difference_high")

# Significant digits of a number in TSV: all that a float32 voxel can carry. JSON has every bit.
DIGITS = 9

# How a unit ends the name of a column, and of a known answer in a header; what is in the unit of the volume's values
# has no ending, for volumes differ in it.
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
        "um": "_um",
        "dB": "_db",
        "degree": "_degree",
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


@dataclass(frozen=True)
class Doubt:
    """Why a metric should not be believed here, or what it cannot say.

    Parameters
    ----------
    text : str
        One line, with the knob that would mend it.
    """

    text: str


Finding = Number | Histogram | Doubt


@dataclass(frozen=True)
class Interval:
    """Where a number lies with a stated confidence.

    Parameters
    ----------
    low, high : float
        In the number's unit.
    source : str
        Method, confidence and what was drawn, such as ``"95 %, bootstrap of 27 blocks of 1.2 mm"``.
    """

    low: float
    high: float
    source: str

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"low": _plain(self.low), "high": _plain(self.high), "source": self.source}


@dataclass(frozen=True)
class Row:
    """A number, and what it should have been.

    Parameters
    ----------
    number : Number
    reference : float, optional
        The same number of the reference, or the phantom's known answer.
    interval : Interval, optional
        Of the value.
    difference_interval : Interval, optional
        Of value minus reference.
    """

    number: Number
    reference: float | None = None
    interval: Interval | None = None
    difference_interval: Interval | None = None

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
        """As JSON values; what is not a number is null, and an interval that does not exist has no key."""
        value: dict[str, Any] = {
            "name": self.number.name,
            "value": _plain(self.number.value),
            "unit": self.number.unit,
            "reference": _plain(self.reference),
            "difference": _plain(self.difference),
            "percent": _plain(self.percent),
            "definition": self.number.definition,
        }
        if self.interval is not None:
            value["interval"] = self.interval.to_json()
        if self.difference_interval is not None:
            value["difference_interval"] = self.difference_interval.to_json()
        return value


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

        return replace(self, rows=tuple(replace(row, reference=known(row)) for row in self.rows))

    @property
    def interval_sources(self) -> tuple[str, ...]:
        """What the intervals of the rows say they are, each once."""
        found = [interval for row in self.rows for interval in (row.interval, row.difference_interval)]
        return tuple(dict.fromkeys(interval.source for interval in found if interval is not None))

    def stated(self) -> dict[str, float | int | str | None]:
        """The conditions, and as further ones where intervals come from and which numbers not to trust."""
        more: dict[str, float | int | str | None] = dict(self.conditions)
        if self.interval_sources:
            more["intervals"] = "; ".join(self.interval_sources)
        if self.warnings:
            more["warnings"] = "; ".join(self.warnings)
        return more

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

        Rows named ``intervals`` and ``warnings`` follow the conditions where there are any. Numbers have the digits
        of `_text`; an empty field is a value that does not exist.
        """
        empty = [""] * 4
        lines = [list(COLUMNS)]
        lines += [[name, _text(value), *empty, "condition", *empty] for name, value in self.stated().items()]
        for row in self.rows:
            value, *beside = _wide(row)
            numbers = [row.number.name, value, row.number.unit, *beside[:3]]
            lines.append([*numbers, row.number.definition, *beside[3:]])
        return "".join("\t".join(line) + "\n" for line in lines)


@dataclass(frozen=True)
class Columns:
    """The columns of a table with one line for each volume: known beforehand, and the same whatever the volumes are.

    They are ``file``, the conditions, and the numbers by name and unit (``tbth_mm``; ratios and counts by name alone).
    Each number may be followed by the same of the reference (``tbth_reference_mm``), the difference, and that in
    percent, and by the ends of its intervals. An empty field is a value that does not exist.

    Parameters
    ----------
    conditions : tuple of str
        Names, as in `Table.stated`.
    numbers : mapping
        Unit by name of number.
    compared : bool
        Whether numbers are followed by `BESIDE`.
    around : bool
        Whether numbers are followed by `AROUND`.
    """

    conditions: tuple[str, ...]
    numbers: Mapping[str, str]
    compared: bool = False
    around: bool = False

    def heads(self) -> list[str]:
        """Names of the columns."""
        return ["file", *self.conditions, *(_head(*each, end) for each in self.numbers.items() for end in self._ends())]

    def cells(self, file: str, table: Table) -> list[str]:
        """The line of one volume: a text for each column."""
        stated, rows = table.stated(), {row.number.name: row for row in table.rows}
        line = [_text(file), *(_text(stated.get(name)) for name in self.conditions)]
        shown = self._ends()
        for name in self.numbers:
            texts = zip(("", *BESIDE, *AROUND), _wide(rows.get(name)), strict=True)
            line += [text for end, text in texts if end in shown]
        return line

    def _ends(self) -> tuple[str, ...]:
        return ("", *(BESIDE if self.compared else ()), *(AROUND if self.around else ()))


def _head(name: str, unit: str, end: str) -> str:
    """The name of a column; a unit that the name has already is not said twice."""
    suffix = "" if end == "_percent" else _SUFFIXES.get(unit, "")
    return name + end + ("" if (name + end).endswith(suffix) else suffix)


def tsv_line(cells: Iterable[str]) -> str:
    """Texts without tabs and line breaks as one line, without its end."""
    return "\t".join(cells)


def csv_line(cells: Iterable[str]) -> str:
    """Texts as one line by RFC 4180, without its end: quoted where they hold commas or quotes."""
    page = StringIO()
    csv.writer(page, lineterminator="").writerow(cells)
    return page.getvalue()


def compared(measured: Iterable[Number], reference: Iterable[Number]) -> tuple[Row, ...]:
    """Rows of `measured`, each beside the number of the same name in `reference`."""
    theirs = {number.name: number.value for number in reference}
    return tuple(Row(number, theirs.get(number.name)) for number in measured)


def json_line(file: str, table: Table) -> str:
    """One of several volumes as JSON without a line break, its name under ``file``."""
    return json.dumps({"file": file, **table.to_json()}, ensure_ascii=False, allow_nan=False)


def _wide(row: Row | None) -> list[str]:
    """Value, `BESIDE` and `AROUND`."""
    if row is None:
        return [""] * (1 + len(BESIDE) + len(AROUND))
    intervals = (row.interval, row.difference_interval)
    ends = [end for i in intervals for end in ((None, None) if i is None else (i.low, i.high))]
    return [_text(value) for value in (row.number.value, row.reference, row.difference, row.percent, *ends)]


def _plain(value: float | int | str | None) -> float | int | str | None:
    return None if isinstance(value, float) and not isfinite(value) else value


def _text(value: float | int | str | None) -> str:
    """Integers in full, other numbers at `DIGITS` significant digits; tabs and newlines never occur."""
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.{DIGITS}g}"
    return " ".join(str(value).split())
