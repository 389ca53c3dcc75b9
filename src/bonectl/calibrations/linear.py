"""Calibration by two numbers that the user measured, of attenuation [1/cm] or of grey values."""

from bonectl.core.calibration import Calibration

READS = ("1/cm", "grey")


def linear(*, slope: float = 1613.94397, intercept: float = -392.247009) -> Calibration:
    """A measured law, density = slope · value + intercept, as from a phantom with rods of known density.

    Parameters
    ----------
    slope : float
        [mgHA/cm³ per 1/cm], or per grey value.
    intercept : float
        [mgHA/cm³].

    Raises
    ------
    UsageError
        When the slope is not positive.

    Notes
    -----
    The defaults are those of a Scanco XtremeCT II as ORMIR_XCT 1.1 has them (effective energy about 46.5 keV).
    """
    return Calibration(slope, intercept, f"linear(slope={slope!r}, intercept={intercept!r})")
