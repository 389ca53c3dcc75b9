"""Mineral density of bone tissue."""

from bonectl.core.table import Finding, Histogram, Number
from bonectl.morphology.sums import DENSITY_START, DENSITY_STEP, Sums

# What the register knows of it (core/kit.py).
USUAL = "density"
PLACE = 12
BYTES = 5.0
KEEPS = ()
SYMBOLS = (("tmd", "TMD"), ("tmd_sd", "TMD SD"))


def tmd(sums: Sums) -> tuple[Finding, ...]:
    """Tissue mineral density: mean and SD over the bone voxels, with the histogram.

    All bone voxels count, those half filled at the surface too: at coarse voxels this lowers it.

    Parameters
    ----------
    sums : Sums
        In mgHA/cm3.

    Returns
    -------
    tmd, tmd_sd : mgHA/cm3
    """
    _, bone = sums.densities()
    return (
        Number("tmd", bone.mean, "mgHA/cm3", "mean mineral density over the bone voxels, surface included"),
        Number("tmd_sd", bone.deviation, "mgHA/cm3", "standard deviation over the bone voxels"),
        Histogram("tmd", "mgHA/cm3", DENSITY_START, DENSITY_STEP, bone.histogram),
    )
