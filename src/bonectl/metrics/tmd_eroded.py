"""Mineral density of bone tissue away from its surface."""

from math import nan

import numpy as np

from bonectl.core.table import Number
from bonectl.errors import UsageError
from bonectl.morphology.cells import MARROW
from bonectl.morphology.distance import squared_distance
from bonectl.morphology.specimen import Specimen

# What the register knows of it (core/kit.py).
USUAL = ""
PLACE = 30
BYTES = 8.0
KEEPS = ()
SYMBOLS = ()


def tmd_eroded(specimen: Specimen, *, erode: float = 1.0) -> tuple[Number, ...]:
    """Tissue mineral density without the bone voxels at the surface, which marrow half fills.

    Parameters
    ----------
    specimen : Specimen
        In mgHA/cm3.
    erode : float
        Bone voxels within this distance of a marrow voxel's centre do not count [voxel, the shortest side]; 1 is one
        layer. Faces of the volume of interest do not erode.

    Returns
    -------
    tmd_eroded, tmd_eroded_sd : mgHA/cm3
    tmd_eroded_share : 1
    """
    if not erode > 0:
        raise UsageError(f"tmd_eroded(erode={erode:g}); it must be positive; tmd counts all bone voxels")
    specimen.sums.densities()
    side = min(specimen.spacing)
    weights = tuple((s / side) ** 2 for s in specimen.spacing)
    far = squared_distance(specimen.labels != MARROW, (weights[0], weights[1], weights[2])) > erode**2 * (1 + 1e-6)
    deep = specimen.bone & far
    values = specimen.values("tmd_eroded")[deep].astype(np.float64)
    share = values.size / specimen.sums.cells.bone_voxels
    rule = f"bone voxels farther than {erode:g} voxels from marrow"
    mean, deviation = (float(values.mean()), float(values.std())) if values.size else (nan, nan)
    return (
        Number("tmd_eroded", mean, "mgHA/cm3", f"mean mineral density over the {rule}"),
        Number("tmd_eroded_sd", deviation, "mgHA/cm3", f"standard deviation over the {rule}"),
        Number("tmd_eroded_share", share, "1", f"{rule} / bone voxels"),
    )
