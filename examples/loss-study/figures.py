"""Pictures of a study's numbers: error against dose, differences from L1, intervals, and the dose that is bought.

Every function draws into a canvas, a figure or a part of a page, and gives nothing back; `document.py` says what each
picture shows. Letters are 8 pt where the canvas is printed at its size.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf, log
from statistics import fmean, median

import matplotlib as mpl
import report
from findings import (
    ALPHA,
    AXES,
    CONTROLS,
    FINDINGS,
    FLOORS,
    LSC,
    MIXTURE,
    THRICE,
    Axis,
    Runs,
    best,
    bought,
    is_loss,
    seeds_needed,
    student,
    verdicts,
)
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import FigureBase
from matplotlib.ticker import FuncFormatter, NullLocator

from bonectl.core import pictures

WIDTH = 180  # of every picture [mm]
LETTERS = 8.0  # [pt]
_LINE = 3.3  # from one line of such letters to the next [mm]

# Families of losses, by the first of their terms that a cell holds.
FAMILIES = (
    ("bone numbers", {"hist", "bvtv", "euler"}, pictures.VERMILION),
    ("adversary", {"wgan"}, pictures.PURPLE),
    ("VGG", {"vgg"}, pictures.GREEN),
    ("SSIM", {"ssim"}, pictures.SKY),
    ("L2", {"l2"}, pictures.ORANGE),
    ("L1", {"l1"}, pictures.INK),
)
MEAN, FILTER, CONTROL = pictures.BLUE, "#8A8A8A", "#8A8A8A"
SPANS = (1.5, 3.0, 5.0)  # margins on either side of L1 that an axis of differences shows: as many as losses need


@contextmanager
def style() -> Iterator[None]:
    """The house style with letters that are read at print size, and SVG and PDF that are the same every time."""
    sizes = dict.fromkeys(
        ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"),
        LETTERS,
    )
    same = {"svg.hashsalt": "bonectl", "svg.fonttype": "none", "pdf.fonttype": 42}
    with pictures.house(), mpl.rc_context(sizes | same):
        yield


def colour(cell: str) -> str:
    """The colour of a cell's family."""
    if cell in (*CONTROLS, *FLOORS):
        return FILTER
    if cell in (MIXTURE, THRICE):
        return MEAN
    return next((colour for _, terms, colour in FAMILIES if terms & set(cell.split("+"))), FILTER)


def dark(tint: str) -> tuple[float, float, float]:
    """The same hue, dark enough to be read as letters on white."""
    red, green, blue = to_rgb(tint)
    return 0.62 * red, 0.62 * green, 0.62 * blue


def apart(places: Sequence[float], gap: float) -> list[float]:
    """Places between 0 and 1, moved as little as it takes for neighbours to be `gap` apart (least squares)."""
    order = sorted(range(len(places)), key=places.__getitem__)
    pools: list[list[float]] = []  # of wanted places less their gaps: sum and count, means rising
    for rank, one in enumerate(order):
        pools.append([places[one] - rank * gap, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] >= pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1] = [pools[-1][0] + total, pools[-1][1] + count]
    levels = [total / count for total, count in pools for _ in range(int(count))]
    highest = max(0.0, 1 - gap * (len(places) - 1))
    moved = [0.0] * len(places)
    for rank, one in enumerate(order):
        moved[one] = min(max(levels[rank], 0.0), highest) + rank * gap
    return moved


def label(panel: Axes, lines: Sequence[tuple[float, str, str]], height: float) -> None:
    """Name lines where they end at the right: value there, name, colour. `height` of the panel [mm]."""
    low, high = panel.get_ylim()
    scale: Callable[[float], float] = log if panel.get_yscale() == "log" else float
    shares = [(scale(min(max(value, low), high)) - scale(low)) / (scale(high) - scale(low)) for value, _, _ in lines]
    places = apart(shares, _LINE / height)
    for (_, name, tint), share, place in zip(lines, shares, places, strict=True):
        panel.annotate(
            f" {name}", (1, share), xytext=(1.05, place), xycoords="axes fraction", textcoords="axes fraction",
            va="center", fontsize=LETTERS, color=dark(tint), annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": tint, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0,
                        "relpos": (0, 0.5)},
        )  # fmt: skip


