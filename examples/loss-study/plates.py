"""Pictures of one test scan and of training, from the small files that `evidence.py` gathers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import figures
import numpy as np
import tables
from breaks import FEWEST, HALF, Break, breaks, clearest
from findings import FLOORS, MIXTURE
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from bonectl.core import pictures

WINDOW, APART = (-400.0, 1600.0), (-600.0, 600.0)  # of slices and of differences [mgHA/cm3]
AROUND = 12  # voxels on either side of a break that are shown
REACHES = (0.02, 0.05, 0.1, 0.2, 0.5)  # of axes of differences from L1
DENSEST = 1400.0  # where the histogram ends [mgHA/cm3]
NOISE = 0.05  # of a curve that has fallen: what is left of it tells nothing
CUT = 0.378  # of the Fourier shell correlation with a truth
LOOKS: Mapping[str, dict] = {
    "truth": {"color": pictures.ORANGE, "linewidth": 2.2},
    "l1": {"color": pictures.INK, "linewidth": 1.8},
    MIXTURE: {"color": figures.MEAN, "linewidth": 1.4},
    "input": {"color": figures.CONTROL, "linestyle": "--", "linewidth": 1.2},
}
FLOOR = {"color": figures.FILTER, "linestyle": "-.", "linewidth": 1.4}
NAMES = {"l1": "L1", MIXTURE: "mean of 3", "input": "raw"}

Made = tuple[Callable[[FigureBase, float], None], float, str] | None


@dataclass(frozen=True)
class Example:
    """The scan that was denoised by every cell: masks and one slice of those that are compared, the truth first."""

    cells: tuple[str, ...]
    masks: Sequence[NDArray[np.bool_]]
    slices: NDArray[np.int16]
    cut: tuple[int, int]
    side: float
    threshold: float
    photons: float
    direction: str
    knobs: tuple[str, ...]

    @property
    def found(self) -> dict[str, list[Break]]:
        """Breaks in everything but the truth."""
        return {
            cell: list(breaks(self.masks[0], mask)) for cell, mask in zip(self.cells[1:], self.masks[1:], strict=True)
        }

    @property
    def scan(self) -> str:
        """Which scan it is."""
        return f"{self.direction}, {self.photons:g} photons per pixel and view, test realisation 1, networks of seed 0"

    def name(self, cell: str) -> str:
        """A cell as it stands over its column."""
        return NAMES.get(cell, cell)


def read(folder: Path) -> Example | None:
    """The example of a folder; None where it has none."""
    path = folder / "evidence" / "example.npz"
    if not path.exists():
        return None
    with np.load(path) as kept:
        shape = tuple(kept["shape"])
        masks = [np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(bool) for bits in kept["masks"]]
        return Example(
            tuple(map(str, kept["cells"])), masks, kept["slices"], (int(kept["cut"][0]), int(kept["cut"][1])),
            float(kept["side_mm"]), float(kept["threshold"]), float(kept["photons"]), str(kept["direction"]),
            tuple(map(str, kept["knobs"])),
        )  # fmt: skip


def slices(folder: Path) -> Made:
    """Slices, differences, and the clearest break of L1."""
    example = read(folder)
    if example is None:
        return None
    found = example.found
    shown = clearest(found.get("l1", []))
    counts = ", ".join(f"{example.name(cell)} {len(places)}" for cell, places in found.items())
    plane = "zyx"[example.cut[0]]
    zoom = (
        "No strut of the reference is broken in L1 by this rule, so that nothing is magnified."
        if shown is None
        else f"Third row: the place in the box, magnified; blue: outline of the reference, orange: of the column's "
        f"own. The place, {', '.join(f'{letter} {at}' for letter, at in zip('zyx', shown.place, strict=True))}, was "
        f"chosen by rule: of all breaks of L1 the one whose slice leaves the largest second piece ({shown.shown} "
        "pixels)."
    )
    knobs = "; ".join(filter(None, example.knobs))
    columns_named = " and ".join({"l1": "L1"}.get(cell, cell) for cell in example.cells if cell in ("l1", MIXTURE))
    caption = (
        f"The slice {plane} = {example.cut[1]} of {example.scan}: reference, raw scan, the floor whose four bone "
        f"numbers err least at this dose{f' ({knobs})' if knobs else ''}, {columns_named}, n = 1 scan. Grey "
        f"{WINDOW[0]:g} to {WINDOW[1]:g} mgHA/cm³; orange: outline of bone, above {example.threshold:g} mgHA/cm³. "
        f"Second row: difference from the reference, {APART[0]:g} to {APART[1]:g} mgHA/cm³. {zoom} A break is a "
        f"cube of {2 * HALF + 1} voxels around bone of the reference that is missing, in which the reference's "
        "strut is one piece (26 neighbours) and the other's bone covers it in two pieces or more of at least "
        f"{FEWEST} voxels. Breaks in the whole volume: {counts}."
    )
    rows, columns = example.slices.shape[1:]
    side = figures.WIDTH / len(example.cells) - 2
    height = 8 + 2 * side * rows / columns + (side if shown else 0)
    return lambda canvas, h: plate(canvas, example, shown), height, caption


def plate(canvas: FigureBase, example: Example, shown: Break | None) -> None:
    """Rows of slices, of differences, and of what is magnified; a column for each volume."""
    rows = 3 if shown else 2
    panels = canvas.subplots(rows, len(example.cells), squeeze=False)
    axis, at = example.cut
    sides = (example.side, example.side)
    truth = example.slices[0].astype(float)
    outlines = [mask.take(at, axis) for mask in example.masks]
    for column, (cell, image) in enumerate(zip(example.cells, example.slices, strict=True)):
        top = panels[0, column]
        title = "reference" if cell == "truth" else example.name(cell)
        pictures.section(top, image, window=WINDOW, sides=sides, title=title)
        pictures.overlay(top, outlines[column], sides=sides, width=0.6)
        if cell == "truth":
            panels[1, column].axis("off")
            panels[1, column].text(
                1.0, 0.5, f"above and below:\n{WINDOW[0]:g} to {WINDOW[1]:g}\n\nless the reference:\n{APART[0]:g} to "
                f"{APART[1]:g} →\n\n[mgHA/cm³]", ha="right", va="center", linespacing=1.3,
            )  # fmt: skip
        else:
            pictures.section(panels[1, column], image - truth, window=APART, sides=sides)
        if shown:
            zoomed(panels[2, column], image, (outlines[0], outlines[column]), shown, example.side)
            box(top, shown, example.side, image.shape)
    for place, panel in np.ndenumerate(panels):
        for text in panel.texts:
            text.set_fontsize(figures.LETTERS)
        if place[1] > (place[0] == 1):  # one bar in a row is enough
            for artist in (*panel.texts, *panel.lines):
                artist.remove()


def middle(shown: Break) -> tuple[int, int]:
    """Row and column of a break in the slice across its axis."""
    row, column = (at for axis, at in enumerate(shown.place) if axis != shown.axis)
    return row, column


def corner(shown: Break, shape: tuple[int, ...]) -> tuple[int, int]:
    """First row and column of what is magnified, inside the slice."""
    row, column = (min(max(at - AROUND, 0), n - 2 * AROUND - 1) for at, n in zip(middle(shown), shape, strict=True))
    return row, column


def box(panel: Axes, shown: Break, side: float, shape: tuple[int, ...]) -> None:
    """Where the magnified part lies."""
    row, column = corner(shown, shape)
    size = (2 * AROUND + 1) * side
    panel.add_patch(Rectangle((column * side, row * side), size, size, fill=False, color="white", linewidth=1.0))


def zoomed(
    panel: Axes, image: NDArray[np.int16], outlines: Sequence[NDArray[np.bool_]], shown: Break, side: float
) -> None:
    """A break from near, with the reference's outline and its own."""
    row, column = corner(shown, image.shape)
    part = (slice(row, row + 2 * AROUND + 1), slice(column, column + 2 * AROUND + 1))
    pictures.section(panel, image[part], window=WINDOW, sides=(side, side))
    pictures.overlay(panel, outlines[1][part], sides=(side, side), width=1.1)
    pictures.overlay(panel, outlines[0][part], sides=(side, side), colour=pictures.SKY, width=1.1)


