"""Mineral density of bone and marrow together."""

from bonectl.core.table import Finding, Histogram, Number
from bonectl.morphology.sums import DENSITY_START, DENSITY_STEP, Sums

# What the register knows of it (core/kit.py).
USUAL = "density"
PLACE = 11
BYTES = 5.0
KEEPS = ()
SYMBOLS = (("bmd", "BMD"),)


def bmd(sums: Sums) -> tuple[Finding, ...]:
    """Volumetric bone mineral density: mean and SD over the volume of interest, with the histogram.

    Parameters
    ----------
    sums : Sums
        In mgHA/cm3.

    Returns
    -------
    bmd, bmd_sd : mgHA/cm3
    """
    total, _ = sums.densities()
    return (
        Number("bmd", total.mean, "mgHA/cm3", "mean mineral density over the volume of interest (vBMD)"),
        Number("bmd_sd", total.deviation, "mgHA/cm3", "standard deviation over the volume of interest"),
        Histogram("bmd", "mgHA/cm3", DENSITY_START, DENSITY_STEP, total.histogram),
    )
