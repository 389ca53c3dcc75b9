"""Distance between two thickness maps."""

from math import nan

import numpy as np

from bonectl.core.table import Number
from bonectl.metrics import _local
from bonectl.metrics.bmd_distance import wasserstein
from bonectl.morphology.specimen import Specimen

# What the register knows of it (core/kit.py).
USUAL = ""
PLACE = 29
BYTES = 22.0
KEEPS = ("thickness",)
SYMBOLS = ()

BINS = 8192


def tbth_distance(
    specimen: Specimen, reference: Specimen, *, convention: str = "subvoxel", walls: str = "open"
) -> tuple[Number, ...]:
    """Difference of the local thickness of the two bones, voxel by voxel and as distributions.

    The mean absolute difference is over the voxels that are bone in both; the 1-Wasserstein distance is between
    the two maps, each over its own bone.

    Parameters
    ----------
    specimen, reference : Specimen
        On cubic voxels.
    convention : str
        Of Tb.Th: subvoxel, bonej or ipl.
    walls : str
        Of Tb.Th: open or closed.

    Returns
    -------
    tbth_shift, tbth_distance : mm
    """
    _local.check(convention)
    _local.check_walls(walls)
    ours, theirs = (_local.bone_map(one, convention, walls) for one in (specimen, reference))
    common = (ours > 0) & (theirs > 0)
    difference = np.abs(ours[common].astype(np.float64) - theirs[common])
    mean = float(difference.mean()) if difference.size else nan
    shift = wasserstein(ours[ours > 0], theirs[theirs > 0], BINS)
    return (
        Number(
            "tbth_shift",
            mean,
            "mm",
            f"mean absolute difference of local thickness over common bone ({convention})",
        ),
        Number("tbth_distance", shift, "mm", f"1-Wasserstein distance of the two thickness maps ({convention})"),
    )
