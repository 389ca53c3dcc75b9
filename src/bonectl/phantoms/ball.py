"""A solid ball."""

from math import pi

import numpy as np

from bonectl.core.stack import Stack
from bonectl.phantoms._grid import Grid
from bonectl.phantoms._solid import inside, solid


def ball(
    grid: Grid,
    *,
    diameter: float | None = None,
    mineral: float = 1100.0,
    oversample: int = 4,
) -> Stack:
    """A solid ball in the middle: χ = 1, Tb.Th = diameter, SMI 4.

    Parameters
    ----------
    grid : Grid
        Its voxels; nothing is drawn.
    diameter : float, optional
        [mm]; two thirds of the shortest side when not given.
    mineral : float
        [mgHA/cm³].
    oversample : int
        Samples per voxel side at the surface.
    """
    shortest = min(grid.extent)
    d = shortest * 2 / 3 if diameter is None else diameter
    inside("a ball", d, shortest)
    answers = {
        "bv_mm3": pi * d**3 / 6,
        "bs_mm2": pi * d**2,
        "components": 1.0,
        "cavities": 0.0,
        "chi": 1.0,
        "tbth_mm": d,
    }
    return solid(
        grid,
        lambda z, y, x: np.sqrt(z * z + y * y + x * x) - d / 2,
        answers,
        mineral=mineral,
        oversample=oversample,
    )
