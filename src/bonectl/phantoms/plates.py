"""Parallel plates."""

import numpy as np

from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.phantoms._grid import Grid
from bonectl.phantoms._solid import inside, solid


def plates(
    grid: Grid,
    *,
    thickness: float = 0.2,
    spacing: float = 0.6,
    mineral: float = 1100.0,
    oversample: int = 4,
) -> Stack:
    """As many parallel plates across x as fit, centred: Tb.Th = thickness, χ = their number, SMI 0.

    Parameters
    ----------
    grid : Grid
        Its voxels; nothing is drawn.
    thickness : float
        Of a plate [mm].
    spacing : float
        Of the marrow between two plates [mm].
    mineral : float
        [mgHA/cm³].
    oversample : int
        Samples per voxel side at the surface.
    """
    depth, height, width = grid.extent
    if spacing <= 0:
        raise UsageError(f"plates {spacing:g} mm apart; the spacing must be positive")
    inside("a plate", thickness, width)
    period = thickness + spacing
    count = 1 + int((width - thickness) / period + 1e-9)
    middles = (np.arange(count) - (count - 1) / 2) * period

    def distance(z: Array, y: Array, x: Array) -> Array:
        nearest = middles[np.clip(np.rint((x - middles[0]) / period), 0, count - 1).astype(np.intp)]
        return np.asarray(np.abs(x - nearest) - thickness / 2)

    answers = {
        "bv_mm3": count * thickness * height * depth,
        "bs_mm2": 2.0 * count * height * depth,
        "components": float(count),
        "cavities": 0.0,
        "chi": float(count),
        "tbth_mm": thickness,
        "tbn_per_mm": count / (grid.shape[2] * grid.voxel),  # plate model, BV/TV / Tb.Th
    }
    return solid(grid, distance, answers, mineral=mineral, oversample=oversample)