def columns(path: Path) -> dict[str, list[float]]:
    """A table of numbers by column."""
    lines = tables.read(path)
    return {name: [float(line[name]) for line in lines] for name in lines[0]} if lines else {}


def look(cell: str, folder: Path) -> tuple[str, dict] | None:
    """Name and style of a line; None for those that are drawn thin and grey."""
    example = read(folder)
    if cell in LOOKS:
        return NAMES.get(cell, cell), dict(LOOKS[cell])
    if example is not None and cell in example.cells and cell in FLOORS:
        return cell, dict(FLOOR)
    return None


def lines(panel: Axes, curves: Mapping[str, NDArray], x: NDArray, folder: Path, tall: float) -> None:
    """Curves of all cells, of which the few that matter are named where they end; not where there is no height."""
    ends = []
    for cell, curve in curves.items():
        named = look(cell, folder)
        if named is None:
            panel.plot(x, curve, color=pictures.PALE, linewidth=0.6, zorder=1)
        else:
            panel.plot(x, curve, zorder=3, **named[1])
            ends.append((float(curve[-1]), named[0], named[1]["color"]))
    if tall:
        figures.label(panel, ends, tall)


def resolution(folder: Path) -> Made:
    """FSC and MTF of every cell, and what they differ by from L1."""
    found = columns(folder / "evidence" / "fsc.tsv")
    edges = {
        line["cell"]: float(line["edge_sigma_mm"])
        for line in tables.read(folder / "evidence" / "methods.tsv")
        if line["edge_sigma_mm"]
    }
    example = read(folder)
    if not found or example is None:
        return None
    frequency = np.array(found.pop("frequency"))
    fsc = {cell: np.array(curve) for cell, curve in found.items()}
    mtf = {cell: np.exp(-2 * np.pi**2 * sigma**2 * frequency**2) for cell, sigma in edges.items()}
    mtf = {cell: mtf[cell] for cell in (*fsc, "truth") if cell in mtf}
    apart = [{cell: curve - all_["l1"] for cell, curve in all_.items()} for all_ in (fsc, mtf) if "l1" in all_]
    caption = (
        f"Resolution of one scan ({example.scan}), n = 1 scan, a line for each cell. Above: Fourier shell "
        "correlation with the truth, whose own is 1 everywhere, against spatial frequency up to Nyquist's; dotted: "
        f"{CUT}, where the axis FSC reads the frequency. MTF exp(-2 π² σ² f²), σ being fitted to the edges of the "
        "reference bone, and the truth's own; dotted: 10 %, where the axis MTF reads it. Below: the same less "
        f"L1's, as far as L1's own is above {NOISE}. **These axes magnify**: of the 0 to 1 above they show the "
        f"least of ± {', '.join(f'{one:g}' for one in REACHES)} that holds the truth and the mean of three losses. "
        "Thin grey: all other cells."
    )
    return lambda canvas, h: four(canvas, frequency, (fsc, mtf), apart, folder, h), 126.0, caption


