"""The tries of a rotation axis as one picture: a corner of the slice for each column, in one window of values."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_gradient_magnitude, uniform_filter

from bonectl.core import pictures
from bonectl.core.header import Header
from bonectl.core.slabs import Array
from bonectl.scanning.tries import Tried

# Side of what is shown of each try [voxel]: an axis that is a column off shows at this size, and not in a whole slice.
DETAIL = 160
# Black and white are these percentiles of the best try, for all tries.
DARKEST, BRIGHTEST = 0.5, 99.8
COLUMNS = 5
# Width of the sheet, and what a row of tiles and the first lines take [mm].
WIDTH, TILE, HEAD = 180.0, 42.0, 8.0

Corner = tuple[slice, slice]


def contact_sheet(tried: Tried) -> bytes:
    """A PNG: the best slice whole, and its most detailed part for each column.

    Returns
    -------
    bytes
        The same tries give the same bytes.
    """
    titles = [
        f"{column:g}: {score:.4g}{', best' if i == tried.best else ''}"
        for i, (column, score) in enumerate(zip(tried.centres, tried.scores, strict=True))
    ]
    heading = f"slice {tried.index} by column of the rotation axis: score ({tried.method})"
    return sheet_of(tried.header, tried.tries, titles, heading, (tried.tries[tried.best], "whole, best column"))


def sheet_of(
    header: Header, tries: Sequence[Array] | Array, titles: Sequence[str], heading: str, first: tuple[Array, str]
) -> bytes:
    """A PNG: one slice whole, and its most detailed part in each try, all in its window of values.

    Parameters
    ----------
    header : Header
        Of the tries as a stack.
    tries : (n, y, x) array, or as many slices
    titles : sequence of str
        What stands above each.
    heading : str
    first : (y, x) array and str
        The slice that is shown whole, and what stands above it.
    """
    whole, said = first
    low, high = window(whole)
    corner = detail(whole)
    tiles = len(titles) + 1
    across = min(COLUMNS, tiles)
    down = ceil(tiles / across)
    side = header.spacing[2] or 1.0
    with pictures.house():
        figure = pictures.figure(WIDTH, HEAD + down * TILE * COLUMNS / across)
        unit = pictures.spoken(header.unit)
        figure.suptitle(f"{heading}; black {low:g}, white {high:g} {unit} in all pictures", fontsize=7)
        axes = figure.add_subplot(down, across, 1)
        pictures.section(axes, whole, window=(low, high), sides=(side, side), title=said)
        mask = np.zeros(whole.shape, dtype=bool)
        mask[corner] = True
        pictures.overlay(axes, mask, sides=(side, side))
        for i, title in enumerate(titles):
            axes = figure.add_subplot(down, across, i + 2)
            pictures.section(axes, tries[i][corner], window=(low, high), sides=(side, side), title=title)
        return pictures.png(figure)


def window(slice_: Array) -> tuple[float, float]:
    """Black and white for all tries, rounded to two digits: from the best one, or every try would look its best."""
    low, high = np.percentile(slice_, [DARKEST, BRIGHTEST])
    digit = 10.0 ** (np.floor(np.log10(max(high - low, 1e-12))) - 1)
    bottom, top = float(np.floor(low / digit) * digit), float(np.ceil(high / digit) * digit)
    return float(f"{bottom:.6g}"), float(f"{max(top, bottom + digit):.6g}")


def detail(slice_: Array) -> Corner:
    """The square of `DETAIL` voxels, or all, that holds the most edges within the circle that all views see."""
    size = len(slice_)
    side = min(DETAIL, size)
    edges: NDArray[np.float32] = gaussian_gradient_magnitude(np.asarray(slice_, dtype=np.float32), 1.0)
    row, column = np.ogrid[:size, :size]
    edges[np.hypot(row - (size - 1) / 2, column - (size - 1) / 2) > 0.47 * size] = 0
    sums = uniform_filter(edges, side, mode="constant")
    lowest, highest = side // 2, size - side + side // 2
    inner = sums[lowest : highest + 1, lowest : highest + 1]
    top, left = np.unravel_index(int(inner.argmax()), inner.shape)
    return slice(int(top), int(top) + side), slice(int(left), int(left) + side)