def mean_curve(runs: Runs, directions: Sequence[str], cell: str, axis: str) -> list[float]:
    """Error at every dose, mean over seeds and directions; empty where there is none."""
    curves = [
        curve
        for direction in directions
        for seed in runs.seeds(cell)
        if (curve := runs.curve(direction, cell, seed, axis))
    ]
    return [fmean(values) for values in zip(*curves, strict=True)] if curves else []


def gain_curve(runs: Runs, directions: Sequence[str], cell: str, axis: str) -> list[list[float]]:
    """How much less than L1 a cell errs at every dose: the values of all seeds, means over directions."""
    seeds = runs.seeds("l1") if cell in (*CONTROLS, *FLOORS) else runs.seeds(cell)
    found = []
    for seed in seeds:
        pairs = [(runs.curve(one, "l1", seed, axis), runs.curve(one, cell, seed, axis)) for one in directions]
        known = [(ours, theirs) for ours, theirs in pairs if ours and theirs]
        if len(known) == len(pairs):
            each = [[a - b for a, b in zip(ours, theirs, strict=True)] for ours, theirs in known]
            found.append([fmean(values) for values in zip(*each, strict=True)])
    return [list(values) for values in zip(*found, strict=True)]


def named(runs: Runs, directions: Sequence[str], axis: str) -> dict[str, tuple[str, dict]]:
    """Cells that a panel names, by their label, with the style of their lines."""
    strong = {
        "l1": ("L1", {"color": pictures.INK, "linewidth": 2.0}),
        MIXTURE: ("mean of 3", {"color": MEAN, "linewidth": 2.0, "marker": "o", "markersize": 3.5}),
        "input": ("raw", {"color": CONTROL, "linestyle": "--", "linewidth": 1.2}),
        "oversmoothed": ("σ 2 voxels", {"color": CONTROL, "linestyle": (0, (1, 1)), "linewidth": 1.2}),
    }
    if floor := report.best_floor(runs, directions, axis):
        strong[floor] = (floor, {"color": FILTER, "linewidth": 1.4, "linestyle": "-.", "marker": "s", "markersize": 3})
    if (loss := best(runs, directions, axis)) not in ("", "l1"):
        tint = colour(loss)
        strong[loss] = (loss, {"color": tint, "linewidth": 1.4, "marker": "D", "markersize": 3})
    return {cell: one for cell, one in strong.items() if cell in runs.cells}


def grid(canvas: FigureBase, height: float) -> tuple[list[Axes], float]:
    """Panels for the axes in two columns, and what is left of the height for each [mm]; one over is empty."""
    rows = (len(AXES) + 1) // 2
    panels = list(canvas.subplots(rows, 2).ravel())
    for panel in panels[len(AXES) :]:
        panel.axis("off")
    return panels, height / rows - 12


def over_doses(panel: Axes, doses: Sequence[float], last: bool) -> None:
    """A logarithmic axis of doses with plain numbers, which ends where the lines end."""
    panel.set_xscale("log")
    panel.set_xlim(doses[0] / 1.15, doses[-1])
    panel.set_xticks(list(doses), [f"{dose:g}" for dose in doses] if len(doses) < 7 else None)
    panel.xaxis.set_minor_locator(NullLocator())
    if last:
        panel.set_xlabel("photons per pixel and view")


def plain(panel: Axes, low: float, high: float) -> None:
    """A logarithmic axis of errors between two, with plain numbers: 1, 3, 10, 30 ..."""
    panel.set_yscale("log")
    panel.set_ylim(low, high)
    steps = [lead * 10.0**power for power in range(-3, 4) for lead in (1, 3)]
    panel.set_yticks([step for step in steps if low <= step <= high])
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_locator(NullLocator())


def ends(runs: Runs, directions: Sequence[str]) -> tuple[float, float]:
    """Where the axes of errors begin and end: a little beyond all means."""
    known = [v for cell in runs.cells for axis in AXES for v in mean_curve(runs, directions, cell, axis.name) if v > 0]
    return max(0.01, min(known, default=0.1) / 1.3), 1.3 * max([LSC, *known])


