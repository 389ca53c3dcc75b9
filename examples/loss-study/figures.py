"""Pictures of a study: error against dose, differences from L1, and how training went."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from findings import AXES, CONTROLS, FLOORS, LSC, MIXTURE, THRICE, Runs, student

from bonectl.core import pictures

# Families of losses, by the first of their terms that a cell holds; curves that are drawn boldly are named.
FAMILIES = (
    ("bone numbers", {"hist", "bvtv", "euler"}, pictures.VERMILION),
    ("adversary", {"wgan"}, pictures.PURPLE),
    ("VGG", {"vgg"}, pictures.GREEN),
    ("SSIM", {"ssim"}, pictures.SKY),
    ("L2", {"l2"}, pictures.ORANGE),
    ("L1", {"l1"}, pictures.INK),
)
MEAN, FILTER = pictures.BLUE, pictures.PALE
# Errors that axes show: raw scans are off by a hundred percent, networks by one.
LEAST, MOST = 0.3, 130.0


def colour(cell: str) -> str:
    """The colour of a cell's family."""
    if cell in (*CONTROLS, *FLOORS):
        return FILTER
    if cell in (MIXTURE, THRICE):
        return MEAN
    return next(colour for _, terms, colour in FAMILIES if terms & set(cell.split("+")))


def dose(runs: Runs, directions: Sequence[str]) -> bytes:
    """Error against dose for every axis, a line for each cell: means over scans, seeds and directions."""
    with pictures.house():
        figure = pictures.figure(180, 190)
        panels = figure.subplots(3, 3).ravel()
        for panel, axis in zip(panels, AXES, strict=False):
            for cell in runs.cells:
                curves = [
                    curve
                    for direction in directions
                    for seed in runs.seeds(cell)
                    if (curve := runs.curve(direction, cell, seed, axis.name))
                ]
                if curves:
                    means = [fmean(values) for values in zip(*curves, strict=True)]
                    style = "--" if cell in CONTROLS or cell == THRICE else "-"
                    wide = 2.0 if cell in ("l1", MIXTURE) else 0.9
                    panel.plot(runs.doses, means, style, color=colour(cell), linewidth=wide, label=cell)
            if axis.bought:
                panel.axhspan(LEAST, LSC, color=pictures.GREEN, alpha=0.12, linewidth=0)
            panel.set(xscale="log", yscale="log", ylim=(LEAST, MOST), title=f"{axis.label} error [{axis.unit}]")
        for panel in panels[len(AXES) :]:
            panel.axis("off")
        panels[len(AXES) - 1].set_xlabel("photons per pixel and view (120 views)")
        lines, names = panels[0].get_legend_handles_labels()
        panels[len(AXES)].legend(lines, names, loc="upper left", fontsize=7)
        panels[len(AXES) + 1].text(
            0, 0.9, f"green: within {LSC} %,\nthe least significant change", fontsize=8, va="top"
        )
        return pictures.png(figure)


def forest(runs: Runs, directions: Sequence[str]) -> bytes:
    """How much less each cell errs than L1, with 95 % intervals over seeds; the grey band is the margin."""
    cells = [cell for cell in runs.cells if cell != "l1" and cell not in CONTROLS]
    with pictures.house():
        figure = pictures.figure(180, 20 + 6 * len(cells))
        panels = figure.subplots(1, len(AXES), sharey=True)
        for panel, axis in zip(panels, AXES, strict=True):
            panel.axvspan(-axis.margin, axis.margin, color=pictures.PALE, alpha=0.3, linewidth=0)
            panel.axvline(0, color=pictures.INK, linewidth=0.6)
            span = 5 * axis.margin
            for place, cell in enumerate(cells):
                judged = student(runs.gains(directions, (cell,), ("l1",), axis.name))
                if judged is None:
                    continue
                if abs(judged.mean) > span:
                    side = "left" if judged.mean < 0 else "right"
                    at = -span if judged.mean < 0 else span
                    panel.text(at, place, f"{judged.mean:+.1f}", ha=side, va="center", fontsize=6, color=colour(cell))
                    continue
                half = min(judged.half, 10 * span)
                panel.errorbar(judged.mean, place, xerr=half, fmt="o", markersize=3, color=colour(cell))
            panel.set_xlim(-span, span)
            panel.set_title(f"{axis.label}\n[{axis.unit}]", fontsize=7)
        panels[0].set_yticks(range(len(cells)), cells)
        panels[0].invert_yaxis()
        panels[0].set_xlabel("← worse than L1    better →", loc="left")
        return pictures.png(figure)


def curves(tables: Mapping[str, Sequence[Path]]) -> bytes:
    """PSNR of the held-out slices against steps, by cell; means over the tables (.csv) of its networks."""
    with pictures.house():
        figure = pictures.figure(120, 80)
        panel = figure.subplots()
        for cell, paths in tables.items():
            known = [held_out(path) for path in paths]
            known = [one for one in known if one and len(one) == max(map(len, known))]
            if known:
                steps = [step for step, _ in known[0]]
                means = [fmean(one[place][1] for one in known) for place in range(len(steps))]
                panel.plot(steps, means, color=colour(cell), label=cell, linewidth=0.9)
                panel.annotate(cell, (steps[-1], means[-1]), fontsize=6, color=colour(cell))
        panel.set(xlabel="step", ylabel="PSNR of held-out slices [dB]")
        return pictures.png(figure)


def held_out(path: Path) -> list[tuple[int, float]]:
    """Steps, and PSNR there, of a network's table."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            (int(row["step"]), float(row["held-out PSNR [dB]"]))
            for row in csv.DictReader(file)
            if row["held-out PSNR [dB]"]
        ]
