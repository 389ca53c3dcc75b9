"""A measurement as a picture for a paper, and as one page with picture, numbers and conditions."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bonectl.core import kit, pictures
from bonectl.core.pictures import Window
from bonectl.core.table import Row, Table
from bonectl.errors import UsageError
from bonectl.measuring.tables import Examined
from bonectl.metrics import tbth
from bonectl.morphology.specimen import Specimen

# Bars end here [%]; beyond, an arrow and the number say the rest.
WIDEST_BIAS = 50.0

# The window of a volume without a calibrated unit reaches beyond the means of marrow and bone by this share of their
# difference.
MARGIN = 0.5

# Bins of a histogram of values, and the least share that is drawn.
BINS, SMALLEST_SHARE = 128, 1e-5

OURS, THEIRS = pictures.ORANGE, pictures.BLUE
# [mm]: the full width of a page in most journals, a row of panels, and a line under them of that many letters.
WIDTH, ROW, LINE, FOOTER = 180.0, 54.0, 3.2, 160
# [mm]: what a row of slices needs above and below them, beside them for the key, and how high they may be.
TITLES, KEY, HIGHEST = 15.0, 14.0, 80.0


def png(found: Examined, *, window: Window | None = None) -> bytes:
    """Slice, masks, thickness map, histograms, and the bias where there is a reference, as one PNG.

    Parameters
    ----------
    found : Examined
    window : tuple of float, optional
        Values that are black and white, in the volume's unit. Nothing is fixed for mgHA/cm3 and masks; for other
        units half the difference beyond the means of marrow and bone, of the reference where there is one. Both
        volumes get the same.

    Raises
    ------
    UsageError
        When the window is empty.
    """
    lines = [caption(found, window), *(f"Do not trust: {warning}." for warning in found.table.warnings)]
    footer = "\n".join(line for text in lines for line in wrap(text, FOOTER))
    return _drawn(found, window, footer)


def html(found: Examined, *, title: str, origin: str, window: Window | None = None) -> str:
    """One page that holds everything: picture, conditions, warnings and numbers with their definitions.

    Parameters
    ----------
    found : Examined
    title : str
        Name of the volume.
    origin : str
        How the page was made: command line, version, time.
    window : tuple of float, optional
        As `png`.

    Raises
    ------
    UsageError
        As `png`.
    """
    picture = base64.b64encode(_drawn(found, window, "")).decode("ascii")
    table = found.table
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<img alt="Slice, masks, thickness map and histograms" src="data:image/png;base64,{picture}">',
        f"<p class=caption>{escape(caption(found, window))}</p>",
        _warnings(table.warnings),
        "<h2>Numbers</h2>",
        _numbers(table),
        "<h2>Conditions</h2>",
        _conditions(table),
        f"<footer>{escape(origin)}</footer>",
    ]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_CSS}</style>'
    return f"<!DOCTYPE html>\n<html lang=en><head>{head}</head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"


def caption(found: Examined, window: Window | None = None) -> str:
    """What the picture shows, with everything that decides it."""
    specimen, conditions = found.specimen, found.table.conditions
    unit = pictures.spoken(specimen.unit)
    sides = " x ".join(f"{side * 1000:.4g}" for side in specimen.spacing)
    low, high = _window(found, window)
    greys = f" black {low:.4g}, white {high:.4g} {unit};" if specimen.grey is not None else ""
    sentences = [
        f"Slice z = {_middle(specimen)} of {specimen.labels.shape[0]};{greys} voxels of {sides} µm (z, y, x). ",
        f"Volume of interest: {conditions['volume_of_interest']}. ",
        f"Bone is {specimen.threshold}, filter before the threshold: {specimen.threshold.filter}.",
    ]
    if specimen.pure:
        sentences.append(f" Purified: {conditions['purification']}.")
    if found.reference is not None:
        sentences.append(" Orange: the volume; blue: the reference. A bar marked ▸ or ◂ goes on beyond the panel.")
    if sources := found.table.interval_sources:
        sentences.append(f" Intervals: {'; '.join(sources)}.")
    return "".join(sentences)


# -- the picture --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Cut:
    """One slice of a volume: what is drawn of it."""

    image: NDArray[Any]
    bone: NDArray[np.bool_]
    voi: NDArray[np.bool_]


def _drawn(found: Examined, window: Window | None, footer: str) -> bytes:
    with pictures.house():
        figure = _figure(found, window, len(footer.splitlines()))
        if footer:
            figure.supxlabel(footer, x=0.005, ha="left", fontsize=6.0, linespacing=1.35)
        return pictures.png(figure)


def _figure(found: Examined, window: Window | None, lines: int) -> Figure:
    """Two rows of panels, and room for some lines under them."""
    biased = _biased(found.table)
    thick = _thickness(found.specimen)
    theirs = None if found.reference is None else _thickness(found.reference)
    slices = 2 + (found.reference is not None) + (thick is not None)
    top = TITLES + _height(found.specimen, slices)
    figure = pictures.figure(WIDTH, top + ROW + lines * LINE)
    grid = figure.add_gridspec(2, 1, height_ratios=[top, ROW])
    above, below = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
    _draw_slices(found, above.subplots(1, slices), window, thick)
    panels = below.subplots(1, 1 + (thick is not None) + bool(biased), squeeze=False)[0]
    _draw_values(found, panels[0], window)
    if thick is not None:
        _draw_thickness(panels[1], found.specimen, thick, theirs)
    if biased:
        _draw_bias(panels[-1], biased)
    return figure


def _height(specimen: Specimen, columns: int) -> float:
    """Of slices that share the width of the page [mm]."""
    rows, wide = (n * side for n, side in zip(specimen.labels.shape[1:], specimen.spacing[1:], strict=True))
    return float(min(HIGHEST, (WIDTH - KEY) / columns * rows / wide))


def _draw_slices(
    found: Examined, panels: NDArray[Any], window: Window | None, thick: NDArray[np.float32] | None
) -> None:
    """Volume, reference, outlines and thickness map."""
    specimen, reference = found.specimen, found.reference
    place, sides, grey = _middle(specimen), specimen.spacing[1:], _window(found, window)
    unit = specimen.unit if specimen.grey is not None else ""
    ours = _slice(specimen, place)
    remaining = list(panels)
    pictures.section(remaining.pop(0), ours.image, window=grey, sides=sides, unit=unit, title="Volume")
    if reference is not None:
        theirs = _slice(reference, place)
        shown = grey if reference.unit == specimen.unit else _window(Examined(found.table, reference), None)
        said = "" if shown == grey else unit
        pictures.section(remaining.pop(0), theirs.image, window=shown, sides=sides, unit=said, title="Reference")
    axes = remaining.pop(0)
    pictures.section(axes, ours.image, window=grey, sides=sides, title="Bone")
    if reference is not None:
        pictures.overlay(axes, theirs.bone, sides=sides, colour=THEIRS)
    pictures.overlay(axes, ours.bone, sides=sides, colour=OURS)
    pictures.overlay(axes, ours.voi, sides=sides, colour=pictures.GREEN, width=0.9)
    names = ["orange: volume", *(["blue: reference"] if reference is not None else [])]
    names += [] if ours.voi.all() else ["green: VOI"]
    axes.set_xlabel(", ".join(names), labelpad=2, fontsize=6.2)
    if thick is not None:
        top = float(thick.max())
        pictures.heat(
            remaining.pop(0), thick[place], window=(0.0, top), sides=sides, label="thickness [mm]", title="Tb.Th"
        )


def _draw_values(found: Examined, axes: Axes, window: Window | None) -> None:
    """Histogram of the values in the volume of interest, and the thresholds."""
    specimen, reference = found.specimen, found.reference
    low, high = _window(found, window)
    pairs = [(specimen, OURS, "volume")] + ([(reference, THEIRS, "reference")] if reference is not None else [])
    for one, colour, name in pairs:
        if one.grey is not None and one.unit == specimen.unit:
            values = one.grey[one.voi]
            counts, edges = np.histogram(values.clip(low, high), bins_of(values.dtype, low, high))
            # The outermost bins hold all that is darker or brighter: their height would hide the rest.
            axes.stairs(counts[1:-1] / values.size, edges[1:-1], color=colour, label=name)
            axes.axvline(one.threshold.value, color=colour, linestyle=":", linewidth=0.9)
    axes.set(xlim=(low, high), ylabel="share of the volume of interest")
    if specimen.grey is not None:
        axes.set_yscale("log")
        axes.set_ylim(SMALLEST_SHARE, 1)
    axes.set_xlabel(f"value [{pictures.spoken(specimen.unit)}]; dotted: threshold")
    axes.set_title("Values")
    if specimen.grey is None:
        axes.text(0.5, 0.5, "a mask has no grey values", transform=axes.transAxes, ha="center")
    elif reference is not None:
        axes.legend(loc="upper right")


def bins_of(dtype: np.dtype[Any], low: float, high: float) -> NDArray[np.float64]:
    """Edges of the bins; each holds as many values as the next where only whole numbers occur."""
    if not np.issubdtype(dtype, np.integer):
        return np.linspace(low, high, BINS + 1)
    step = ceil((high - low) / BINS)
    return np.arange(floor(low) - 0.5, high + step, step)


def _draw_thickness(
    axes: Axes, specimen: Specimen, ours: NDArray[np.float32], theirs: NDArray[np.float32] | None
) -> None:
    """Distribution of the local thickness over the bone, and its means."""
    top = max(float(values.max()) for values in (ours, theirs) if values is not None)
    # Bins no finer than a voxel: the diameters of balls on a grid come in steps.
    bins = max(4, min(40, round(top / specimen.spacing[2])))
    for values, colour in ((ours, OURS), (theirs, THEIRS)):
        if values is not None:
            inside = values[values > 0]
            counts, edges = np.histogram(inside, bins, (0.0, top))
            axes.stairs(counts / inside.size, edges, color=colour)
            axes.axvline(float(inside.mean(dtype=np.float64)), color=colour, linestyle=":", linewidth=0.9)
    axes.set(xlim=(0, top), ylim=(0, None), xlabel="local thickness [mm]; dotted: mean", ylabel="share of the bone")
    axes.set_title("Thickness")


def _draw_bias(axes: Axes, rows: list[Row]) -> None:
    """Difference from the reference in percent, with its interval where there is one."""
    widest = max(abs(value) for row in rows for value in (row.percent or 0.0, *(_percent_interval(row) or ())))
    limit = min(WIDEST_BIAS, max(1.0, widest * 1.1))
    for place, row in enumerate(reversed(rows)):
        percent = row.percent or 0.0
        axes.barh(place, float(np.clip(percent, -limit, limit)), height=0.62, color=OURS, alpha=0.85)
        if ends := _percent_interval(row):
            low, high = np.clip(ends, -limit, limit)
            axes.plot([low, high], [place, place], color=pictures.INK, linewidth=0.9, solid_capstyle="butt")
        figures = f"{percent:+.0f}" if abs(percent) >= 100 else f"{percent:+.3g}"
        beyond = " ▸" if percent > limit else " ◂" if percent < -limit else ""
        axes.text(1.02, place, f"{figures} %{beyond}", transform=axes.get_yaxis_transform(), va="center", fontsize=6)
    axes.axvline(0, color=pictures.INK, linewidth=0.6)
    symbols = _symbols()
    axes.set_yticks(range(len(rows)), [symbols[row.number.name] for row in reversed(rows)])
    axes.set(xlim=(-limit, limit), ylim=(-0.6, len(rows) - 0.4))
    axes.set_xlabel("difference from the reference [%]")
    axes.set_title("Bias" + (", 95 % intervals" if any(map(_percent_interval, rows)) else ""))


def _biased(table: Table) -> list[Row]:
    """Rows whose bias is drawn, in the order of the tables."""
    rows = {row.number.name: row for row in table.rows if row.percent is not None and isfinite(row.percent)}
    return [rows[name] for name in _symbols() if name in rows]


def _symbols() -> dict[str, str]:
    """How the field writes the numbers whose bias is drawn, in the order of the tables."""
    metrics = kit.names("metrics", by="PLACE")
    return {number: text for name in metrics for number, text in kit.fact("metrics", name, "SYMBOLS")}


def _percent_interval(row: Row) -> tuple[float, float] | None:
    """The interval of the difference in percent of the reference's magnitude."""
    around = row.difference_interval
    if around is None or not row.reference:
        return None
    scale = 100 / abs(row.reference)
    return around.low * scale, around.high * scale


