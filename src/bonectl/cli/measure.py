"""``bonectl measure``: the numbers of a bone volume, beside those of a reference."""

import contextlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bonectl.cli import streams
from bonectl.cli.command import command
from bonectl.cli.files import apart
from bonectl.cli.options import DASH, READS, Calibrate, Force, MaxMemory, Output, Request, Seed, size_in_bytes
from bonectl.core import atomic
from bonectl.core.printable import printable
from bonectl.errors import BonectlError, MissingInputError, UsageError

if TYPE_CHECKING:
    from rich.table import Table as Drawing

    from bonectl.core.stack import Stack
    from bonectl.core.table import Row, Table
    from bonectl.ops.measure import Examined


class Style(StrEnum):
    """How a table is printed."""

    auto = "auto"
    table = "table"
    tsv = "tsv"
    json = "json"


# In a path: the name of the volume's file, without its suffix.
NAME = "{name}"

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
    samples: Annotated[
        Path | None,
        typer.Option(
            "--samples",
            metavar="FOLDER",
            help="Samples of the volume, as bonectl denoise makes them: all are measured and add to the intervals.",
        ),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(
            "--mask",
            metavar="FILE|NAME",
            help="Volume of interest (TV): voxels of a file that are not 0, or a region such as cylinder, auto (the "
            "field of view), or 'trabecular(pore=0.2)'; see bonectl-regions(7).",
            show_default="the whole stack",
        ),
    ] = None,
    purify: Annotated[
        bool,
        typer.Option(
            "--purify",
            help="Before anything is measured keep the largest 26-connected piece of bone alone and fill the marrow "
            "that it encloses, as BoneJ's Purify; the reference too.",
        ),
    ] = False,
    calibrate: Calibrate = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON (schema bonectl-measure/1), histograms too.")
    ] = False,
    map: Annotated[  # (named as the option is)
        str | None,
        typer.Option(
            "--map",
            metavar="NAME",
            help="Instead of numbers, write the local thickness as a stack [mm]: tbth of the bone, or tbsp of the "
            "marrow; 'tbth(convention=bonej)'.",
            show_default=False,
        ),
    ] = None,
    intervals: Annotated[
        str | None,
        typer.Option(
            "--intervals",
            metavar="auto|none|MM",
            help="95 % intervals by block bootstrap: the least side of the sub-volumes [mm], or auto: twice the "
            "plate-model separation.",
            show_default="auto with a reference, else none",
        ),
    ] = None,
    seed: Seed = 0,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="OUT.png|OUT.html",
            help="Draw slice, masks, histograms, thickness map and bias beside the numbers; HTML is one page with the "
            "numbers too.",
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            "--window",
            metavar="LOW:HIGH",
            help="Values that are black and white in --plot, in the volume's unit.",
            show_default="-400:1600 mgHA/cm3; else from the means of marrow and bone",
        ),
    ] = None,
    output: Output = DASH,
    force: Force = False,
    max_memory: MaxMemory = None,
    style: Annotated[
        Style, typer.Option("--style", help="How to print; auto is a table on a terminal and TSV in a pipe.")
    ] = Style.auto,
) -> None:
    """Measure a bone volume: morphometry, topology, density, and their errors against a reference.

    A volume in mgHA/cm3, 1/cm or grey values is cut at a threshold, which is printed with the numbers; a mask is
    taken as it is. Numbers of phantoms stand beside the phantom's known answers. Several volumes are measured alike,
    with the same mask and reference: one line of TSV each, a list in JSON. With {name} in --reference, --mask or
    --plot, each has its own: {name} stands for the volume's file name without its suffix.

    Against a reference each number gets its difference, and where it adds up over sub-volumes (counts, surface,
    Euler numbers, density, thickness, Dice, PSNR) a 95 % interval by block bootstrap; others have none. With --samples,
    the value has one too: where one more of the samples would have it (95 %, Student's t). It knows what the samples
    differ in, and not what they get wrong alike: it is too narrow.

    TSV has one line for each condition and number, in the columns name, value, unit, reference, difference, percent,
    definition, value_low, value_high, difference_low, difference_high; nine significant digits, empty where there is
    nothing. JSON (bonectl-measure/1) has conditions, reference, warnings, histograms (start, step, counts), and rows
    with the same keys as the columns, null where there is nothing; interval and difference_interval (low, high,
    source) are there only where they exist.

    \b
    Streams: for bvtv, surface, euler, smi, tbpf, bmd, tmd and density_spread with a given threshold, no region of the
    bone, no --purify, no reference, no --intervals and no --plot; else it holds the volume, with up to 30 bytes for
    each voxel, 70 beside a reference. What does not fit into memory is refused before it is read.

    \b
    Examples:
      bonectl phantom iliac --shape 48,64,64 -o bone.npy
      bonectl measure bone.npy
      bonectl measure bone.npy --metrics "bvtv + euler" --threshold 320 --json
      bonectl phantom iliac --shape 48,64,64 | bonectl measure --reference bone.npy --mask cylinder
      bonectl measure bone.npy bone.npy --metrics "bvtv + tbth" --style tsv
      bonectl measure bone.npy --purify --metrics "bvtv + euler + tmd"
      bonectl measure bone.npy --map tbth -o thickness.npy
      bonectl measure bone.npy --metrics "bvtv + tbth" --intervals 0.3 --plot report.html
      bonectl phantom shaft --shape 16,96,96 | bonectl measure -m "cortical + ctth" --mask auto
    """
    sources = source or [DASH]
    if map is not None:
        if len(sources) > 1 or metrics or reference or as_json or plot or intervals or style is not Style.auto:
            raise UsageError(
                "--map writes one stack; leave out --metrics, --reference, --intervals, --json, --plot and --style"
            )
        request = replace(request, source=sources[0], output=output, force=force)
        apart([request.source, mask, calibrate], [output])
        _write_map(request, map, threshold, mask, calibrate, purify=purify, room=size_in_bytes(max_memory))
        return
    if output != DASH:
        raise UsageError("--output is for the stack of --map; send numbers to a file with >")
    if reference == DASH or mask == "-":
        raise UsageError("only the volume itself can come from standard input; give the reference and mask as files")
    if window is not None and plot is None:
        raise UsageError("--window is of the picture; give --plot too")
    if as_json and style not in (Style.auto, Style.json):
        raise UsageError(f"--json and --style {style.value}; choose one")
    if sources.count(DASH) > 1:
        raise UsageError("standard input is given twice; it can be read once")
    picture = _plot(plot, window, sources, force=force)
    room = size_in_bytes(max_memory)
    asked = _Asked(metrics, threshold, mask, purify, reference, calibrate, intervals, seed, room, picture)
    own = [asked.of(path) for path in sources]
    beside = [path for each in own for path in (each.reference, each.mask)]
    apart([*sources, *beside, samples, calibrate], [each.plot.path for each in own if each.plot])
    style = Style.json if as_json else style
    if samples is not None and len(sources) > 1:
        raise UsageError("--samples are of one volume; measure one at a time")
    if len(sources) == 1:
        request = replace(request, source=sources[0])
        table = _measured(request, asked)
        _print(table if samples is None else _with_samples(table, request, asked, samples), style)
    else:
        _print_all([(str(path), _named(replace(request, source=path), asked)) for path in sources], style)


