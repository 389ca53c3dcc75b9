"""A mask as it is."""

from bonectl.morphology.cut import Cut


def nonzero(unit: str) -> Cut:
    """Take every voxel above 0 as bone: what a mask means.

    Parameters
    ----------
    unit : str
        Of the volume.
    """
    return Cut(0.0, unit, "nonzero", mask=True)
