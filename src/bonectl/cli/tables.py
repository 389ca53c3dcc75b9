"""How the numbers of volumes are printed: for people, for spreadsheets, for programs."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from bonectl.cli import streams
from bonectl.core import ending
from bonectl.core.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Drawing

    from bonectl.core.table import Columns, Row, Table


class Style(StrEnum):
    """How a table is printed."""

    auto = "auto"
    table = "table"
    tsv = "tsv"
    csv = "csv"
    json = "json"


# Takes the name of a volume and its table.
Add = Callable[[str, "Table"], None]

# Columns that the definitions need to be worth showing, and what they cost beside.
_LEAST_DEFINITION = 24
_MARGIN = 3

# Columns of what is no terminal.
_PAGE = 110

# Columns that the name of a volume may take before it is folded.
_FILE = 16


def chosen(style: Style) -> Style:
    """What auto is: a table on a terminal, TSV elsewhere."""
    if style is not Style.auto:
        return style
    return Style.table if sys.stdout is not None and sys.stdout.isatty() else Style.tsv


def show(table: "Table", style: Style) -> None:
    """Print the table of one volume, a line for each number."""
    match chosen(style):
        case Style.table:
            _draw(table)
        case Style.json:
            streams.say(table.json().rstrip("\n"))
        case _:
            streams.say(table.to_tsv().rstrip("\n"))


def several(style: Style, columns: "Columns") -> contextlib.AbstractContextManager[Add]:
    """Print the tables of volumes one after another: what was added is on standard output, whatever comes after.

    For people as many as fit beside one another are drawn at once; for spreadsheets each is a line under one head; JSON
    is a list, one volume on each line.
    """
    match chosen(style):
        case Style.table:
            return _drawings()
        case Style.json:
            return _list()
        case Style.csv:
            return _lines(columns, csv=True)
        case _:
            return _lines(columns, csv=False)


@contextlib.contextmanager
def _lines(columns: "Columns", *, csv: bool) -> Iterator[Add]:
    from bonectl.core.table import csv_line, tsv_line

    line = csv_line if csv else tsv_line
    begun = False

    def add(file: str, table: "Table") -> None:
        nonlocal begun
        cells = [columns.cells(file, table)] if begun else [columns.heads(), columns.cells(file, table)]
        streams.say("\n".join(map(line, cells)))
        begun = True

    yield add


@contextlib.contextmanager
def _list() -> Iterator[Add]:
    from bonectl.core.table import json_line

    begun = False

    def add(file: str, table: "Table") -> None:
        nonlocal begun
        with ending.waiting():
            streams.say(("," if begun else "[\n") + json_line(file, table))
            begun = True

    def end() -> None:
        nonlocal begun
        if begun:
            begun = False
            streams.say("]")

    with _in_any_case(end):
        yield add


@contextlib.contextmanager
def _drawings() -> Iterator[Add]:
    held: list[tuple[str, Table]] = []

    def draw() -> None:
        there = [held.pop(0) for _ in range(len(held))]
        if there:
            _render(lambda width: [_columns(there)])

    def add(file: str, table: "Table") -> None:
        label = table.conditions.get("label")
        file = file if label is None else f"{file} label {label}"
        if held and _width([*held, (file, table)]) > _console().width:
            draw()
        held.append((file, table))

    with _in_any_case(draw):
        yield add


@contextlib.contextmanager
def _in_any_case(end: Callable[[], None]) -> Iterator[None]:
    """Call a function after the block, when it fails, and when a signal ends the process."""
    with ending.undoing(end):
        try:
            yield
        finally:
            end()


def _draw(table: "Table") -> None:
    """For people: conditions first, then the numbers at the precision that means something."""
    lines = []
    for name, value in table.conditions.items():
        figure = _figure(value) if isinstance(value, float | int) else value
        lines.append(printable(f"{name.replace('_', ' ')}: {figure}"))
    _render(lambda width: _drawn_apart(table, width), lines)


def _render(drawn: Callable[[int], Iterable["Drawing"]], lines: Iterable[str] = ()) -> None:
    """Lines, and under them tables drawn for the width of the terminal."""
    console = _console()
    with console.capture() as page:
        for line in lines:
            console.print(line, markup=False)
        for table in drawn(console.width):
            console.print(table)
    streams.say(page.get().rstrip("\n"), styled=True)


def _console() -> "Console":
    """As wide as the terminal; what is no terminal has the width of a page."""
    from rich.console import Console

    terminal = sys.stdout is not None and sys.stdout.isatty()
    return Console(force_terminal=terminal, width=None if terminal else _PAGE, highlight=False)


def _columns(tables: list[tuple[str, "Table"]]) -> "Drawing":
    """A row for each number, a column for each volume; a name that is wide is folded."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table as Drawing

    drawing = Drawing(box=box.SIMPLE_HEAD)
    drawing.add_column("name", no_wrap=True)
    drawing.add_column("unit", no_wrap=True)
    for file, table in tables:
        drawing.add_column(escape(printable(file)), justify="right", overflow="fold", width=_volume_width(file, table))
    values = [_shown(table) for _, table in tables]
    for name, unit in _units(tables).items():
        drawing.add_row(name, unit, *(_figure(known.get(name)) for known in values))
    return drawing