def span(axis: Axis, reached: Sequence[float]) -> float:
    """How far an axis of differences reaches [its unit]: the least of SPANS that holds what losses reach."""
    most = max(map(abs, reached), default=0.0)
    return axis.margin * next((one for one in SPANS if one * axis.margin >= most), SPANS[-1])


def dose(canvas: FigureBase, runs: Runs, directions: Sequence[str], height: float) -> None:
    """Error against dose for every axis, a line for each cell; the few that matter are named."""
    low, high = ends(runs, directions)
    panels, tall = grid(canvas, height)
    for place, (panel, axis) in enumerate(zip(panels, AXES, strict=False)):
        strong = named(runs, directions, axis.name)
        for cell in runs.cells:
            if cell not in strong and (means := mean_curve(runs, directions, cell, axis.name)):
                panel.plot(runs.doses, means, color=pictures.PALE, linewidth=0.6, zorder=1)
        last = []
        for cell, (name, look) in strong.items():
            if means := mean_curve(runs, directions, cell, axis.name):
                panel.plot(runs.doses, means, zorder=3, **look)
                last.append((means[-1], name, look["color"]))
        plain(panel, low, high)
        panel.set(title=f"{axis.label} error [{axis.unit}]")
        if axis.bought:
            panel.axhspan(low, LSC, color=pictures.GREEN, alpha=0.13, linewidth=0)
        over_doses(panel, runs.doses, place >= len(AXES) - 2)
        label(panel, last, tall)
    key(panels[len(AXES)], f"green: within {LSC} %, the least\nsignificant change\nthin grey: all other cells")


def key(panel: Axes, text: str) -> None:
    """A few words in an empty panel."""
    panel.text(0.02, 0.95, text, va="top", fontsize=LETTERS, linespacing=1.5)


def differences(canvas: FigureBase, runs: Runs, directions: Sequence[str], height: float) -> None:
    """How much less than L1 each cell errs at every dose, on an axis of some margins."""
    panels, tall = grid(canvas, height)
    for place, (panel, axis) in enumerate(zip(panels, AXES, strict=False)):
        strong = named(runs, directions, axis.name)
        gains = {cell: gain_curve(runs, directions, cell, axis.name) for cell in runs.cells if cell != "l1"}
        means = {cell: [fmean(one) for one in values] for cell, values in gains.items() if values}
        reach = span(axis, [v for cell in strong if cell == MIXTURE or is_loss(cell) for v in means.get(cell, [])])
        panel.axhspan(-axis.margin, axis.margin, color=pictures.PALE, alpha=0.35, linewidth=0)
        panel.axhline(0, color=pictures.INK, linewidth=2.0)
        last = [(0.0, "L1", pictures.INK)]
        for cell, curve in means.items():
            if cell not in strong:
                panel.plot(runs.doses, curve, color=pictures.PALE, linewidth=0.6, zorder=1)
                continue
            name, look = strong[cell]
            panel.plot(runs.doses, curve, zorder=3, **look)
            beyond = "" if abs(curve[-1]) <= reach else f" ({curve[-1]:+.0f})"
            last.append((curve[-1], name + beyond, look["color"]))
        shade(panel, runs.doses, gains.get(MIXTURE, []))
        panel.set(ylim=(-reach, reach), title=f"{axis.label}: less error than L1 [{axis.unit}]")
        over_doses(panel, runs.doses, place >= len(AXES) - 2)
        label(panel, last, tall)
    key(
        panels[len(AXES)],
        "above 0: less error than L1\ngrey band: the margin of “no worse”\n"
        f"{'blue band: 95 % over seeds' if MIXTURE in runs.cells else ''}\n"
        "thin grey: all other cells\nin brackets: lies outside",
    )


def shade(panel: Axes, doses: Sequence[float], gains: Sequence[Sequence[float]]) -> None:
    """The 95 % interval of the mean of three losses at every dose, where there are seeds enough."""
    judged = [one for values in gains if (one := student(values)) and one.half < inf]
    if judged and len(judged) == len(doses):
        low, high = ([one.mean + sign * one.half for one in judged] for sign in (-1, 1))
        panel.fill_between(doses, low, high, color=MEAN, alpha=0.18, linewidth=0)


