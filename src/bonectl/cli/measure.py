"""``bonectl measure``: the numbers of a bone volume, beside those of a reference."""

import contextlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonectl.cli import streams
from bonectl.cli.command import command
from bonectl.cli.options import DASH, READS, Force, Output, Request
from bonectl.errors import BonectlError, UsageError

if TYPE_CHECKING:
    from rich.table import Table as Drawing

    from bonectl.core.stack import Stack
    from bonectl.core.table import Row, Table


class Style(StrEnum):
    """How a table is printed."""

    auto = "auto"
    table = "table"
    tsv = "tsv"
    json = "json"


# Columns that the definitions need to be worth showing, and what the frame of the table takes.
_LEAST_DEFINITION = 24
_MARGIN = 6


@command(READS)
def measure(
    request: Request,
    *,
    source: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="IN...",
            help="Stacks to read: NPY, TIFF, or a folder of TIFF slices; - or nothing is standard input. Several give "
            "one line each.",
            show_default=False,
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            "-m",
            metavar="NAMES",
            help="Numbers wanted, such as 'bvtv + tbth(convention=bonej)'; see bonectl-metrics(7).",
            show_default="all that the data allow",
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            "--threshold",
            "-t",
            metavar="VALUE|NAME",
            help="What is bone: a value in the volume's unit, a segmentation such as 'otsu(sigma=1)' (see "
            "bonectl-segmentations(7)), or reference: Otsu's threshold of the reference for both.",
            show_default="a mask as it is; mgHA/cm3 at the midpoint; else reference, or otsu without one",
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", "-r", metavar="FILE", help="What the volume should have been: adds its numbers."),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(
            "--mask",
            metavar="FILE|cylinder",
            help="Volume of interest (TV): voxels that are not 0, or the largest upright cylinder.",
            show_default="the whole stack",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON (schema bonectl-measure/1), histograms too.")
    ] = False,
    map: Annotated[  # (named as the option is)
        str | None,
        typer.Option(
            "--map",
            metavar="NAME",
            help="Instead of numbers, write the local thickness of the bone as a stack [mm]: tbth, or "
            "'tbth(convention=bonej)'.",
            show_default=False,
        ),
    ] = None,
    output: Output = DASH,
    force: Force = False,
    style: Annotated[
        Style, typer.Option("--style", help="How to print; auto is a table on a terminal and TSV in a pipe.")
    ] = Style.auto,
) -> None:
    """Measure a bone volume: morphometry, topology, density, and their errors against a reference.

    A volume in mgHA/cm3, 1/cm or grey values is cut at a threshold, which is printed with the numbers; a mask is
    taken as it is. Numbers of phantoms stand beside the phantom's known answers. Several volumes are measured alike,
    with the same mask and reference: one line of TSV each, a list in JSON.

    \b
    Streams: for bvtv, surface, euler, smi, bmd, tmd and density_spread with a given threshold and no reference; else
    it holds the volume.

    \b
    Examples:
      bonectl phantom iliac --shape 48,64,64 -o bone.npy
      bonectl measure bone.npy
      bonectl measure bone.npy --metrics "bvtv + euler" --threshold 320 --json
      bonectl phantom iliac --shape 48,64,64 | bonectl measure --reference bone.npy --mask cylinder
      bonectl measure bone.npy bone.npy --metrics "bvtv + tbth" --style tsv
      bonectl measure bone.npy --map tbth -o thickness.npy
    """
    sources = source or [DASH]
    if map is not None:
        if len(sources) > 1 or metrics or reference or as_json or style is not Style.auto:
            raise UsageError("--map writes one stack; leave out --metrics, --reference, --json and --style")
        _write_map(replace(request, source=sources[0], output=output, force=force), map, threshold, mask)
        return
    if output != DASH:
        raise UsageError("--output is for the stack of --map; send numbers to a file with >")
    if reference == DASH or mask == "-":
        raise UsageError("only the volume itself can come from standard input; give the reference and mask as files")
    if as_json and style not in (Style.auto, Style.json):
        raise UsageError(f"--json and --style {style.value}; choose one")
    if sources.count(DASH) > 1:
        raise UsageError("standard input is given twice; it can be read once")
    asked = _Asked(metrics, threshold, mask, reference)
    style = Style.json if as_json else style
    if len(sources) == 1:
        _print(_measured(replace(request, source=sources[0]), asked), style)
    else:
        _print_all([(str(path), _named(replace(request, source=path), asked)) for path in sources], style)


def _write_map(request: Request, what: str, threshold: str | None, mask: str | None) -> None:
    from bonectl.ops.measure import thickness_map

    with contextlib.ExitStack() as files:
        stack = files.enter_context(streams.reading(request))
        inside = _voi(mask, files)
        streams.writing(thickness_map(stack, what=what, threshold=threshold, mask=inside), request)


def _voi(mask: str | None, files: contextlib.ExitStack) -> "Stack | str | None":
    """A file as a stack, a name as it is."""
    return mask if mask in (None, "cylinder") else files.enter_context(streams.opened(Path(str(mask))))


@dataclass(frozen=True)
class _Asked:
    """What is to be measured, and against what."""

    metrics: str | None
    threshold: str | None
    mask: str | None
    reference: Path | None


