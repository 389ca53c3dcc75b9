"""Pictures of a study: what each loss trades for what, and what the bone looks like after it."""

import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from findings import Run, summary
from matplotlib.axes import Axes

from bonectl.core import pictures

# Families of losses, by what the terms of a cell hold: the first that fits.
FAMILIES = (
    ("aimed at bone numbers", {"hist", "bvtv", "euler"}, pictures.VERMILION),
    ("adversarial and perceptual", {"wgan", "perceptual"}, pictures.PURPLE),
    ("adversarial", {"wgan"}, pictures.BLUE),
    ("perceptual", {"perceptual"}, pictures.GREEN),
    ("pixelwise or structural", {"l1", "l2", "ssim"}, pictures.INK),
    ("filters, nothing trained", {"input", "gaussian", "tv", "nlm"}, pictures.PALE),
)
# How sharp edges are; where they are narrower than a voxel no MTF can be told, but a width.
SHARPNESS = (("mtf10", "edges: MTF 10 % [1/mm]"), ("edge_sigma", "edges: width σ [mm], sharper to the right"))
TRADES = (
    ("chi bias [%]", "error of the Euler number [% of the truth]"),
    ("bmd_distance", "distance of densities W1 [mg HA/cm³]"),
)
# Of the chart of all numbers: a number, its label.
NUMBERS = (
    ("bvtv bias [%]", "BV/TV\nerror [%]"),
    ("chi bias [%]", "Euler number\nerror [%]"),
    ("connd bias [%]", "Conn.D\nerror [%]"),
    ("tbth bias [%]", "Tb.Th\nerror [%]"),
    ("bmd bias [%]", "BMD\nerror [%]"),
    ("bmd_distance", "W1 of BMD\n[mg HA/cm³]"),
)
SHARP = {"mtf10": "edges: MTF 10 %\n[1/mm]", "edge_sigma": "edges: width σ\n[mm]"}
# An axis spans what the cells with these terms need, and this share of it more on either side: cells without them can
# be so far off that nothing else would be told apart.
SPANNING, MARGIN = frozenset({"l1", "l2"}), 0.4
SHOWN = ("input", "l1", "l1+wgan", "l1+perceptual+wgan", "l1+euler+bvtv+hist")


def family(cell: str) -> tuple[str, str]:
    """Name and colour of the family a cell belongs to."""
    terms = set(cell.split("+"))
    for name, wanted, colour in FAMILIES:
        fits = wanted <= terms if name == "adversarial and perceptual" else wanted & terms
        if fits:
            return name, colour
    raise ValueError(f"no family of losses holds {cell!r}")


def trade(runs: Sequence[Run], title: str) -> bytes:
    """Sharpness against two errors, cell by cell; the better cells lie at the lower right.

    Means over the seeds, with their 95 % confidence intervals; a number stands for each cell.
    """
    cells = list(dict.fromkeys(run.cell for run in runs))
    with pictures.house():
        figure = pictures.figure(180, 100)
        figure.suptitle(title, x=0.01, ha="left")
        panels = figure.subplots(1, 3, width_ratios=(1, 1, 0.55))
        drawn = set()
        sharpness, told = sharpest(runs)
        across = span(runs, sharpness)
        for axes, (number, label) in zip(panels, TRADES, strict=False):
            upright = span(runs, number)
            for key, cell in enumerate(cells, 1):
                sharp, sharp_half = over_seeds(runs, cell, sharpness)
                error, error_half = over_seeds(runs, cell, number)
                if sharp is None or error is None or not (within(sharp, across) and within(error, upright)):
                    continue
                drawn.add(cell)
                colour = family(cell)[1]
                axes.errorbar(sharp, error, xerr=sharp_half, yerr=error_half, color=colour, elinewidth=0.4, alpha=0.5)
                axes.annotate(str(key), (sharp, error), ha="center", va="center", fontsize=5, color="white",
                              bbox={"boxstyle": "circle,pad=0.15", "fc": colour, "ec": "none"})  # fmt: skip
            axes.set_xlabel(told)
            axes.set_ylabel(label)
            axes.set_xlim(*(across[::-1] if sharpness == "edge_sigma" else across))
            axes.set_ylim(*upright)
        listing(panels[2], cells, drawn)
        return pictures.png(figure)


def sharpest(runs: Sequence[Run]) -> tuple[str, str]:
    """The first measure of sharpness, and its label, that most runs have."""
    for number, label in SHARPNESS:
        if sum(number in run.numbers for run in runs) > len(runs) / 2:
            return number, label
    return SHARPNESS[0]


def listing(axes: Axes, cells: Sequence[str], drawn: Collection[str]) -> None:
    """Write which number is which cell, and the colours of the families."""
    axes.axis("off")
    for place, cell in enumerate(cells):
        where = "" if cell in drawn else "  (beyond the axes)"
        axes.text(0, 1 - place / 36, f"{place + 1}  {cell}{where}", fontsize=4.8, color=family(cell)[1], va="top")
    for place, (name, _, colour) in enumerate(FAMILIES):
        axes.text(0, 0.16 - place / 36, f"■ {name}", fontsize=4.8, color=colour, va="top")


