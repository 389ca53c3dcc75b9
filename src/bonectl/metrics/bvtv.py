"""Bone volume fraction."""

from bonectl.core.table import Number
from bonectl.morphology.sums import Sums

# What the register knows of it (core/kit.py).
USUAL = "structure"
PLACE = 1
BYTES = 5.0
KEEPS = ()
SYMBOLS = (("bvtv", "BV/TV"),)


def bvtv(sums: Sums) -> tuple[Number, ...]:
    """BV, TV and BV/TV by counting voxels.

    Parameters
    ----------
    sums : Sums

    Returns
    -------
    bv : mm3
    bv_voxels : voxels
    tv : mm3
    bvtv : 1
    """
    voxels, total = sums.cells.bone_voxels, sums.cells.total_voxels
    return (
        Number("bv", sums.bone_volume, "mm3", "bone volume: bone voxels times voxel volume"),
        Number("bv_voxels", voxels, "voxels", "bone voxels in the volume of interest"),
        Number("tv", sums.total_volume, "mm3", "total volume: voxels of the volume of interest times voxel volume"),
        Number("bvtv", voxels / total, "1", "bone volume fraction BV/TV"),
    )
