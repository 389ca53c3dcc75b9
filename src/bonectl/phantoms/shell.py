"""A hollow ball."""

from math import pi

import numpy as np

from bonectl.core.stack import Stack
from bonectl.phantoms._grid import Grid
from bonectl.phantoms._solid import inside, solid


def shell(
    grid: Grid,
    *,
    diameter: float | None = None,
    wall: float | None = None,
    mineral: float = 1100.0,
    oversample: int = 4,
) -> Stack:
    """A hollow ball in the middle: one cavity, χ = 2, Tb.Th = wall.

    Parameters
    ----------
    grid : Grid
        Its voxels; nothing is drawn.
    diameter : float, optional
        Outer diameter [mm]; two thirds of the shortest side when not given.
    wall : float, optional
        Thickness of the wall [mm]; a sixth of the diameter when not given.
    mineral : float
        [mgHA/cm³].
    oversample : int
        Samples per voxel side at the surface.
    """
    shortest = min(grid.extent)
    d = shortest * 2 / 3 if diameter is None else diameter
    t = d / 6 if wall is None else wall
    inside("a shell", d, shortest)
    inside("the wall of a shell", t, d / 2)
    outer, middle = d / 2, (d - t) / 2
    answers = {
        "bv_mm3": 4 / 3 * pi * (outer**3 - (outer - t) ** 3),
        "bs_mm2": 4 * pi * (outer**2 + (outer - t) ** 2),
        "components": 1.0,
        "cavities": 1.0,
        "chi": 2.0,
        "tbth_mm": t,
    }
    return solid(
        grid,
        lambda z, y, x: np.abs(np.sqrt(z * z + y * y + x * x) - middle) - t / 2,
        answers,
        mineral=mineral,
        oversample=oversample,
    )