def _window(found: Examined, given: Window | None) -> Window:
    """What is black and what is white, by the rule of `png`."""
    if given is not None:
        if not given[0] < given[1]:
            raise UsageError(f"a grey window from {given[0]:g} to {given[1]:g}; black must lie below white")
        return given
    if found.specimen.unit in pictures.WINDOWS:
        return pictures.WINDOWS[found.specimen.unit]
    model = found.reference if found.reference and found.reference.unit == found.specimen.unit else found.specimen
    values = model.values("a grey window")
    marrow, bone = (float(values[mask].mean(dtype=np.float64)) for mask in (model.marrow, model.bone))
    step = bone - marrow
    return _rounded(marrow - MARGIN * step, step), _rounded(bone + MARGIN * step, step)


def _rounded(value: float, step: float) -> float:
    """To a hundredth of the step's power of ten: a window that can be written down."""
    unit = 10.0 ** (floor(np.log10(step)) - 1)
    return float(f"{round(value / unit) * unit:.6g}")


def _middle(specimen: Specimen) -> int:
    """The slice half-way through the volume of interest."""
    filled = np.flatnonzero(specimen.voi.any(axis=(1, 2)))
    return int((filled[0] + filled[-1] + 1) // 2)


def _slice(specimen: Specimen, place: int) -> _Cut:
    image = specimen.bone[place] if specimen.grey is None else specimen.grey[place]
    return _Cut(np.asarray(image), specimen.bone[place], specimen.voi[place])


def _thickness(specimen: Specimen) -> NDArray[np.float32] | None:
    """The thickness map; None where voxels are not cubic."""
    try:
        return tbth.thickness_map(specimen)
    except UsageError:
        return None


# -- the page -----------------------------------------------------------------------------------------------------

_CSS = (
    "body{font:15px/1.45 sans-serif;color:#222;max-width:1180px;margin:2em auto;padding:0 1em}"
    "h1{font-size:1.5em}h2{font-size:1.15em;margin-top:1.6em}img{width:100%}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th{text-align:left;border-bottom:1.5px solid #222}td,th{padding:.2em .5em;vertical-align:top}"
    "td.n,th.n{text-align:right}td:not(:last-child){white-space:nowrap}td:last-child{font-size:.87em}"
    "tr:nth-child(even) td{background:#f5f5f5}"
    ".caption,footer{font-size:.9em;color:#444}.warning{border-left:4px solid #D55E00;padding:.3em .8em;margin:.5em 0}"
    "@media print{body{margin:0;max-width:none}}"
)


def _warnings(warnings: Iterable[str]) -> str:
    return "\n".join(f"<p class=warning>Do not trust: {escape(warning)}.</p>" for warning in warnings)


def _numbers(table: Table) -> str:
    """All rows, with what there is of reference, difference and intervals."""
    compares = bool(table.reference)
    apart = any(row.difference_interval for row in table.rows)
    around = ["95 % of the difference" if apart else "95 % interval"] if table.interval_sources else []
    heads = ["name", "value", "unit"]
    heads += ["reference", "difference", "%"] if compares else []
    heads += around
    right = {"value", "reference", "difference", "%", *around}
    lines = [_line(heads, heads, right, "th", "definition")]
    for row in table.rows:
        cells = [row.number.name, _text(row.number.value), pictures.spoken(row.number.unit)]
        cells += [_text(row.reference), _text(row.difference), _text(row.percent)] if compares else []
        cells += [_interval(row, apart=apart)] if around else []
        lines.append(_line(heads, cells, right, "td", row.number.definition))
    note = f"<p class=caption>Reference: {escape(table.reference)}.</p>" if compares else ""
    return f"<table>{''.join(lines)}</table>{note}"


def _line(heads: list[str], cells: list[str], right: set[str], tag: str, last: str) -> str:
    marks = [" class=n" if head in right else "" for head in heads]
    row = "".join(f"<{tag}{mark}>{escape(cell)}</{tag}>" for mark, cell in zip(marks, cells, strict=True))
    return f"<tr>{row}<{tag}>{escape(last)}</{tag}></tr>\n"


def _interval(row: Row, *, apart: bool) -> str:
    """Of the difference, else of the value, which is said in a table of differences."""
    of = row.difference_interval or row.interval
    said = "value " if apart and row.difference_interval is None else ""
    return "" if of is None else f"{said}{of.low:.3g} to {of.high:.3g}"


def _conditions(table: Table) -> str:
    rows = table.stated().items()
    lines = (
        f"<tr><td>{escape(name.replace('_', ' '))}</td><td>{escape(_text(value))}</td></tr>" for name, value in rows
    )
    return f"<table>{''.join(lines)}</table>"


def _text(value: float | int | str | None) -> str:
    """Counts in full, measurements at five digits."""
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)
