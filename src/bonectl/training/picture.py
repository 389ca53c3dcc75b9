"""A training run as one picture: what the network makes of a held-out slice, and the curves of the log."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

from matplotlib.axes import Axes
from torch import Tensor

from bonectl.core import pictures
from bonectl.core.counted import counted
from bonectl.core.header import VOLUME, Header
from bonectl.learning.checkpoint import Normalisation
from bonectl.training.learner import Estimates, Learner
from bonectl.training.log import COMPOSITE, PSNR, columns
from bonectl.training.validation import Trial

# What is black and what is white [normalised units]: -400 and 1600 mgHA/cm³, as in every picture of a volume.
BLACK, WHITE = -1 / 3, 4 / 3

# Size of the picture [mm].
SIZE = (180.0, 125.0)

# A curve is drawn through the mean of so many steps each, at most this many points.
POINTS = 200

Curve = Sequence[tuple[int, float]]


def picture(log: Path, estimates: Estimates, learner: Learner, before: Trial) -> bytes:
    """Draw the middle held-out slice of the first stack, and the curves of a run; the same run gives the same bytes.

    Grey values have one window, fixed by the normalisation and written below: nothing is stretched to an image.

    Parameters
    ----------
    log : Path
        See ``bonectl.training.log``.
    estimates : Estimates
        Of the held-out part.
    learner : Learner
    before : Trial
        Of the held-out input: the level that the network has to leave behind.

    Returns
    -------
    bytes
        PNG.
    """
    curves = columns(log) if log.is_file() else {}
    with pictures.house():
        figure = pictures.figure(*SIZE)
        figure.suptitle(
            f"{learner.task.model}, loss {learner.objective}, {counted(learner.step, 'step')}: {Path(log).stem}",
            fontsize=7,
        )
        grid = figure.add_gridspec(2, 3, height_ratios=(1.35, 1))
        top, bottom = [[figure.add_subplot(grid[row, column]) for column in range(3)] for row in range(2)]
        _samples(top, estimates, learner.task.headers[0], learner.task.normalisation)
        _terms(bottom[0], {name: curves[name] for name in learner.objective.names if curves.get(name)})
        psnr, composite = curves.get(PSNR, []), curves.get(COMPOSITE, [])
        _level(bottom[1], psnr, before.psnr, "held-out PSNR [dB]")
        if before.bone is None:
            bottom[2].set_axis_off()
        else:
            _level(bottom[2], composite, before.composite, "held-out bone numbers, composite")
            bottom[2].set_ylim(bottom=0)
            _best(bottom[2], learner.patience.step, composite)
        return pictures.png(figure)


def _samples(places: Sequence[Axes], estimates: Estimates, header: Header, normalisation: Normalisation) -> None:
    """Draw input, estimate and target of one slice."""
    middle = len(estimates.clean[0]) // 2
    named = (("held-out input", estimates.noisy), ("estimate", estimates.made), ("target", estimates.clean))
    for axes, (title, volumes) in zip(places, named, strict=True):
        _slice(axes, volumes[0][middle], header, normalisation, title)


def _slice(axes: Axes, u: Tensor, header: Header, normalisation: Normalisation, title: str) -> None:
    """Draw one slice in the data's unit, with a scale bar where the voxel size is known."""
    image = normalisation.physical(u).float().cpu().numpy()
    black, white = (value * normalisation.scale + normalisation.offset for value in (BLACK, WHITE))
    _, row, column = header.spacing
    if header.axes == VOLUME and row is not None and column is not None:
        unit = normalisation.unit
        pictures.section(axes, image, window=(black, white), sides=(row, column), unit=unit, title=title)
        return
    axes.imshow(image, cmap="gray", vmin=black, vmax=white)
    axes.set_xlabel(f"black {black:g}, white {white:g} {pictures.spoken(normalisation.unit)}")
    axes.set_title(title)


def _terms(axes: Axes, curves: Mapping[str, Curve]) -> None:
    """Draw the value of each term of the loss."""
    for number, (name, curve) in enumerate(curves.items()):
        steps, values = zip(*thinned(curve), strict=True)
        colour = pictures.COLOURS[number % len(pictures.COLOURS)]
        axes.plot(steps, values, color=colour, label=name if len(name) <= 24 else f"{name[:23]}…")
    axes.set_title("terms of the loss")
    axes.set_xlabel("step")
    if curves and all(value > 0 for curve in curves.values() for _, value in curve):
        axes.set_yscale("log")
    if curves:
        axes.legend()


def _level(axes: Axes, curve: Curve, before: float, title: str) -> None:
    """Draw a number of the trials, and that of the input as a level."""
    if curve:
        axes.plot(*zip(*curve, strict=True), color=pictures.BLUE, marker=".", markersize=4, label="estimate")
    if isfinite(before):
        axes.axhline(before, color=pictures.INK, linestyle=":", linewidth=0.8, label="input")
    axes.set_title(title)
    axes.set_xlabel("step")
    if axes.get_legend_handles_labels()[0]:
        axes.legend()


def _best(axes: Axes, step: int, curve: Curve) -> None:
    """Mark the best trial; below 1 the numbers are within their tolerances."""
    best = [value for number, value in curve if number == step]
    axes.plot([step] * len(best), best, color=pictures.VERMILION, marker="o", fillstyle="none", linestyle="none")


def thinned(curve: Curve) -> list[tuple[float, float]]:
    """Return means over groups of neighbouring points, at most ``POINTS`` of them."""
    group = -(-len(curve) // POINTS)
    groups = [curve[start : start + group] for start in range(0, len(curve), group)]
    return [(sum(step for step, _ in g) / len(g), sum(value for _, value in g) / len(g)) for g in groups]
