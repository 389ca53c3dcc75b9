"""How much of the half circle of directions each view stands for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# A gap between neighbouring directions is a missing wedge when it is wider than both of these.
WEDGE_RATIO = 5.0
WEDGE_DEGREES = 5.0


def view_weights(degrees: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Weights of views for an integral over directions, in radian.

    The rule: directions count modulo 180 degrees (a parallel ray and its reverse measure the same), and each view
    stands for half the gap to the next direction on either side. Even views over 180 or 360 degrees so get
    pi / views each, a direction measured twice shares its part, and the weights add up to pi. A missing wedge (a
    gap of more than 5 degrees and 5 times the median gap) is not stood for: the views at its sides get half a
    median gap there.

    Parameters
    ----------
    degrees : (views,) array

    Returns
    -------
    (views,) float64 array
        [radian]
    """
    direction = np.mod(np.asarray(degrees, dtype=np.float64), 180.0)
    direction[direction > 180.0 - 1e-9] = 0.0
    order = np.argsort(direction, kind="stable")
    ahead = np.diff(direction[order], append=direction[order[0]] + 180.0)
    usual = float(np.median(ahead[ahead > 1e-9]))
    ahead[ahead > max(WEDGE_RATIO * usual, WEDGE_DEGREES)] = usual
    weights = np.empty_like(ahead)
    weights[order] = (ahead + np.roll(ahead, 1)) / 2
    return np.deg2rad(weights)


def missing_wedge(degrees: NDArray[np.floating[Any]]) -> float:
    """Degrees of the half circle that no view stands for; 0 for a full scan."""
    return max(0.0, 180.0 - float(np.rad2deg(view_weights(degrees).sum())))
