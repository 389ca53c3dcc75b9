"""How much of the half circle of directions each view, and each ray of it, stands for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonectl.core.geometry import Geometry
from bonectl.errors import UsageError

# A gap between neighbouring directions is a missing wedge when it is wider than both of these: so many usual gaps, and
# degrees.
WEDGE_RATIO = 5.0
WEDGE_DEGREES = 5.0
# Directions nearer to each other than this share of the usual gap, or these degrees, are one, measured again.
SAME = 0.1
SAME_DEGREES = 1e-3
# Views that stand for less than this have no closed form [degree]: half of what is needed.
LEAST_DEGREES = 90.0
# Weights of rays that one side of the detector alone measures rise over this share of the columns, so that the ramp
# filter meets no step; the more, the fewer of the rays that both sides measure are averaged evenly.
RISE = 0.1


def view_weights(degrees: NDArray[np.floating[Any]], period: float = 180.0) -> NDArray[np.float64]:
    """Weights of views for an integral over directions, in radian.

    The rule: directions count modulo 180 degrees (a parallel ray and its reverse measure the same), and each
    direction stands for half the gap to the next one on either side. Views of one direction, even if an encoder's
    jitter keeps them a little apart (`SAME`), share its part evenly. Even views over 180 or 360 degrees so get
    pi / views each, all weights are positive, and they add up to pi. A missing wedge (a gap of more than 5 degrees and
    5 usual gaps, see `_usual`) is not stood for: the directions at its sides get half a usual gap there.

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
    order = np.argsort(direction, kind="stable")
    gaps = np.diff(direction[order], append=direction[order[0]] + period)
    order = np.roll(order, -1 - int(gaps.argmax()))  # begin behind the widest gap: no direction lies on both ends
    place = np.mod(direction[order] - direction[order[0]] + 1e-9, period)
    label = np.cumsum(np.diff(place, prepend=place[0]) > max(SAME * _usual(gaps), SAME_DEGREES))
    members = np.bincount(label)
    middle = np.bincount(label, weights=place) / members
    ahead = np.diff(middle, append=middle[0] + period)
    usual = _usual(ahead)
    ahead[ahead > _widest(usual)] = usual
    share = (ahead + np.roll(ahead, 1)) / 2 / members
    weights = np.empty_like(place)
    weights[order] = share[label]
    return np.asarray(np.deg2rad(weights), dtype=np.float64)


def _usual(gaps: NDArray[np.float64]) -> float:
    """The gap between neighbouring directions: half of the way is covered by wider ones, the widest left out.

    Weighted by their length, the tiny gaps between views of one direction do not count, however many; and the widest
    may be what is missing.
    """
    if gaps.size == 1:
        return float(gaps[0])
    ascending = np.sort(gaps)[:-1]
    way = np.cumsum(ascending)
    return float(ascending[min(int(np.searchsorted(way, way[-1] / 2)), ascending.size - 1)])


def _widest(usual: float) -> float:
    """The widest gap between directions that are stood for."""
    return max(WEDGE_RATIO * usual, WEDGE_DEGREES)


def missing_wedge(degrees: NDArray[np.floating[Any]], period: float = 180.0) -> float:
    """Degrees of the period that no view stands for; 0 for a full scan."""
    return max(0.0, period - float(np.rad2deg(view_weights(degrees, period).sum())))


def check_arc(geometry: Geometry) -> None:
    """Refuse a scan whose views stand for so little of the directions that a closed form loses most of the density.

    Raises
    ------
    UsageError
        When they stand for less than 90 degrees.
    """
    period = 180.0 if geometry.kind == "parallel" else 360.0
    covered = period - missing_wedge(geometry.angles.degrees, period)
    if covered < LEAST_DEGREES - 1e-6:
        raise UsageError(
            f"the views cover {covered:.3g} of 180 degrees: filtered back-projection would lose "
            f"{1 - covered / 180:.0%} of the density; use tv or sirt, or check the angles [degree]"
        )