def _shown(table: "Table") -> dict[str, float]:
    """The threshold that each volume was cut at, its numbers, and how many warnings there are of them."""
    cut = table.conditions.get("threshold")
    shown: dict[str, float] = {"threshold": cut} if isinstance(cut, float | int) else {}
    shown |= {row.number.name: row.number.value for row in table.rows}
    return shown | ({"warnings": len(table.warnings)} if table.warnings else {})


def _width(tables: list[tuple[str, "Table"]]) -> int:
    """What `_columns` would take."""
    units = _units(tables)
    columns = [max(map(len, ("name", *units))), max(map(len, ("unit", *units.values())))]
    columns += [_volume_width(file, table) for file, table in tables]
    return _taken(columns)


def _volume_width(file: str, table: "Table") -> int:
    return max(min(len(file), _FILE), *map(len, map(_figure, _shown(table).values())))


def _units(tables: list[tuple[str, "Table"]]) -> dict[str, str]:
    """As they are shown, by the names of the numbers."""
    known = {row.number.name: row.number.unit for _, table in tables for row in table.rows}
    known["threshold"] = str(tables[0][1].conditions.get("threshold_unit", ""))
    shown = dict.fromkeys(name for _, table in tables for name in _shown(table) if name != "warnings")
    warned = ["warnings"] if any(table.warnings for _, table in tables) else []
    return {name: unit if (unit := known.get(name, "")) != "1" else "" for name in (*shown, *warned)}


def _drawn_apart(table: "Table", width: int) -> Iterator["Drawing"]:
    """The numbers, which are never cut: columns that do not fit follow in a table of their own.

    Definitions are there where the terminal has room for them.
    """
    compares = bool(table.reference)
    heads = ["name", "value", "unit", *(("reference", "difference", "%") if compares else ())]
    rows = [[row.number.name, *_cells(row, compared=compares)] for row in table.rows]
    if table.interval_sources:
        heads.append("95 % interval")
        rows = [[*cells, _ends(row)] for cells, row in zip(rows, table.rows, strict=True)]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    parts = _parted(widths, width)
    room = width - _taken(widths) - _MARGIN
    if room >= _LEAST_DEFINITION:
        heads, widths, parts = [*heads, "definition"], [*widths, room], [[*parts[0], len(heads)]]
        rows = [[*cells, row.number.definition] for cells, row in zip(rows, table.rows, strict=True)]

    notes = [f"reference: {table.reference}"] if compares else []
    notes += [f"intervals (Δ: of the difference): {source}" for source in table.interval_sources]
    for part in parts:
        yield _drawing(part, heads, widths, rows, "\n".join(notes) if part is parts[-1] else "")


def _parted(widths: list[int], room: int) -> list[list[int]]:
    """Columns that fit beside one another, by number; the first is repeated before each part."""
    parts = [[0]]
    for column in range(1, len(widths)):
        if len(parts[-1]) > 1 and _taken([widths[i] for i in (*parts[-1], column)]) > room:
            parts.append([0])
        parts[-1].append(column)
    return parts


def _taken(widths: Sequence[int]) -> int:
    """Width of a table with columns of these widths."""
    return sum(widths) + 3 * len(widths) + 1


def _drawing(part: list[int], heads: list[str], widths: list[int], rows: list[list[str]], caption: str) -> "Drawing":
    from rich import box
    from rich.table import Table as Drawing
    from rich.text import Text

    drawing = Drawing(box=box.SIMPLE_HEAD, caption=caption or None, caption_justify="left")
    for column in part:
        head = heads[column]
        justify = "left" if head in ("name", "unit", "definition") else "right"
        overflow = "ellipsis" if head == "definition" else "fold"
        drawing.add_column(head, justify=justify, overflow=overflow, no_wrap=True, width=widths[column])  # type: ignore[arg-type]
    for cells in rows:
        drawing.add_row(*(Text(cells[column]) for column in part))
    return drawing


def _cells(row: "Row", *, compared: bool) -> list[str]:
    unit = "" if row.number.unit == "1" else row.number.unit
    cells = [_figure(row.number.value), unit]
    if compared:
        percent = "" if row.percent is None else f"{row.percent:+.2f}"
        cells += [_figure(row.reference), _figure(row.difference), percent]
    return cells


def _ends(row: "Row") -> str:
    """The interval of the difference where there is one, else of the value."""
    if row.difference_interval is not None:
        return f"Δ {row.difference_interval.low:.4g} to {row.difference_interval.high:.4g}"
    return "" if row.interval is None else f"{row.interval.low:.4g} to {row.interval.high:.4g}"


def _figure(value: float | None) -> str:
    """Counts in full, measurements at six digits."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.6g}"
