"""Calibration by the constants in the header of a Scanco AIM or ISQ file."""

from bonectl.core.calibration import Calibration
from bonectl.errors import UsageError

READS = ("grey",)


def scanco(
    *,
    mu_scaling: float = 8192.0,
    mu_water: float = 0.2396,
    slope: float = 1613.94397,
    intercept: float = -392.247009,
) -> Calibration:
    """Native values of a Scanco scanner: the header's constants, for stacks of unit `grey`.

    Parameters
    ----------
    mu_scaling : float
        Native value per attenuation of 1/cm.
    mu_water : float
        Attenuation of water [1/cm]; it is checked to read near 0 mgHA/cm³, which catches mixed-up headers.
    slope : float
        Density: slope [mgHA/cm³ per 1/cm].
    intercept : float
        Density: intercept [mgHA/cm³].

    Raises
    ------
    UsageError
        When a constant is not positive, or water would read beyond ±100 mgHA/cm³.

    Notes
    -----
    attenuation = native / mu_scaling; HU = −1000 + 1000 · attenuation / mu_water; density = slope · attenuation +
    intercept. The returned law goes from the native value (taken as its "attenuation") straight to density.
    """
    if not (mu_scaling > 0 and mu_water > 0):
        raise UsageError(f"scanco has mu_scaling {mu_scaling:g} and mu_water {mu_water:g}; both must be positive")
    water = slope * mu_water + intercept
    if abs(water) > 100.0:
        raise UsageError(f"with these scanco constants water reads {water:.0f} mgHA/cm3; it must be near 0")
    source = f"scanco(mu_scaling={mu_scaling!r}, mu_water={mu_water!r}, slope={slope!r}, intercept={intercept!r})"
    return Calibration(slope / mu_scaling, intercept, source)