def tested(canvas: FigureBase, runs: Runs, directions: Sequence[str], height: float) -> None:
    """The findings: less error in units of the margin, with intervals, p after Holm, and seeds that are needed."""
    panel, words = canvas.subplots(1, 2, width_ratios=(1.0, 0.95), sharey=True)
    said = verdicts(runs, directions)
    by_name = {axis.name: axis for axis in AXES}
    known = [(abs(one.mean) + min(one.half, 1e9)) / by_name[f.axis].margin for f, _, one, _ in said if one]
    reach = min(max([1.2, *(1.08 * value for value in known if value < 1e8)]), 8.0)
    panel.axvspan(-1, 1, color=pictures.PALE, alpha=0.35, linewidth=0)
    panel.axvline(0, color=pictures.INK, linewidth=0.8)
    for place, (finding, verdict, judged, p) in enumerate(said):
        if judged is None:
            words.text(0, place, "no such cells", va="center")
            continue
        axis = by_name[finding.axis]
        tint = {"reproduced": pictures.BLUE, "not reproduced": pictures.VERMILION}.get(verdict, FILTER)
        interval(panel, place, judged.mean / axis.margin, judged.half / axis.margin, reach, tint, filled=p < ALPHA)
        needed = seeds_needed(judged.effect, len(FINDINGS)) if judged.half < inf else "more"
        seeds = f"needs {needed or 'over 1000'} seeds" if verdict == "undecided" else f"{judged.seeds} seeds"
        words.text(0, place - 0.19, f"{judged.text} {short(axis)}", va="center", fontsize=LETTERS)
        words.text(0, place + 0.21, f"{verdict}, p {p:.3g}, {seeds}", va="center", fontsize=LETTERS, color=dark(tint))
    names = [wrapped(f"{'' if one.paper else '(ours) '}{one.text}", 40) for one in FINDINGS]
    panel.set_yticks(range(len(FINDINGS)), names)
    panel.tick_params(axis="y", length=0)
    panel.set(xlim=(-reach, reach), ylim=(len(FINDINGS) - 0.4, -0.6))
    panel.set_xlabel("less error than the rival [margins of “no worse”]")
    words.axis("off")
    words.set_xlim(0, 1)


def short(axis: Axis) -> str:
    """A unit without its explanation."""
    return "%" if axis.unit.startswith("%") else axis.unit


def wrapped(text: str, width: int) -> str:
    """Two lines at most, broken at the blank that makes them most alike."""
    if len(text) <= width:
        return text
    blanks = [place for place, letter in enumerate(text) if letter == " "]
    cut = min(blanks, key=lambda place: max(place, len(text) - place))
    return f"{text[:cut]}\n{text[cut + 1 :]}"


def interval(
    panel: Axes, place: float, mean: float, half: float, span: float, tint: str, *, filled: bool = True
) -> None:
    """A mean with its interval; one that lies outside of the axis is an arrow at its edge with its number."""
    if abs(mean) > span:
        side = "left" if mean < 0 else "right"
        mark = "<" if mean < 0 else ">"
        at = span if mean > 0 else -span
        panel.plot([at], [place], mark, color=tint, markersize=4, clip_on=False)
        panel.annotate(
            f"{mean:+.3g}", (at, place), xytext=(-5 if mean > 0 else 5, 0), textcoords="offset points",
            ha=side, va="center", fontsize=LETTERS, color=dark(tint),
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
        )  # fmt: skip
        return
    panel.plot([max(mean - half, -span), min(mean + half, span)], [place, place], color=tint, linewidth=1.2)
    panel.plot([mean], [place], "o", markersize=3.8, color=tint, markerfacecolor=tint if filled else "white")


