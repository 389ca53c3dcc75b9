"""The rotation axis of a fan or cone beam, from rays that were measured from both ends.

In a fan that turns far enough, a ray at angle t and fan angle g is measured again from the other side, at angle
t + 180 - 2 g and fan angle -g (Kak and Slaney 1988, section 3.4). Fan angles count from the column of the rotation
axis, so that the two readings agree at the true column only. In a cone beam this holds in the plane of the orbit.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from bonectl.core.geometry import Geometry
from bonectl.core.slabs import Array
from bonectl.errors import UsageError
from bonectl.methods._quadrature import missing_wedge

# Rows on each side of a cone's orbit that are averaged: symmetric, so that what the rays' slant does cancels.
NEAR_ORBIT = 1
# Views from which rays are followed to their opposites.
VIEWS = 128
# The first search looks at views of about this many columns, each the mean of some.
COARSE_COLUMNS = 256
# Interpolation averages noise, and most so halfway between columns; this much smoothing [SD, column] makes it alike
# everywhere, or columns and half columns would seem to fit best.
SMOOTHING = 1.5
# The rays' opposites must lie on this share of the detector.
OVERLAP = 0.25
# Readings whose squares sum up to this share of all are air, whatever their offset from 0.
AIR = 0.01
# Views that run both ways beyond the half turn which every scan needs [degree]; fewer rays carry no answer.
LEAST_OVERSCAN = 8.0
# A ray between two views is read off them only when they are not further apart than this many median steps.
WIDEST_STEP = 2.5
# Scores that differ by less than this share of their range are equal.
FLAT = 1e-3
# Steps of the search after the first [column].
STEPS = (1.0, 0.25)

Values = NDArray[np.float64]


def check(geometry: Geometry) -> None:
    """Refuse a beam whose rays do not tell where the axis is.

    Raises
    ------
    UsageError
        When no rays, or few, are measured from both ends, or the detector's columns are not along the axis.
    """
    arc = 360.0 - missing_wedge(geometry.angles.degrees, 360.0)
    if arc < 180.0 + LEAST_OVERSCAN:
        raise UsageError(
            f"the rotation axis cannot be found: {arc:.0f} degrees of a {geometry.kind} beam measure too few rays from "
            "both ends; give --centre COLUMN, or choose one by eye with --try FROM:TO:STEP"
        )
    if geometry.kind == "cone" and not (geometry.roll == geometry.tilt == 0.0):
        raise UsageError("the rotation axis of a rolled or tilted detector is not found automatically; give --centre")


def orbit_line(geometry: Geometry, rows: Array) -> Array:
    """The views (view, col) in the plane of the orbit: rows averaged, those of a cone around `principal_row`."""
    if geometry.kind == "fan":
        return np.asarray(rows.mean(axis=0, dtype=np.float64))
    middle = geometry.principal_row
    low, high = int(np.floor(middle)) - NEAR_ORBIT, int(np.ceil(middle)) + NEAR_ORBIT
    if not 0 <= middle <= geometry.rows - 1:
        raise UsageError(f"the orbit's plane meets the detector at row {middle:g}, outside its {geometry.rows} rows")
    return np.asarray(rows[max(low, 0) : high + 1].mean(axis=0, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Fan:
    """Views of one fan in the order of their angles.

    Parameters
    ----------
    geometry : Geometry
        Of the scan; of its columns and pitch only when `coarse`.
    turn : (views,) array
        Angles modulo 360, rising [degree].
    lines : (views, columns) array
        Line integrals.
    """

    geometry: Geometry
    turn: Values
    lines: Values

    @classmethod
    def of(cls, geometry: Geometry, lines: Array) -> Self:
        """From views in the order of the scan, smoothed along the detector."""
        turn = np.mod(geometry.angles.degrees, 360.0)
        order = np.argsort(turn, kind="stable")
        smooth = gaussian_filter1d(np.asarray(lines, dtype=np.float64), SMOOTHING, axis=1, mode="nearest")
        return cls(geometry, turn[order], smooth[order])

    def mismatch(self, centre: float) -> float:
        """By how much rays and their opposites differ, squared, as a share of their squares; 0 when equal.

        Parameters
        ----------
        centre : float
            Column of the rotation axis that is tried.
        """
        chosen = np.linspace(0, len(self.turn) - 1, min(VIEWS, len(self.turn))).round().astype(int)
        column, ahead = self._opposite(centre)
        turn = np.mod(self.turn[chosen, None] + ahead, 360.0)
        view, share, known = self._place(turn)
        known &= (column >= 0) & (column <= self.lines.shape[1] - 1)
        every = self.lines[chosen]
        other = self._read(view, share, np.broadcast_to(column, known.shape), known)
        return share_of_squares(every[known], other, AIR * float(np.square(every).sum()))

    def _opposite(self, centre: float) -> tuple[Values, Values]:
        """Where each column's ray is measured again: column, and angle ahead [degree]."""
        g = self.geometry
        assert g.sdd is not None
        (across, along, _), _ = g.detector_axes
        place = (np.arange(self.lines.shape[1]) - centre) * g.pitch
        tangent = place * across / (g.sdd + place * along)
        column = centre - g.sdd * tangent / (across + along * tangent) / g.pitch
        return column, 180.0 - 2 * np.rad2deg(np.arctan(tangent))

    def _place(self, turn: Values) -> tuple[NDArray[np.int64], Values, NDArray[np.bool_]]:
        """The view before each angle, how far the angle is to the next one, and whether the two are near."""
        ring = np.concatenate([self.turn, self.turn[:1] + 360.0])
        steps = np.diff(ring)
        before = np.searchsorted(ring, np.where(turn < ring[0], turn + 360.0, turn), side="right") - 1
        before = np.minimum(before, len(steps) - 1)
        step = steps[before]
        distance = np.mod(turn - ring[before], 360.0)
        usual = float(np.median(steps[steps > 1e-9]))
        share = np.where(step > 1e-9, distance / np.maximum(step, 1e-9), 0.0)
        return before, share, step <= WIDEST_STEP * usual

    def _read(self, view: NDArray[np.int64], share: Values, column: Values, known: NDArray[np.bool_]) -> Values:
        """Bilinear interpolation where `known`, in one flat array."""
        view, share, column = view[known], share[known], column[known]
        left = np.minimum(column.astype(np.int64), self.lines.shape[1] - 2)
        part = column - left
        after = (view + 1) % len(self.turn)
        first = self.lines[view, left] * (1 - part) + self.lines[view, left + 1] * part
        second = self.lines[after, left] * (1 - part) + self.lines[after, left + 1] * part
        value: Values = first * (1 - share) + second * share
        return value


