"""Distance between two bone surfaces."""

from math import nan

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from bonectl.core.lengths import Spacing
from bonectl.core.table import Number
from bonectl.morphology.cells import BONE, MARROW, Labels
from bonectl.morphology.components import CROSS
from bonectl.morphology.distance import squared_distance
from bonectl.morphology.specimen import Specimen

# What the register knows of it (core/kit.py).
USUAL = "against"
PLACE = 16
BYTES = 21.0
KEEPS = ()
SYMBOLS = ()

Distances = NDArray[np.float64]


def surface_distance(specimen: Specimen, reference: Specimen) -> tuple[Number, ...]:
    """Mean, 95 % and largest distance between the surface voxels of the two bones, in both directions.

    A surface voxel is bone with marrow at one of its six faces; faces of the volume of interest are no surface. From
    each, the exact distance to the nearest surface voxel of the other bone. The largest is as a rule one speck, so
    it is also given for the purified masks.

    Parameters
    ----------
    specimen, reference : Specimen

    Returns
    -------
    surface_distance, surface_distance_to, surface_distance_from, surface_distance_95 : mm
    surface_distance_max, surface_distance_max_purified : mm
    """
    ours, theirs = surface(specimen.labels), surface(reference.labels)
    there, back = _both_ways(ours, theirs, specimen.spacing)
    pure = _both_ways(surface(specimen.pieces.labels), surface(reference.pieces.labels), specimen.spacing)
    both = np.concatenate([there, back])
    rule = "between surface voxels"
    return (
        Number("surface_distance", _mean(both), "mm", f"mean distance {rule} of both bones to the other's"),
        Number("surface_distance_to", _mean(there), "mm", f"mean distance {rule}, to the reference: what is too much"),
        Number(
            "surface_distance_from", _mean(back), "mm", f"mean distance {rule}, from the reference: what is missing"
        ),
        Number("surface_distance_95", _percentile(there, back), "mm", f"95 % {rule}, of the worse direction"),
        Number("surface_distance_max", _largest(there, back), "mm", f"largest {rule}, of the worse direction"),
        Number("surface_distance_max_purified", _largest(*pure), "mm", f"largest {rule} of the purified masks"),
    )


def surface(labels: Labels) -> NDArray[np.bool_]:
    """Bone voxels with marrow at one of their six faces, (z, y, x)."""
    deep = binary_erosion(labels != MARROW, CROSS, border_value=1)
    return np.asarray((labels == BONE) & ~deep)


def _both_ways(a: NDArray[np.bool_], b: NDArray[np.bool_], spacing: Spacing) -> tuple[Distances, Distances]:
    """Distance from each voxel of `a` to the nearest of `b`, and the reverse [mm]; none where one is empty."""
    if not a.any() or not b.any():
        nothing = np.empty(0)
        return nothing, nothing
    side = min(spacing)  # whole numbers on cubic voxels
    weights = ((spacing[0] / side) ** 2, (spacing[1] / side) ** 2, (spacing[2] / side) ** 2)
    return side * np.sqrt(_between(a, b, weights)), side * np.sqrt(_between(b, a, weights))


def _between(a: NDArray[np.bool_], b: NDArray[np.bool_], weights: Spacing) -> Distances:
    """Squared distance from each voxel of `a` to the nearest of `b`."""
    return squared_distance(~b, weights)[a].astype(np.float64)


def _mean(distances: Distances) -> float:
    return float(distances.mean(dtype=np.float64)) if distances.size else nan


def _percentile(*ways: Distances) -> float:
    return max(float(np.percentile(way, 95)) if way.size else nan for way in ways)


def _largest(*ways: Distances) -> float:
    return max(float(way.max()) if way.size else nan for way in ways)
