"""The shaft of a long bone."""

from math import pi

import numpy as np

from bonectl.core.counted import counted
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.phantoms._grid import Grid
from bonectl.phantoms._solid import inside, solid


def shaft(
    grid: Grid,
    *,
    diameter: float | None = None,
    wall: float | None = None,
    canal: float | None = None,
    canals: int = 12,
    mineral: float = 1100.0,
    oversample: int = 4,
) -> Stack:
    """A tube along z with canals in its wall: Tt.Ar, Ct.Ar, Ct.Th and Ct.Po are known.

    Parameters
    ----------
    grid : Grid
        Its voxels; nothing is drawn.
    diameter : float, optional
        Outer diameter [mm]; four fifths of the shorter side across when not given.
    wall : float, optional
        Thickness of the cortex [mm]; a sixth of the diameter when not given.
    canal : float, optional
        Diameter of a canal [mm]; a quarter of the wall when not given.
    canals : int
        Along z in the middle of the wall, evenly spaced; 0 is none.
    mineral : float
        [mgHA/cm³].
    oversample : int
        Samples per voxel side at the surface.
    """
    length, height, width = grid.extent
    d = min(height, width) * 4 / 5 if diameter is None else diameter
    t = d / 6 if wall is None else wall
    bore = t / 4 if canal is None else canal
    inside("a shaft", d, min(height, width))
    inside("the wall of a shaft", t, d / 2)
    inside("a canal", bore, t)
    middle = (d - t) / 2
    if canals < 0 or canals * bore >= 2 * pi * middle * 0.9:
        raise UsageError(
            f"{counted(canals, 'canal')} of {bore:g} mm cannot fit into a wall {2 * pi * middle:g} mm around"
        )

    def distance(z: Array, y: Array, x: Array) -> Array:
        tube = np.abs(np.hypot(y, x) - middle) - t / 2
        if not canals:
            return tube
        nearest = np.rint(np.arctan2(y, x) * canals / (2 * pi)) * (2 * pi / canals)
        return np.maximum(tube, bore / 2 - np.hypot(y - middle * np.sin(nearest), x - middle * np.cos(nearest)))

    outer, inner, holes = pi * d**2 / 4, pi * (d / 2 - t) ** 2, canals * pi * bore**2 / 4
    answers = {
        "bv_mm3": (outer - inner - holes) * length,
        "bs_mm2": pi * (d + (d - 2 * t) + canals * bore) * length,
        "components": 1.0,
        "cavities": 0.0,
        "chi": float(-canals),
        "ttar_mm2": outer,
        "ctar_mm2": outer - inner,
        "maar_mm2": inner,
        "ctar_ttar": 1 - inner / outer,
        "ctpo": holes / (outer - inner),
        "ctth_mm": t,
    }
    return solid(grid, distance, answers, mineral=mineral, oversample=oversample)
