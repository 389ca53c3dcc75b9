"""One house style for every picture: fonts, colours, fixed grey windows, and a scale bar in mm.

Matplotlib is imported with this module, which therefore is imported only where a picture is wanted. Nothing here
uses pyplot: figures are plain values, and no global setting outlives `house`.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import floor, log10
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from bonectl.errors import UsageError

Window = tuple[float, float]
Sides = tuple[float, float]

# Colours that readers with any colour vision can tell apart (Okabe & Ito, Color Universal Design, 2008).
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
INK, PALE = "#222222", "#BBBBBB"
COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)

# Map of quantities to colours that is even in lightness for readers with any colour vision.
HEAT = "viridis"

# What is black and what is white, where the unit is calibrated: one window for all volumes, so that greys compare.
WINDOWS: Mapping[str, Window] = MappingProxyType({"mgHA/cm3": (-400.0, 1600.0), "label": (0.0, 1.0)})

DOTS_PER_INCH = 200
_MM_PER_INCH = 25.4

_STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "font.family": "DejaVu Sans",
        "font.size": 7.0,
        "axes.titlesize": 7.5,
        "axes.labelsize": 7.0,
        "axes.linewidth": 0.6,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.labelsize": 6.5,
        "ytick.labelsize": 6.5,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "legend.fontsize": 6.5,
        "legend.frameon": False,
        "lines.linewidth": 1.2,
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
        "image.interpolation": "nearest",
    }
)


@contextmanager
def house() -> Iterator[None]:
    """The house style, for figures made and turned into bytes inside the block."""
    style: Any = dict(_STYLE)
    with mpl.rc_context(style):
        yield


def figure(width: float, height: float) -> Figure:
    """An empty figure of that size [mm]; its parts arrange themselves so that nothing overlaps."""
    made = Figure(figsize=(width / _MM_PER_INCH, height / _MM_PER_INCH), layout="constrained")
    FigureCanvasAgg(made)
    return made


def png(figure: Figure, *, dpi: int = DOTS_PER_INCH) -> bytes:
    """The figure as a PNG file: the same figure gives the same bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})
    return file.getvalue()


def section(
    axes: Axes, image: NDArray[Any], *, window: Window, sides: Sides, unit: str = "", title: str = ""
) -> AxesImage:
    """Draw one slice in grey, with a scale bar.

    Parameters
    ----------
    axes : Axes
    image : (rows, columns) array
    window : tuple of float
        The values that are black and white, in the unit of the image: given, never found in it.
    sides : tuple of float
        Of a pixel along rows and columns [mm].
    unit : str
        When given, a line under the picture says what is black and what is white.
    title : str

    Raises
    ------
    UsageError
        When the window is empty.
    """
    low, high = window
    if not low < high:
        raise UsageError(f"a grey window from {low:g} to {high:g}; black must lie below white")
    drawn = axes.imshow(image, cmap="gray", vmin=low, vmax=high, extent=_extent(image, sides))
    _plain(axes, title)
    if unit:
        axes.set_xlabel(f"grey {low:g} to {high:g} {spoken(unit)}", labelpad=2, fontsize=6.2)
    scale_bar(axes, image.shape[1] * sides[1])
    return drawn


def overlay(axes: Axes, mask: NDArray[np.bool_], *, sides: Sides, colour: str = ORANGE, width: float = 0.7) -> None:
    """Draw the outline of a mask, (rows, columns), over a `section` of the same shape."""
    if not mask.any() or mask.all():
        return
    rows, columns = ((np.arange(n) + 0.5) * side for n, side in zip(mask.shape, sides, strict=True))
    axes.contour(columns, rows, mask.astype(np.float32), levels=[0.5], colors=[colour], linewidths=[width])


def heat(
    axes: Axes, values: NDArray[Any], *, window: Window, sides: Sides, label: str, title: str = "", colours: str = HEAT
) -> AxesImage:
    """Draw a map of a quantity in colours with their key, black where it is 0 (nothing there).

    Parameters
    ----------
    axes : Axes
    values : (rows, columns) array
    window : tuple of float
        The values at both ends of the key.
    sides : tuple of float
        Of a pixel along rows and columns [mm].
    label : str
        Quantity and unit, beside the key.
    title, colours : str
        `colours` is the name of a matplotlib colour map.
    """
    axes.set_facecolor("black")
    shown = np.ma.masked_equal(values, 0)
    drawn = axes.imshow(shown, cmap=colours, vmin=window[0], vmax=window[1], extent=_extent(values, sides))
    _plain(axes, title)
    key = axes.figure.colorbar(drawn, ax=axes, shrink=0.85, pad=0.02, aspect=25)
    key.set_label(label)
    key.outline.set_visible(False)
    scale_bar(axes, values.shape[1] * sides[1])
    return drawn


def scale_bar(axes: Axes, width: float) -> None:
    """A bar of 1, 2 or 5 times a power of ten, near a fifth of `width` [mm], in the lower left corner."""
    length = round_length(width / 5)
    text = f"{length:g} mm" if length >= 0.1 else f"{length * 1000:g} µm"
    outline = [patheffects.withStroke(linewidth=2.5, foreground="black")]
    (bottom, top), (left, right) = axes.get_ylim(), axes.get_xlim()
    x, y = left + 0.04 * (right - left), bottom + 0.05 * (top - bottom)
    axes.plot([x, x + length], [y, y], color="white", linewidth=2, solid_capstyle="butt", path_effects=outline)
    axes.annotate(
        text,
        (x, y),
        xytext=(0, 3),
        textcoords="offset points",
        ha="left",
        va="bottom",
        color="white",
        fontsize=6.5,
        path_effects=outline,
    )


def round_length(length: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not longer than `length`."""
    if not length > 0:
        raise UsageError(f"a scale bar of {length:g} mm; the length must be positive")
    power = 10.0 ** floor(log10(length) + 1e-9)
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= length * (1 + 1e-9))


def spoken(unit: str) -> str:
    """The unit as papers write it."""
    return {"mgHA/cm3": "mg HA/cm³", "1": "", "1/mm3": "1/mm³", "mm2": "mm²", "mm3": "mm³"}.get(unit, unit)


def _extent(image: NDArray[Any], sides: Sides) -> tuple[float, float, float, float]:
    """Left, right, bottom and top [mm]; rows run down."""
    rows, columns = image.shape
    return (0.0, columns * sides[1], rows * sides[0], 0.0)


def _plain(axes: Axes, title: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_title(title)
