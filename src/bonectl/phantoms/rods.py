"""Parallel rods."""

from math import pi

import numpy as np

from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.phantoms._grid import Grid
from bonectl.phantoms._solid import inside, solid


def rods(
    grid: Grid,
    *,
    diameter: float = 0.2,
    period: float = 0.8,
    mineral: float = 1100.0,
    oversample: int = 4,
) -> Stack:
    """As many rods along z as fit, on a square grid, centred: Tb.Th = diameter, χ = their number, SMI 3.

    Parameters
    ----------
    grid : Grid
        Its voxels; nothing is drawn.
    diameter : float
        Of a rod [mm].
    period : float
        Between the axes of neighbouring rods [mm].
    mineral : float
        [mgHA/cm³].
    oversample : int
        Samples per voxel side at the surface.
    """
    length, height, width = grid.extent
    if period <= diameter:
        raise UsageError(f"rods of {diameter:g} mm every {period:g} mm touch; the period must be larger")
    inside("a rod", diameter, min(height, width))
    counts = [1 + int((side - diameter) / period + 1e-9) for side in (height, width)]

    def off_axis(position: Array, count: int) -> Array:
        first = -(count - 1) / 2 * period
        return position - first - period * np.clip(np.rint((position - first) / period), 0, count - 1)

    def distance(z: Array, y: Array, x: Array) -> Array:
        return np.hypot(off_axis(y, counts[0]), off_axis(x, counts[1])) - diameter / 2

    number = counts[0] * counts[1]
    answers = {
        "bv_mm3": number * pi * diameter**2 / 4 * length,
        "bs_mm2": number * pi * diameter * length,
        "components": float(number),
        "cavities": 0.0,
        "chi": float(number),
        "tbth_mm": diameter,
    }
    return solid(grid, distance, answers, mineral=mineral, oversample=oversample)