def four(
    canvas: FigureBase,
    frequency: NDArray,
    curves: Sequence[Mapping[str, NDArray]],
    apart: Sequence[Mapping[str, NDArray]],
    folder: Path,
    height: float,
) -> None:
    """FSC and MTF in the first row, differences from L1 in the second."""
    panels = canvas.subplots(2, 2)
    tall = height / 2 - 12
    for place, (cut, title, found) in enumerate(zip((CUT, 0.1), ("FSC", "MTF of edges"), curves, strict=True)):
        panels[0, place].axhline(cut, color=pictures.INK, linewidth=0.8, linestyle=":")
        panels[0, place].set(ylim=(0, 1.03), xlim=(0, frequency[-1]), title=title)
        lines(panels[0, place], found, frequency, folder, tall)
    for place, (title, found) in enumerate(zip(("FSC less L1's", "MTF less L1's"), apart, strict=False)):
        seen = slice(0, told(curves[place]["l1"]))
        held = [float(np.abs(found[cell][seen]).max()) for cell in ("truth", MIXTURE) if cell in found]
        wide = next((one for one in REACHES if one >= max(held, default=0)), REACHES[-1])
        panels[1, place].set(ylim=(-wide, wide), xlim=(0, frequency[seen][-1]), title=title)
        panels[1, place].set_xlabel("spatial frequency [1/mm]")
        lines(panels[1, place], {cell: curve[seen] for cell, curve in found.items()}, frequency[seen], folder, tall)


