"""The largest upright cylinder in a volume."""

from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.morphology import voi


def cylinder(header: Header) -> Stack:
    """The largest upright cylinder: the field of view of most scanners.

    Voxels whose centre lies within half the shorter side of the middle of the slice.

    Parameters
    ----------
    header : Header
        Of the volume.
    """
    return voi.cylinder(header)