def share_of_squares(one: Array, other: Array, air: float) -> float:
    """Squared difference of readings over the sum of their squares: 0 when equal, about 1 when unlike.

    Parameters
    ----------
    one, other : arrays
        Of one shape.
    air : float
        Sum of squares that is too little to tell: added on both sides, so that air on air is unlike.
    """
    one, other = one.astype(np.float64), other.astype(np.float64)
    both = float(np.square(one).sum() + np.square(other).sum())
    return (float(np.square(one - other).sum()) + air) / max(both + air, 1e-300)


def coarse(geometry: Geometry, lines: Array) -> tuple[Fan, int]:
    """The fan with columns averaged by some number, and that number."""
    binning = max(1, geometry.columns // COARSE_COLUMNS)
    columns = geometry.columns // binning
    mean = np.asarray(lines)[:, : columns * binning].reshape(len(lines), columns, binning).mean(axis=2)
    return Fan.of(geometry.replace(columns=columns, pitch=geometry.pitch * binning), mean), binning


def axis_of(geometry: Geometry, lines: Array) -> float:
    """The column (0-based, fractional) of the rotation axis at which opposite rays agree best.

    Parameters
    ----------
    geometry : Geometry
        Fan or cone; its centre is not used.
    lines : (view, col) array
        Line integrals in the plane of the orbit; see `orbit_line`.
    """
    rough, binning = coarse(geometry, lines)
    columns = rough.geometry.columns
    everywhere = np.arange(np.ceil(columns * OVERLAP / 2), columns * (1 - OVERLAP / 2))
    best = float(everywhere[np.argmin([rough.mismatch(centre) for centre in everywhere])])
    best = (best + 0.5) * binning - 0.5
    fan, reach = Fan.of(geometry, lines), 2.0 * binning
    for step in STEPS:
        count = int(np.ceil(reach / step))
        tried: Values = best + step * np.arange(-count, count + 1, dtype=np.float64)
        best = lowest(tried, np.array([fan.mismatch(float(centre)) for centre in tried]))
        reach = 2 * step
    return best


def flat(scores: Values) -> NDArray[np.int64]:
    """Numbers of the scores that are as good as the least: a plateau where nothing is wrong with several columns."""
    least = scores.min()
    return np.flatnonzero(scores <= least + FLAT * (scores.max() - least))


def lowest(tried: Values, scores: Values) -> float:
    """The middle of a plateau, else where the parabola through the lowest score and its neighbours is lowest.

    Parameters
    ----------
    tried, scores : (n,) arrays
        n of at least 3; `tried` evenly spaced.
    """
    best = flat(scores)
    if 3 <= len(best) < len(scores):
        return float(tried[best].mean())
    i = int(np.clip(scores.argmin(), 1, len(scores) - 2))
    before, here, after = scores[i - 1 : i + 2]
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend > 0 else 0.0
    return float(tried[i] + np.clip(shift, -1, 1) * (tried[1] - tried[0]))
