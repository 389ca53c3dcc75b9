"""How much of the half circle of directions each view stands for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# A gap between neighbouring directions is a missing wedge when it is wider than both of these.
WEDGE_RATIO = 5.0
WEDGE_DEGREES = 5.0


def view_weights(degrees: NDArray[np.floating[Any]], period: float = 180.0) -> NDArray[np.float64]:
    """Weights of views for an integral over directions, in radian.

    The rule: directions count modulo 180 degrees (a parallel ray and its reverse measure the same), and each view
    stands for half the gap to the next direction on either side. Even views over 180 or 360 degrees so get
    pi / views each, a direction measured twice shares its part, and the weights add up to pi. A missing wedge (a
    gap of more than 5 degrees and 5 times the median gap) is not stood for: the views at its sides get half a
    median gap there.

    Parameters
    ----------
    degrees : (views,) array
    period : float
        What directions are counted modulo [degree]: 180, or 360 where a ray's reverse is not in the same view.

    Returns
    -------
    (views,) float64 array
        [radian]
    """
    direction = np.mod(np.asarray(degrees, dtype=np.float64), period)
    direction[direction > period - 1e-9] = 0.0
    order = np.argsort(direction, kind="stable")
    ahead = np.diff(direction[order], append=direction[order[0]] + period)
    usual = float(np.median(ahead[ahead > 1e-9]))
    ahead[ahead > max(WEDGE_RATIO * usual, WEDGE_DEGREES)] = usual
    weights = np.empty_like(ahead)
    weights[order] = (ahead + np.roll(ahead, 1)) / 2
    return np.deg2rad(weights)


def missing_wedge(degrees: NDArray[np.floating[Any]], period: float = 180.0) -> float:
    """Degrees of the period that no view stands for; 0 for a full scan."""
    return max(0.0, period - float(np.rad2deg(view_weights(degrees, period).sum())))


def turn_weights(degrees: NDArray[np.floating[Any]], fan: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Weights of the rays of a fan beam for an integral over directions, in radian.

    Each view stands for its part of the turn (`view_weights` with a period of 360 degrees). Over a full turn every
    ray is measured twice and counts half. Where there is a gap, rays are weighted after Parker (Med. Phys. 9, 254,
    1982, eq. 12), so that a ray and its reverse together count once and no weight jumps; the overscan takes the place
    of the fan's half angle where the arc is longer than 180 degrees and the fan (Kak and Slaney 1988, eq. 3.133).

    Parameters
    ----------
    degrees : (views,) array
    fan : (columns,) array
        Angle between each column's ray and the middle one [radian].

    Returns
    -------
    (views, columns) float64 array
        [radian]; on a full turn the weights of a column add up to pi.
    """
    shares = view_weights(degrees, 360.0)
    arc = shares.sum()
    if arc > 2 * np.pi - 1e-6:
        return np.repeat(shares[:, None] / 2, fan.size, axis=1)
    turn = np.mod(np.asarray(degrees, dtype=np.float64), 360.0)
    order = np.argsort(turn, kind="stable")
    ahead = np.diff(turn[order], append=turn[order[0]] + 360.0)
    first = order[(int(ahead.argmax()) + 1) % order.size]
    progress = np.deg2rad(np.mod(turn - turn[first] + 1e-9, 360.0))[:, None] + shares[first] / 2
    overscan = max((arc - np.pi) / 2, float(np.abs(fan).max()))
    # a ray at angle t and fan angle g comes back at t + 180 - 2 g, with fan angle -g
    rising = progress / np.maximum(2 * (overscan + fan), 1e-9)
    falling = (np.pi + 2 * overscan - progress) / np.maximum(2 * (overscan - fan), 1e-9)
    smooth = np.sin(np.pi / 2 * np.clip(rising, 0, 1)) ** 2 * np.sin(np.pi / 2 * np.clip(falling, 0, 1)) ** 2
    weights: NDArray[np.float64] = shares[:, None] * smooth
    return weights
