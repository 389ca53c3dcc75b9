"""A threshold that is given."""

from math import isfinite

from bonectl.errors import UsageError
from bonectl.morphology.threshold import Threshold, blur


def fixed(unit: str, *, value: float = 320.0, sigma: float = 0.0) -> Threshold:
    """Cut at a given value of the data's own unit.

    Parameters
    ----------
    unit : str
        Of the volume.
    value : float
        Bone is what lies above it, in the unit of the volume. 320 mgHA/cm3 is the usual trabecular threshold of
        second-generation HR-pQCT (Whittier et al., Osteoporos. Int. 31:1607, 2020).
    sigma : float
        Standard deviation of a Gaussian filter before the cut [voxel].
    """
    if not isfinite(value):
        raise UsageError(f"a threshold of {value}; it must be a finite number")
    return Threshold(float(value), unit, "fixed", blur(sigma))
