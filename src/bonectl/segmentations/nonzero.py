"""A mask as it is."""

from bonectl.morphology.threshold import Threshold


def nonzero(unit: str) -> Threshold:
    """Take every voxel above 0 as bone: what a mask means.

    Parameters
    ----------
    unit : str
        Of the volume.
    """
    return Threshold(0.0, unit, "nonzero", mask=True)
