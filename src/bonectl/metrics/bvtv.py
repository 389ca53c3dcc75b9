"""Bone volume fraction."""

from bonectl.core.table import Number
from bonectl.morphology.tally import Tally

# What the register knows of it (core/kit.py).
USUAL = "structure"
PLACE = 1
BYTES = 5.0
KEEPS = ()
SYMBOLS = (("bvtv", "BV/TV"),)


def bvtv(tally: Tally) -> tuple[Number, ...]:
    """BV, TV and BV/TV by counting voxels.

    Parameters
    ----------
    tally : Tally

    Returns
    -------
    bv : mm3
    bv_voxels : voxels
    tv : mm3
    bvtv : 1
    """
    voxels, total = tally.cells.bone_voxels, tally.cells.total_voxels
    return (
        Number("bv", tally.bone_volume, "mm3", "bone volume: bone voxels times voxel volume"),
        Number("bv_voxels", voxels, "voxels", "bone voxels in the volume of interest"),
        Number("tv", tally.total_volume, "mm3", "total volume: voxels of the volume of interest times voxel volume"),
        Number("bvtv", voxels / total, "1", "bone volume fraction BV/TV"),
    )
