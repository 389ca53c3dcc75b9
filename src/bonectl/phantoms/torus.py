"""A ring."""

from math import pi

import numpy as np

from bonectl.core.stack import Stack
from bonectl.phantoms._grid import Grid
from bonectl.phantoms._solid import inside, solid


def torus(
    grid: Grid,
    *,
    diameter: float | None = None,
    thickness: float | None = None,
    mineral: float = 1100.0,
    oversample: int = 4,
) -> Stack:
    """A ring around the z axis: one tunnel, χ = 0, Tb.Th = thickness.

    Parameters
    ----------
    grid : Grid
        Its voxels; nothing is drawn.
    diameter : float, optional
        Of the ring's centre line [mm]; half of the shorter of the sides y and x when not given.
    thickness : float, optional
        Diameter of the rod that is bent to the ring [mm]; a third of the ring's when not given.
    mineral : float
        [mgHA/cm³].
    oversample : int
        Samples per voxel side at the surface.
    """
    height, *sides = grid.extent
    d = min(sides) / 2 if diameter is None else diameter
    t = min(d / 3, height / 2) if thickness is None else thickness
    inside("a torus", d + t, min(sides))
    inside("the rod of a torus", t, min(height, d))
    answers = {
        "bv_mm3": pi**2 * d * t**2 / 4,
        "bs_mm2": pi**2 * d * t,
        "components": 1.0,
        "cavities": 0.0,
        "chi": 0.0,
        "tbth_mm": t,
    }
    return solid(
        grid,
        lambda z, y, x: np.hypot(np.hypot(y, x) - d / 2, z) - t / 2,
        answers,
        mineral=mineral,
        oversample=oversample,
    )
