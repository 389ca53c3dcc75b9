"""Values that are missing along a line, on straight lines between the nearest that are there."""

import numpy as np
from numpy.typing import NDArray

from bonectl.core.slabs import Array


def bridged(lines: Array, gone: NDArray[np.bool_]) -> Array:
    """Columns that are gone on straight lines between the nearest ones on either side; at an end, the nearest.

    Parameters
    ----------
    lines : (..., col) array
    gone : (col,) bool array
        Not all of them.
    """
    places, left, right = sides(gone)
    share = ((places - left) / np.maximum(right - left, 1)).clip(0, 1).astype(lines.dtype)  # 0 at an end
    done = lines.copy()
    done[..., places] = lines[..., left] * (1 - share) + lines[..., right] * share
    return done


def sides(gone: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Places that are gone, and the nearest that are there on either side; at an end, the same one twice."""
    there, places = np.flatnonzero(~gone), np.flatnonzero(gone)
    after = np.searchsorted(there, places)
    return places, there[np.maximum(after - 1, 0)], there[np.minimum(after, there.size - 1)]
