"""How sharp a parallel beam's slice is with the rotation axis at some column.

Over half a turn, a wrong axis draws every edge out into a half circle. It moves the energy of a slice and of its
gradient about, and keeps both (the transform of the slice changes in phase only), but spreads them: the mean magnitude
of the gradient is least at the true column. It sees edges wherever they are; how far values lie below 0 (Donath,
Beckmann and Schreyer, J. Opt. Soc. Am. A 23, 1048, 2006) says nothing where bone lies in water.
"""

import numpy as np

from bonectl.core.geometry import Angles, Geometry
from bonectl.core.slabs import Array
from bonectl.methods.fbp import fbp
from bonectl.projection.system import System

# Width of what the gradient is taken over [SD, voxel]: noise between neighbours is no edge.
WIDTH = 1.5
# Share of the grid's half side that is looked at: what lies outside is not seen by all views.
INSIDE = 0.9


def half_turn(geometry: Geometry, rows: Array) -> tuple[Geometry, Array]:
    """Views of half a turn: over a full one a wrong axis blurs both ways, which is no sharper anywhere.

    Every direction is taken from the side that continues the views before it, so that turns may be many and in any
    order (golden angles).
    """
    degrees = geometry.angles.degrees
    turn = np.mod(degrees - degrees[0], 360.0)
    # an arc that begins behind the widest gap lies whole in the half turn from there
    order = np.argsort(turn, kind="stable")
    gaps = np.diff(turn[order], append=360.0)
    start = turn[order[(int(gaps.argmax()) + 1) % len(order)]]
    first = np.mod(turn - start + 1e-6, 360.0) < 180.0
    return geometry.replace(angles=Angles.of(degrees[first])), rows[:, first]


def blur(geometry: Geometry, rows: Array, centre: float) -> float:
    """Mean magnitude of the gradient, within the circle that the detector covers [1/cm per voxel].

    Parameters
    ----------
    geometry : Geometry
        Of a parallel beam over half a turn, see `half_turn`.
    rows : (row, view, col) array
        Line integrals.
    centre : float
        Column of the rotation axis that is tried.
    """
    from scipy.ndimage import gaussian_gradient_magnitude

    g = geometry.replace(rows=len(rows), centre=float(centre))
    volume = fbp(System(g), np.ascontiguousarray(rows), window="hann")
    row, column = np.mgrid[: g.size, : g.size] - (g.size - 1) / 2
    inside = np.hypot(row, column) < INSIDE * g.size / 2
    edges = [gaussian_gradient_magnitude(slice_, WIDTH)[inside].mean(dtype=np.float64) for slice_ in volume]
    return float(np.mean(edges))