def told(curve: NDArray) -> int:
    """How many places of a curve lie before it has fallen to NOISE."""
    below = np.flatnonzero(curve < NOISE)
    return int(below[0]) + 1 if below.size else len(curve)


def density(folder: Path) -> Made:
    """Distribution of density of every cell, and how far its cumulative one lies from the truth's."""
    found = columns(folder / "evidence" / "density.tsv")
    example = read(folder)
    if not found or example is None:
        return None
    low, high = (np.array(found.pop(name)) for name in ("from", "to"))
    shares = {cell: np.array(values) for cell, values in found.items()}
    apart = {cell: 100 * np.cumsum(values - shares["truth"]) for cell, values in shares.items() if cell != "truth"}
    caption = (
        f"Density of the voxels in the cylinder of one scan ({example.scan}), n = 1 scan, a line for each cell. "
        f"Left: share of voxels in each of {len(low)} bins of {high[0] - low[0]:g} mgHA/cm³, a logarithmic axis. "
        "Right: cumulative distribution less the truth's, in the colours of the left; the area between a line and "
        "0 is W1. Thin grey: all other cells."
    )
    return lambda canvas, h: two(canvas, (low + high) / 2, high, shares, apart, folder, h), 82.0, caption


def two(
    canvas: FigureBase,
    middles: NDArray,
    ends: NDArray,
    shares: Mapping[str, NDArray],
    apart: Mapping[str, NDArray],
    folder: Path,
    height: float,
) -> None:
    """Histograms at the left, differences of the cumulative ones at the right."""
    left, right = canvas.subplots(1, 2)
    inner = (middles > WINDOW[0] + 20) & (middles < DENSEST)  # the outermost bins hold all that is beyond
    percents = {cell: 100 * np.maximum(values[inner], 1e-9) for cell, values in shares.items()}
    least = min(values[values > 1e-6].min() for cell, values in percents.items() if look(cell, folder))
    figures.plain(left, max(least / 1.3, 0.003), 1.5 * max(values.max() for values in percents.values()))
    left.set(xlim=(middles[inner][0], middles[inner][-1]), title="share of voxels in a bin [%]")
    lines(left, percents, middles[inner], folder, height - 16)
    right.axhline(0, color=LOOKS["truth"]["color"], linewidth=2.0)
    right.set(title="cumulative share less the truth's [%]", xlim=(middles[0], middles[-1]))
    bound = 1.1 * max(float(np.abs(apart[cell]).max()) for cell in apart if look(cell, folder))
    right.set_ylim(-bound, bound)
    lines(right, apart, ends, folder, 0)
    for panel in (left, right):
        panel.set_xlabel("density [mgHA/cm³]")


def training(folder: Path) -> Made:
    """How training went, by cell."""
    told = tables.read(folder / "evidence" / "training.tsv")
    if not told:
        return None
    found = {}
    for cell in dict.fromkeys(line["cell"] for line in told):
        own = [line for line in told if line["cell"] == cell]
        steps = sorted({int(line["step"]) for line in own})
        found[cell] = {"step": steps} | {
            what: [fmean(float(line[what]) for line in own if int(line["step"]) == step) for step in steps]
            for what in ("psnr", "loss")
        }
    networks = {(line["bone"], line["cell"], line["seed"]) for line in told}
    bones = sorted({line["bone"] for line in told})
    before = [float(line["psnr_input"]) for line in told if line["psnr_input"]]
    given = f"; before denoising it is {fmean(before):.1f} dB" if before else ""
    caption = (
        f"Training: PSNR of the slices that were held out of the training stacks{given}, and the loss that is "
        "trained, relative to its mean over the first eighth of the steps (left out where it is not positive, as "
        f"an adversary's). Means over n = {len(networks)} networks: {len(found)} cells, trained on "
        f"{' and '.join(bones)}. An axis of PSNR shows the range of the networks alone."
    )
    return lambda canvas, h: figures.training(canvas, found, h), 88.0, caption


PICTURES: Mapping[str, Callable[[Path], Made]] = {
    "slices": slices,
    "resolution": resolution,
    "density": density,
    "training": training,
}
