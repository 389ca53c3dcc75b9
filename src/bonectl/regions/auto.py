"""Where a volume holds data."""

import numpy as np
from numpy.typing import NDArray

from bonectl.morphology import voi


def auto(values: NDArray[np.number]) -> NDArray[np.bool_]:
    """The field of view: in each slice the convex hull of what is not the padding around it.

    Reconstructions fill what no ray has measured with one value. That value stands in all four corners of a slice;
    where the corners differ, the whole slice is inside. Of a noiseless phantom without padding it is the convex
    hull of the bone.

    Parameters
    ----------
    values : (z, y, x) array
        Any number of slices; each is looked at alone.
    """
    return voi.field_of_view(values)
