"""A uniform disc, for projections and noise."""

from math import pi

import numpy as np

from bonectl.core.stack import Stack
from bonectl.phantoms._grid import Grid
from bonectl.phantoms._solid import inside, solid


def disc(
    grid: Grid,
    *,
    diameter: float | None = None,
    mineral: float = 200.0,
    oversample: int = 8,
) -> Stack:
    """The same uniform disc in every slice: chords, and with them noise, are known everywhere.

    Parameters
    ----------
    grid : Grid
        Its voxels; nothing is drawn.
    diameter : float, optional
        [mm]; four fifths of the shorter of the sides y and x when not given.
    mineral : float
        [mgHA/cm³].
    oversample : int
        Samples per voxel side at the rim.
    """
    height, *sides = grid.extent
    d = min(sides) * 0.8 if diameter is None else diameter
    inside("a disc", d, min(sides))
    answers = {
        "bv_mm3": pi * d**2 / 4 * height,
        "bs_mm2": pi * d * height,
        "components": 1.0,
        "cavities": 0.0,
        "chi": 1.0,
    }
    return solid(
        grid,
        lambda z, y, x: np.hypot(y, x) - d / 2,
        answers,
        mineral=mineral,
        oversample=oversample,
    )
