"""Calibration by theory: what hydroxyapatite attenuates at one photon energy."""

from bonectl.core.calibration import Calibration
from bonectl.core.physics import mineral_law

READS = ("1/cm",)


def energy(*, kev: float = 25.0, matrix: str = "water") -> Calibration:
    """Mineral in a matrix at one photon energy, from tabulated attenuation.

    Parameters
    ----------
    kev : float
        Photon energy [keV], 8 to 150; for a tube, the effective energy.
    matrix : {"water", "adipose", "pmma"}
        What surrounds the mineral and reads 0 mgHA/cm³.

    Raises
    ------
    UsageError
        When the energy is outside the table, or the matrix is another.

    Notes
    -----
    See `bonectl.core.physics.mineral_law`.
    """
    slope, intercept = mineral_law(kev, matrix)
    return Calibration(slope, intercept, f"energy(kev={kev:g}, matrix={matrix!r})")