def _write_map(
    request: Request,
    what: str,
    threshold: str | None,
    mask: str | None,
    calibrate: str | None,
    *,
    purify: bool,
    room: int | None,
) -> None:
    from bonectl.ops.measure import thickness_map

    with contextlib.ExitStack() as files:
        stack = files.enter_context(streams.reading(request))
        if calibrate is not None:
            stack, _ = _calibrated(stack, None, calibrate)
        inside = _voi(mask, files)
        values = thickness_map(stack, what=what, threshold=threshold, mask=inside, purify=purify, max_memory=room)
        streams.writing(values, request)


def _voi(mask: str | None, files: contextlib.ExitStack) -> "Stack | str | None":
    """A file as a stack, the name of a region as it is."""
    from bonectl.core import kit

    if mask is None or mask.partition("(")[0].strip() in kit.names("regions"):
        return mask
    return files.enter_context(streams.opened(Path(mask)))


@dataclass(frozen=True)
class _Asked:
    """What is to be measured, against what, and what is drawn of it; paths may hold `NAME`."""

    metrics: str | None
    threshold: str | None
    mask: str | None
    purify: bool
    reference: Path | None
    calibrate: str | None
    intervals: str | None
    seed: int
    room: int | None
    plot: "_Plot | None"

    def of(self, source: Path) -> "_Asked":
        """As asked of one volume: its own files."""
        reference = None if self.reference is None else _own(self.reference, source)
        mask = None if self.mask is None else str(_own(Path(self.mask), source)) if NAME in self.mask else self.mask
        plot = None if self.plot is None else replace(self.plot, path=_own(self.plot.path, source))
        return replace(self, reference=reference, mask=mask, plot=plot)


@dataclass(frozen=True)
class _Plot:
    """A picture to write, and the values that are black and white in it."""

    path: Path
    window: tuple[float, float] | None
    force: bool