def chart(runs: Sequence[Run], title: str) -> bytes:
    """All errors side by side, a row for each cell: means over the seeds with their 95 % confidence intervals.

    Errors keep their sign; a value beyond the axis is written at its border.
    """
    cells = list(dict.fromkeys(run.cell for run in runs))
    with pictures.house():
        figure = pictures.figure(180, 12 + 4 * len(cells))
        figure.suptitle(title, x=0.01, ha="left")
        sharpness = sharpest(runs)[0]
        numbers = (*NUMBERS, (sharpness, SHARP[sharpness]))
        panels = figure.subplots(1, len(numbers), sharey=True)
        for axes, (number, label) in zip(panels, numbers, strict=True):
            needed = span(runs, number, signed=True)
            for row, cell in enumerate(cells):
                mean, half = over_seeds(runs, cell, number, signed=True)
                if mean is None:
                    continue
                colour = family(cell)[1]
                if within(mean, needed):
                    axes.errorbar(mean, row, xerr=half, fmt="o", markersize=2.5, color=colour, elinewidth=0.7)
                else:
                    side, text = ("right", f"{mean:.3g} →") if mean > needed[1] else ("left", f"← {mean:.3g}")
                    axes.text(needed[mean > needed[1]], row, text, ha=side, va="center", fontsize=4.5, color=colour)
            if within(0, needed):
                axes.axvline(0, color=pictures.PALE, linewidth=0.5, zorder=0)
            axes.set_xlim(*needed)
            axes.set_xlabel(label, fontsize=5.5)
            axes.tick_params(labelsize=5)
        panels[0].set_yticks(range(len(cells)), cells, fontsize=5.5)
        panels[0].invert_yaxis()
        for tick, cell in zip(panels[0].get_yticklabels(), cells, strict=True):
            tick.set_color(family(cell)[1])
        return pictures.png(figure)


def over_seeds(
    runs: Sequence[Run], cell: str, number: str, *, signed: bool = False
) -> tuple[float | None, float | None]:
    """Mean of a cell's number over the seeds, of its size unless signed, and the half-width of its interval."""
    values = [run.numbers[number] for run in runs if run.cell == cell and number in run.numbers]
    return summary(values if signed else [abs(value) for value in values])


def span(runs: Sequence[Run], number: str, *, signed: bool = False) -> tuple[float, float]:
    """What an axis has to show: see `SPANNING`. Errors have 0 on their axis."""
    cells = {run.cell for run in runs if run.terms & SPANNING}
    means = [mean for cell in cells if (mean := over_seeds(runs, cell, number, signed=signed)[0]) is not None]
    if "bias" in number or not means:
        means.append(0.0)
    low, high = min(means), max(means)
    margin = MARGIN * (high - low) or 1.0
    return (0.0 if low == 0 else low - margin), high + margin


def within(value: float, span: tuple[float, float]) -> bool:
    """Whether a value lies in a span."""
    return span[0] <= value <= span[1]


def slices(folder: Path, low: Path, truth: Path, side_mm: float, title: str) -> bytes:
    """The middle slice of the test bone: truth, then what is left of it after some of the networks.

    `folder` holds the networks by cell and seed; those that are missing are left out.
    """
    there = [(cell, model) for cell in SHOWN if (model := network(folder, cell))]
    bone = np.load(truth, mmap_mode="r")
    side = min(bone.shape[1:]) // 2
    part = (len(bone) // 2, *(slice(n // 2 - side // 2, n // 2 + side // 2) for n in bone.shape[1:]))
    with tempfile.TemporaryDirectory() as work, pictures.house():
        images = [("truth", np.asarray(bone[part]))]
        for cell, model in there:
            made = Path(work) / f"{cell}.npy"
            line = ["bonectl", "denoise", str(low), "--model", model, "--device", "cpu", "--quiet", "-o", str(made)]
            print(*line, file=sys.stderr)
            subprocess.run(line, check=True)
            images.append((cell, np.asarray(np.load(made, mmap_mode="r")[part])))
        figure = pictures.figure(180, 130)
        figure.suptitle(title, x=0.01, ha="left")
        for place, (name, image) in enumerate(images, 1):
            axes = figure.add_subplot(2, 3, place)
            window = pictures.WINDOWS["mgHA/cm3"]
            pictures.section(axes, image, window=window, sides=(side_mm, side_mm), unit="mgHA/cm3", title=name)
        return pictures.png(figure)


def network(folder: Path, cell: str) -> str | None:
    """The first network of a cell, where it is still there; the input needs none."""
    if cell == "input":
        return "identity"
    made = folder / cell / "0.safetensors"
    return str(made) if made.exists() else None