def forest(canvas: FigureBase, runs: Runs, directions: Sequence[str], height: float) -> None:
    """How much less each cell errs than L1 by every axis, with 95 % intervals over seeds."""
    cells = [cell for cell in runs.cells if cell != "l1"]
    panels = canvas.subplots(1, len(AXES), sharey=True)
    for panel, axis in zip(panels, AXES, strict=True):
        judged = {cell: student(runs.gains(directions, (cell,), ("l1",), axis.name)) for cell in cells}
        reach = span(axis, [one.mean for cell, one in judged.items() if one and is_loss(cell)])
        panel.axvspan(-axis.margin, axis.margin, color=pictures.PALE, alpha=0.35, linewidth=0)
        panel.axvline(0, color=pictures.INK, linewidth=0.6)
        for place, one in enumerate(judged.values()):
            if one is not None:
                sure = one.half < inf and abs(one.mean) > one.half
                interval(panel, place, one.mean, min(one.half, 2 * reach), reach, colour(cells[place]), filled=sure)
        panel.set_xlim(-reach, reach)
        panel.set_xticks([-reach, 0, reach], [f"{-reach:.2g}", "0", f"{reach:.2g}"])
        panel.set_title(f"{axis.label.removesuffix(' of density')}\n[{short(axis)}]", loc="center")
        panel.tick_params(axis="y", length=0)
        first, *_, last = panel.get_xticklabels()
        first.set_ha("left")
        last.set_ha("right")
    panels[0].set_yticks(range(len(cells)), cells)
    panels[0].set_ylim(len(cells) - 0.4, -0.6)
    panels[len(AXES) // 2].set_xlabel("← more error than L1      less error than L1 →")


def doses_bought(canvas: FigureBase, runs: Runs, directions: Sequence[str], height: float) -> None:
    """The lowest dose from which on each number stays within the least significant change: networks, and medians."""
    axes = [axis for axis in AXES if axis.bought]
    panels = canvas.subplots(1, len(axes), sharey=True)
    doses = runs.doses
    beyond = doses[-1] * (doses[-1] / doses[0]) ** 0.13
    for panel, axis in zip(panels, axes, strict=True):
        for place, cell in enumerate(runs.cells):
            found = [beyond if value is None else value for value in bought(runs, directions, cell, axis.name)]
            if found:
                tint = colour(cell)
                panel.plot(found, [place] * len(found), "o", color=tint, markersize=2.5, alpha=0.5, markeredgewidth=0)
                panel.plot([median(found)], [place], "|", color=tint, markersize=9, markeredgewidth=2)
        panel.axvspan((doses[-1] * beyond) ** 0.5, beyond * 1.6, color=pictures.PALE, alpha=0.35, linewidth=0)
        panel.set_xscale("log")
        panel.set_xlim(doses[0] / 1.3, beyond * 1.6)
        shown = dict.fromkeys((doses[0], doses[len(doses) // 2], doses[-1]))
        panel.set_xticks([*shown, beyond], [*(f"{dose:g}" for dose in shown), "\nnever"])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.grid(axis="y", color=pictures.PALE, linewidth=0.3)
        panel.set_axisbelow(True)
        panel.set_title(axis.label)
        panel.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(runs.cells)), runs.cells)
    panels[0].set_ylim(len(runs.cells) - 0.4, -0.6)
    panels[0].set_xlabel("photons per pixel and view", loc="left")


def training(canvas: FigureBase, tables: Mapping[str, Mapping[str, Sequence[float]]], height: float) -> None:
    """PSNR of the held-out slices, and the loss that is trained, against steps: means over networks, by cell."""
    left, right = canvas.subplots(1, 2)
    for panel, what in ((left, "psnr"), (right, "loss")):
        last = []
        for cell, table in tables.items():
            values = table[what]
            if what == "loss":
                values = [value / values[0] for value in values] if values and min(values) > 0 else []
            if values:
                panel.plot(table["step"], values, color=colour(cell), linewidth=1.6 if cell == "l1" else 0.9)
                last.append((values[-1], cell, colour(cell)))
        panel.set(xlabel="step", xlim=(0, max((table["step"][-1] for table in tables.values()), default=1)))
        if last:
            label(panel, last, height - 14)
    left.set_title("PSNR of held-out slices [dB]")
    right.set_title("loss relative to the first eighth")
