"""Mineral density of bone and marrow together."""

from bonectl.core.table import Finding, Histogram, Number
from bonectl.morphology.tally import DENSITY_START, DENSITY_STEP, Tally

# What the register knows of it (core/kit.py).
USUAL = "density"
PLACE = 11
BYTES = 5.0
KEEPS = ()
SYMBOLS = (("bmd", "BMD"),)


def bmd(tally: Tally) -> tuple[Finding, ...]:
    """Volumetric bone mineral density: mean and SD over the volume of interest, with the histogram.

    Parameters
    ----------
    tally : Tally
        In mgHA/cm3.

    Returns
    -------
    bmd, bmd_sd : mgHA/cm3
    """
    total, _ = tally.densities()
    return (
        Number("bmd", total.mean, "mgHA/cm3", "mean mineral density over the volume of interest (vBMD)"),
        Number("bmd_sd", total.deviation, "mgHA/cm3", "standard deviation over the volume of interest"),
        Histogram("bmd", "mgHA/cm3", DENSITY_START, DENSITY_STEP, total.histogram),
    )