def _measured(request: Request, asked: _Asked) -> "Table":
    """One volume; mask and reference are opened anew for each."""
    from bonectl.ops.measure import measure

    with contextlib.ExitStack() as files:
        stack = files.enter_context(streams.reading(request))
        wanted = None
        if asked.reference is not None:
            wanted = _like(files.enter_context(streams.opened(asked.reference, nan=request.nan)), request)
        inside = _voi(asked.mask, files)
        return measure(stack, metrics=asked.metrics, threshold=asked.threshold, mask=inside, reference=wanted)


def _named(request: Request, asked: _Asked) -> "Table":
    """As `_measured`; one of several volumes is named where it fails."""
    try:
        return _measured(request, asked)
    except BonectlError as error:
        if str(request.source) in str(error):
            raise
        raise type(error)(f"{request.source}: {error}") from error


def _like(reference: "Stack", request: Request) -> "Stack":
    """A plain reference is declared by the same options as the volume."""
    silent = reference.header.unit == "grey" or None in reference.header.spacing
    return streams.declared(reference, request) if silent else reference


def _chosen(style: Style) -> Style:
    if style is not Style.auto:
        return style
    return Style.table if sys.stdout is not None and sys.stdout.isatty() else Style.tsv


def _print_all(tables: list[tuple[str, "Table"]], style: Style) -> None:
    """Several volumes: a line each in a script, a column each for people."""
    from bonectl.core.table import list_json, wide_tsv

    match _chosen(style):
        case Style.table:
            _render(lambda width: _columns(tables))
        case Style.json:
            streams.say(list_json(tables).rstrip("\n"))
        case _:
            streams.say(wide_tsv(tables).rstrip("\n"))


def _print(table: "Table", style: Style) -> None:
    style = _chosen(style)
    if style is Style.table:
        _draw(table)
    else:
        streams.say((table.json() if style is Style.json else table.to_tsv()).rstrip("\n"))


def _draw(table: "Table") -> None:
    """For people: conditions first, then the numbers at the precision that means something."""
    lines = []
    for name, value in table.conditions.items():
        figure = _figure(value) if isinstance(value, float | int) else value
        lines.append(f"{name.replace('_', ' ')}: {figure}")
    _render(lambda width: _drawing(table, width), lines)


def _render(drawn: Callable[[int], "Drawing"], lines: Iterable[str] = ()) -> None:
    """Lines, and under them a table drawn for the width of the terminal."""
    import io

    from rich.console import Console

    page = io.StringIO()
    terminal = sys.stdout is not None and sys.stdout.isatty()
    console = Console(file=page, force_terminal=terminal, width=None if terminal else 110, highlight=False)
    for line in lines:
        console.print(line, markup=False)
    console.print(drawn(console.width))
    streams.say(page.getvalue().rstrip("\n"))


def _columns(tables: list[tuple[str, "Table"]]) -> "Drawing":
    """A row for each number, a column for each volume."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table as Drawing

    drawing = Drawing(box=box.SIMPLE_HEAD)
    drawing.add_column("name", no_wrap=True)
    drawing.add_column("unit", no_wrap=True)
    for file, table in tables:
        widest = max(len(_figure(row.number.value)) for row in table.rows)
        drawing.add_column(escape(file), justify="right", overflow="fold", min_width=widest)
    units = {row.number.name: row.number.unit for _, table in tables for row in table.rows}
    values = [{row.number.name: row.number.value for row in table.rows} for _, table in tables]
    for name, unit in units.items():
        drawing.add_row(name, "" if unit == "1" else unit, *(_figure(known.get(name)) for known in values))
    return drawing


def _drawing(table: "Table", width: int) -> "Drawing":
    """The numbers, which are never cut, and their definitions where the terminal has room for them."""
    from rich import box
    from rich.table import Table as Drawing

    compares = bool(table.reference)
    heads = ["name", "value", "unit", *(("reference", "difference", "%") if compares else ())]
    rows = [[row.number.name, *_cells(row, compared=compares)] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    room = width - sum(widths) - 2 * len(heads) - _MARGIN

    drawing = Drawing(box=box.SIMPLE_HEAD, caption=f"reference: {table.reference}" if compares else None)
    for head, least in zip(heads, widths, strict=True):
        justify = "left" if head in ("name", "unit") else "right"
        drawing.add_column(head, justify=justify, no_wrap=True, min_width=least)  # type: ignore[arg-type]
    if room >= _LEAST_DEFINITION:
        drawing.add_column("definition", no_wrap=True, overflow="ellipsis", width=room)
    for row, cells in zip(table.rows, rows, strict=True):
        drawing.add_row(*cells, *([row.number.definition] if room >= _LEAST_DEFINITION else []))
    return drawing


def _cells(row: "Row", *, compared: bool) -> list[str]:
    unit = "" if row.number.unit == "1" else row.number.unit
    cells = [_figure(row.number.value), unit]
    if compared:
        percent = "" if row.percent is None else f"{row.percent:+.2f}"
        cells += [_figure(row.reference), _figure(row.difference), percent]
    return cells


def _figure(value: float | None) -> str:
    """Counts in full, measurements at six digits."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.6g}"