def ray_weights(geometry: Geometry) -> NDArray[np.float64]:
    """Weights of rays for an integral over directions, in radian: every ray counts once, however often it is measured.

    Where both sides of the axis measure a ray, in views half a turn apart, these share it (`view_weights`,
    `turn_weights`). With the axis off the middle of the detector, the rays of the longer side's end are measured by it
    alone: each view then stands for all of its part of the turn there, and the shorter side falls to 0 towards its
    end, so that no weight jumps (half acquisition; Cho, Rudd and Johnson, Comput. Med. Imaging Graph. 20, 49, 1996;
    Wang, Med. Phys. 29, 1634, 2002). A ray of the shorter side whose reverse no view measures keeps its weight.

    Parameters
    ----------
    geometry : Geometry
        With an upright detector.

    Returns
    -------
    (views, columns) or (views, 1) float64 array
        [radian]; (views, 1) where a view's rays weigh the same.
    """
    degrees = geometry.angles.degrees
    if geometry.kind == "parallel":
        shares, factors = shares_and_factors(geometry)
        return shares[:, None] * factors
    assert geometry.sdd is not None
    fan = np.arctan((np.arange(geometry.columns) - geometry.centre) * geometry.pitch / geometry.sdd)
    shared, side = turn_weights(degrees, fan), longer_side(geometry)
    if not side.any():
        return shared
    turn = view_weights(degrees, 360.0)[:, None]
    alone = np.where(reverse_measured(degrees, fan), 0.0, turn)
    weights: NDArray[np.float64] = (
        shared + np.maximum(side, 0) * (turn - shared) + np.minimum(side, 0) * (shared - alone)
    )
    return weights


def shares_and_factors(geometry: Geometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`ray_weights` of a parallel beam as a share for each view [radian], and factors for its columns.

    Returns
    -------
    (views,) float64 array
    (1, 1), (1, columns) or (views, columns) float64 array
        1 alone where a view's rays weigh the same; the last where only some views are seen from behind.
    """
    degrees, side = geometry.angles.degrees, longer_side(geometry)
    again = reverse_measured(degrees, np.zeros(1)) if side.any() else np.zeros((1, 1), dtype=np.bool_)
    if not again.any():
        return view_weights(degrees), np.ones((1, 1))
    # halves, not `view_weights`: the ratio of both sides must not differ from view to view where these lie unevenly
    shares = view_weights(degrees, 360.0) * np.where(again, 0.5, 1.0)[:, 0]
    return shares, 1.0 + side[None] * (again[:1] if again.all() else again)


def longer_side(geometry: Geometry) -> NDArray[np.float64]:
    """Which columns have no counterpart on the other side of the axis, (columns,).

    1 where the longer side goes on alone, -1 at the end of the shorter side, and smooth between, with opposite values
    at the same distance from the axis; all 0 when the axis lies within a column of the middle.
    """
    away = np.arange(geometry.columns) - geometry.centre
    left, right = geometry.centre + 0.5, geometry.columns - 0.5 - geometry.centre
    if abs(right - left) < 2:
        return np.zeros(geometry.columns)
    end = min(left, right)
    rise = min(end, RISE * geometry.columns)
    share = np.sin(np.pi / 2 * np.clip((np.abs(away) - end + rise) / rise, 0, 1)) ** 2
    return np.asarray(share * np.sign(away) * np.sign(right - left))


def reverse_measured(degrees: NDArray[np.floating[Any]], fan: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Whether a view stands where each ray's reverse would be measured, if the detector reached it: (views, columns).

    Parameters
    ----------
    degrees : (views,) array
    fan : (columns,) array
        Angle between each column's ray and the middle one [radian]; a single 0 for a parallel beam.
    """
    turn = np.mod(degrees, 360.0)
    if missing_wedge(degrees, 360.0) < 1e-6:
        return np.ones((turn.size, fan.size), dtype=np.bool_)
    ascending = np.sort(turn)
    gaps = np.diff(ascending, append=ascending[0] + 360.0)
    usual = _usual(gaps)
    reverse = np.mod(turn[:, None] + 180.0 - 2 * np.rad2deg(fan), 360.0)
    after = np.searchsorted(ascending, reverse)
    ahead = np.mod(ascending[after % turn.size] - reverse, 360.0)
    behind = np.mod(reverse - ascending[after - 1], 360.0)
    between = gaps[after - 1] <= _widest(usual)
    return np.asarray(between | (np.minimum(ahead, behind) <= usual / 2))


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
