"""A cubic lattice of rods."""

from math import pi, prod, sqrt

import numpy as np

from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.phantoms._grid import Grid
from bonectl.phantoms._solid import inside, solid


def lattice(
    grid: Grid,
    *,
    diameter: float = 0.15,
    period: float = 0.8,
    mineral: float = 1100.0,
    oversample: int = 4,
) -> Stack:
    """Rods along all three axes that cross in nodes: the Euler number and Conn.D are those of the graph.

    There are as many nodes as fit, centred; the rods run on to the faces of the volume.

    Parameters
    ----------
    grid : Grid
        Its voxels; nothing is drawn.
    diameter : float
        Of a rod [mm].
    period : float
        Between neighbouring nodes [mm].
    mineral : float
        [mgHA/cm³].
    oversample : int
        Samples per voxel side at the surface.

    Notes
    -----
    With n nodes in all, S rods in all and r the radius: χ = S − 2n (nodes minus links); χ corrected for the faces of
    the volume is −2n (Odgaard & Gundersen, Bone 14:173, 1993); BV = π r² Σ length − 8 √2 r³ n and
    BS = 2 π r Σ length − 24 √2 r² n, from the intersections of two and of three crossed cylinders (16/3 r³ and
    8 (2 − √2) r³).
    """
    sides = grid.extent
    if period <= diameter * sqrt(2.0):
        raise UsageError(f"rods of {diameter:g} mm every {period:g} mm leave no lattice; the period must be larger")
    inside("a rod", diameter, min(sides))
    counts = [1 + int((side - diameter) / period + 1e-9) for side in sides]

    def off_axis(position: Array, count: int) -> Array:
        first = -(count - 1) / 2 * period
        gap = position - first - period * np.clip(np.rint((position - first) / period), 0, count - 1)
        return gap * gap

    def distance(z: Array, y: Array, x: Array) -> Array:
        dz, dy, dx = (off_axis(p, n) for p, n in zip((z, y, x), counts, strict=True))
        nearest = np.minimum(np.minimum(dy + dx, dz + dx), dz + dy)
        gap: Array = np.sqrt(nearest) - diameter / 2
        return gap

    nodes, r = prod(counts), diameter / 2
    number = [nodes // count for count in counts]  # rods along z, y, x
    length = sum(n * side for n, side in zip(number, sides, strict=True))
    answers = {
        "bv_mm3": pi * r**2 * length - 8 * sqrt(2.0) * r**3 * nodes,
        "bs_mm2": 2 * pi * r * length - 24 * sqrt(2.0) * r**2 * nodes,
        "components": 1.0,
        "cavities": 0.0,
        "chi": float(sum(number) - 2 * nodes),
        "connd_per_mm3": (1 + 2 * nodes) / prod(sides),
    }
    return solid(grid, distance, answers, mineral=mineral, oversample=oversample)