def _own(path: Path, source: Path) -> Path:
    """A path with the name of a volume in it; of standard input it is "stdin"."""
    return Path(str(path).replace(NAME, "stdin" if source == DASH else source.stem))


def _plot(path: Path | None, window: str | None, sources: list[Path], *, force: bool) -> _Plot | None:
    """The picture that is asked for; what could not be written is refused before anything is read."""
    if path is None:
        return None
    if path.suffix.lower() not in (".png", ".html"):
        raise UsageError(f"{path}: a picture is named .png, a page .html")
    paths = [_own(path, source) for source in sources]
    if len(set(paths)) < len(paths):
        raise UsageError(
            f"{path}: {len(paths)} volumes and one name; write {NAME} in it, with files of different names"
        )
    for each in paths:
        atomic.check(each, force=force)
    return _Plot(path, None if window is None else _window(window), force)


def _window(text: str) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in text.split(":"))
    except ValueError:
        raise UsageError(f"--window {text!r}; write LOW:HIGH, such as -400:1600") from None
    if not low < high:
        raise UsageError(f"--window {text}; black must lie below white")
    return low, high


def _measured(request: Request, asked: _Asked) -> "Table":
    """One volume; mask and reference are opened anew for each."""
    from bonectl.ops.measure import examine, measure

    asked = asked.of(request.source)
    with contextlib.ExitStack() as files:
        stack = files.enter_context(streams.reading(request))
        wanted = None
        if asked.reference is not None:
            wanted = _like(files.enter_context(streams.opened(asked.reference, nan=request.nan)), request)
        if asked.calibrate is not None:
            stack, wanted = _calibrated(stack, wanted, asked.calibrate)
        request_of: dict[str, Any] = {
            "metrics": asked.metrics,
            "threshold": asked.threshold,
            "mask": _voi(asked.mask, files),
            "purify": asked.purify,
            "reference": wanted,
            "intervals": asked.intervals,
            "seed": asked.seed,
            "max_memory": asked.room,
        }
        if asked.plot is None:
            return measure(stack, **request_of)
        found = examine(stack, **request_of)
        _draw_report(found, asked.plot, request)
        return found.table


def _calibrated(stack: "Stack", reference: "Stack | None", text: str) -> tuple["Stack", "Stack | None"]:
    """The volume in mgHA/cm3, and the reference where it is in the same unit as the volume was."""
    from bonectl.core.spec import parse
    from bonectl.ops.calibrate import calibrated

    spec = parse(text)
    if reference is not None and reference.header.unit == stack.header.unit:
        reference = calibrated(reference, spec)
    return calibrated(stack, spec), reference


def _draw_report(found: "Examined", plot: _Plot, request: Request) -> None:
    """Write the picture or the page, whole or not at all."""
    import shlex

    import bonectl
    from bonectl.ops import report

    if plot.path.suffix.lower() == ".png":
        data = report.png(found, window=plot.window)
    else:
        title = streams.STDIN if request.source == DASH else streams.plain(request.source.name)
        origin = f"bonectl {bonectl.__version__}, {streams.now()}: {streams.plain(shlex.join(request.argv))}"
        data = report.html(found, title=title, origin=origin, window=plot.window).encode()
    with atomic.replacing(plot.path, force=plot.force) as temporary:
        temporary.write_bytes(data)


def _with_samples(table: "Table", request: Request, asked: _Asked, folder: Path) -> "Table":
    """The table with intervals from the stacks in a folder, one sample each; they are held one at a time."""
    from bonectl import io
    from bonectl.ops.samples import with_intervals

    if not folder.is_dir():
        raise MissingInputError(f"{folder}: there is no such folder; `bonectl denoise --each` makes one")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in io.SUFFIXES)
    return with_intervals(
        table,
        [
            _named(replace(request, source=path), replace(asked.of(request.source), intervals="none", plot=None))
            for path in paths
        ],
    )


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
        lines.append(printable(f"{name.replace('_', ' ')}: {figure}"))
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
    streams.say(page.getvalue().rstrip("\n"), styled=True)


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
        drawing.add_column(escape(printable(file)), justify="right", overflow="fold", min_width=widest)
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
    if table.interval_sources:
        heads.append("95 % interval")
        rows = [[*cells, _ends(row)] for cells, row in zip(rows, table.rows, strict=True)]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    room = width - sum(widths) - 2 * len(heads) - _MARGIN

    notes = [f"reference: {table.reference}"] if compares else []
    notes += [f"intervals (Δ: of the difference): {source}" for source in table.interval_sources]
    drawing = Drawing(box=box.SIMPLE_HEAD, caption="\n".join(notes) or None)
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
