"""Pictures of a study: what each loss trades for what, and what the bone looks like after it."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from findings import Run, summary

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
SHARPNESS = ("mtf10", "edges: MTF 10 % [1/mm]")
TRADES = (
    ("chi bias [%]", "error of the Euler number [% of the truth]"),
    ("bmd_distance", "distance of densities W1 [mg HA/cm³]"),
)
SHOWN = ("input", "l1", "l1+wgan", "l1+perceptual+wgan", "l1+euler+bvtv+hist")
# Errors beyond these cannot be told apart from each other and would squeeze the rest.
LARGEST = {"chi bias [%]": 60.0, "bmd_distance": 30.0}


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

    Means over the seeds, with their 95 % confidence intervals.
    """
    with pictures.house():
        figure = pictures.figure(180, 95)
        figure.suptitle(title, x=0.01, ha="left")
        for place, (number, label) in enumerate(TRADES, 1):
            axes = figure.add_subplot(1, 2, place)
            for cell in dict.fromkeys(run.cell for run in runs):
                same = [run for run in runs if run.cell == cell]
                sharp, sharp_half = summary([r.numbers[SHARPNESS[0]] for r in same if SHARPNESS[0] in r.numbers])
                error, error_half = summary([abs(r.numbers[number]) for r in same if number in r.numbers])
                if sharp is None or error is None or error > LARGEST[number]:
                    continue
                colour = family(cell)[1]
                axes.errorbar(sharp, error, xerr=sharp_half, yerr=error_half, fmt="o", markersize=3, color=colour,
                              elinewidth=0.4, alpha=0.9)  # fmt: skip
                axes.annotate(cell, (sharp, error), xytext=(3, 2), textcoords="offset points", fontsize=5, color=colour)
            axes.set_xlabel(SHARPNESS[1])
            axes.set_ylabel(label)
            axes.set_ylim(bottom=0)
        for name, _, colour in FAMILIES:
            axes.plot([], [], "o", markersize=3, color=colour, label=name)
        axes.legend(loc="best", fontsize=5.5)
        return pictures.png(figure)


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
