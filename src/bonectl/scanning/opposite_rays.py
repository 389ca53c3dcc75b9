"""The rotation axis of any beam, from rays that were measured from both ends.

In a parallel beam the view half a turn later is the mirror image about the axis. In a fan that turns far enough, a ray
at angle t and fan angle g is measured again from the other side, at angle t + 180 - 2 g and fan angle -g (Kak and
Slaney 1988, section 3.4). Fan angles count from the column of the rotation axis, so that the two readings agree at the
true column only. In a cone beam this holds in the plane of the orbit.

A parallel beam over half a turn measures no ray twice, but its last view and the mirror image of its first are
neighbours: both sides are continued to the middle of that seam, and compared there.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from bonectl.core.geometry import Geometry
from bonectl.core.slabs import Array
from bonectl.errors import UsageError
from bonectl.methods._quadrature import missing_wedge
from bonectl.scanning.ring import Ring, Values

# Rows on each side of a cone's orbit that are averaged: symmetric, so that what the rays' slant does cancels.
NEAR_ORBIT = 1
# Views from which rays are followed to their opposites.
VIEWS = 128
# Interpolation averages noise, and most so halfway between columns; this much smoothing [SD, column] makes it alike
# everywhere, or columns and half columns would seem to fit best.
SMOOTHING = 1.5
# Views on each side of a seam that are continued to its middle by a straight line for each column.
CONTINUED = 3
# Columns at the detector's ends that are left out: smoothing knew nothing beyond them.
RIM_LEFT_OUT = 2
# Continuing wants views that are smooth over what the rim of an object moves between them: this share of the detector
# times the step [radian].
RIM = 0.25
# So many views with opposites need no other witness.
MANY = 16
# Readings whose squares sum up to this share of all are air, whatever their offset from 0.
AIR = 0.01
# Views that run both ways beyond the half turn which every scan needs [degree]; fewer rays carry no answer.
LEAST_OVERSCAN = 8.0


def check(geometry: Geometry) -> None:
    """Refuse a fan or cone beam whose rays do not tell where the axis is.

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


def orbit_rows(geometry: Geometry) -> range:
    """Detector rows of a cone beam in the plane of its orbit, or beside it.

    Raises
    ------
    UsageError
        When that plane does not meet the detector.
    """
    middle = geometry.principal_row
    if not 0 <= middle <= geometry.rows - 1:
        raise UsageError(f"the orbit's plane meets the detector at row {middle:g}, outside its {geometry.rows} rows")
    low, high = int(np.floor(middle)) - NEAR_ORBIT, int(np.ceil(middle)) + NEAR_ORBIT
    return range(max(low, 0), min(high, geometry.rows - 1) + 1)


class Rays(Protocol):
    """Rays that were measured from both ends."""

    @property
    def count(self) -> int:
        """Views whose rays are compared with their opposites."""
        ...

    def compare(self, centre: float) -> tuple[Values, Values, int]:
        """Squared differences and squares by row, (rows,) each, about a column, and how many rays a row compares."""
        ...

    def mismatch(self, centre: float) -> float:
        """By how much rays and their opposites differ, squared, as a share of their squares; 0 when equal."""
        ...


@dataclass(frozen=True, eq=False)
class Mirrored:
    """Views of a parallel beam and the views half a turn later, which mirror them.

    Parameters
    ----------
    one, other : (row, pair, col) arrays
    """

    one: Array
    other: Array

    @classmethod
    def of(cls, geometry: Geometry, rows: Array) -> Self | None:
        """From rows (row, view, col) in the order of the scan; None where no views are opposite, nor almost."""
        ring = Ring.of(geometry.angles.degrees)
        ahead = np.mod(ring.turn - ring.turn[ring.first], 360.0)
        views = np.flatnonzero(ahead < 180.0 - 1e-6)  # so that a pair counts once
        before, share, known = ring.place(ring.turn[views] + 180.0)
        if not known.any():
            return cls._at_seam(geometry, rows, ring)
        chosen = np.flatnonzero(known)
        chosen = chosen[np.linspace(0, len(chosen) - 1, min(VIEWS, len(chosen))).round().astype(int)]
        before, share = before[chosen], share[chosen, None].astype(np.float32)
        after = (before + 1) % len(ring.turn)
        one = rows[:, ring.order[views[chosen]]]
        other = rows[:, ring.order[before]] * (1 - share) + rows[:, ring.order[after]] * share
        return cls(_smooth(one, SMOOTHING), _smooth(other, SMOOTHING))

    @classmethod
    def _at_seam(cls, geometry: Geometry, rows: Array, ring: Ring) -> Self | None:
        """The last views and the mirror image of the first, each continued to the middle between them."""
        order = np.roll(ring.order, -ring.first)
        turn = np.roll(ring.turn, -ring.first)
        turn = turn[0] + np.mod(turn - turn[0], 360.0)
        gap = turn[0] + 180.0 - turn[-1]
        if not abs(gap) <= ring.widest:
            return None
        middle, count = turn[-1] + gap / 2, min(CONTINUED, len(turn))
        last = _continued(rows[:, order[-count:]], turn[-count:] - middle)
        first = _continued(rows[:, order[:count]], turn[:count] + 180.0 - middle)
        smoothing = max(SMOOTHING, RIM * geometry.columns * float(np.deg2rad(ring.usual)))
        return cls(_smooth(last, smoothing), _smooth(first, smoothing))

    @property
    def count(self) -> int:
        """Pairs of views."""
        return int(self.one.shape[1])

    def compare(self, centre: float) -> tuple[Values, Values, int]:
        """See `Rays`."""
        columns = self.one.shape[-1]
        place = 2 * centre - np.arange(columns)
        seen = (place >= RIM_LEFT_OUT) & (place <= columns - 1 - RIM_LEFT_OUT)
        seen[:RIM_LEFT_OUT] = seen[columns - RIM_LEFT_OUT :] = False
        left = np.minimum(place[seen].astype(np.int64), max(columns - 2, 0))
        part = (place[seen] - left).astype(np.float32)
        right = np.minimum(left + 1, columns - 1)
        other = self.other[..., left] * (1 - part) + self.other[..., right] * part
        one = self.one[..., seen]
        return *_squares(one, other), one[0].size

    def mismatch(self, centre: float) -> float:
        """See `Rays`."""
        return _share(self.compare(centre), float(np.square(self.one, dtype=np.float64).sum()))


@dataclass(frozen=True, eq=False)
class Fan:
    """Views of a fan in the order of their angles.

    Parameters
    ----------
    geometry : Geometry
        Of the scan; of its columns and pitch only when `coarse`.
    ring : Ring
        Angles.
    lines : (row, view, col) array
        Line integrals.
    """

    geometry: Geometry
    ring: Ring
    lines: Array

    @classmethod
    def of(cls, geometry: Geometry, rows: Array) -> Self:
        """From rows (row, view, col) in the order of the scan, smoothed along the detector."""
        ring = Ring.of(geometry.angles.degrees)
        return cls(geometry, ring, _smooth(rows[:, ring.order], SMOOTHING))

    @property
    def count(self) -> int:
        """Views from which rays are followed."""
        return min(VIEWS, len(self.ring.turn))

    def compare(self, centre: float) -> tuple[Values, Values, int]:
        """See `Rays`."""
        chosen = self._chosen
        column, ahead = self._opposite(centre)
        view, share, known = self.ring.place(self.ring.turn[chosen, None] + ahead)
        known &= (column >= 0) & (column <= self.lines.shape[-1] - 1)
        one = self.lines[:, chosen][:, known]
        other = self._read(view, share, np.broadcast_to(column, known.shape), known)
        return *_squares(one, other), int(known.sum())

    def mismatch(self, centre: float) -> float:
        """See `Rays`."""
        return _share(self.compare(centre), float(np.square(self.lines[:, self._chosen], dtype=np.float64).sum()))

    @property
    def _chosen(self) -> NDArray[np.int64]:
        return np.linspace(0, len(self.ring.turn) - 1, self.count).round().astype(np.int64)

    def _opposite(self, centre: float) -> tuple[Values, Values]:
        """Where each column's ray is measured again: column, and angle ahead [degree]."""
        g = self.geometry
        assert g.sdd is not None
        (across, along, _), _ = g.detector_axes
        place = (np.arange(self.lines.shape[-1]) - centre) * g.pitch
        tangent = place * across / (g.sdd + place * along)
        column = centre - g.sdd * tangent / (across + along * tangent) / g.pitch
        return column, 180.0 - 2 * np.rad2deg(np.arctan(tangent))

    def _read(self, view: NDArray[np.int64], share: Values, column: Values, known: NDArray[np.bool_]) -> Array:
        """Bilinear interpolation where `known`, (row, ray)."""
        view, column = view[known], column[known]
        left = np.minimum(column.astype(np.int64), self.lines.shape[-1] - 2)
        part, late = (column - left).astype(np.float32), share[known].astype(np.float32)
        after, lines = (view + 1) % len(self.ring.turn), self.lines
        first = lines[:, view, left] * (1 - part) + lines[:, view, left + 1] * part
        second = lines[:, after, left] * (1 - part) + lines[:, after, left + 1] * part
        value: Array = first * (1 - late) + second * late
        return value


def _continued(views: Array, at: Values) -> Array:
    """A view (row, 1, col) at 0, by the straight line that fits views at some angles, (row, view, col)."""
    degree = 1 if np.ptp(at) > 0 else 0
    weights = np.linalg.pinv(np.vander(at, degree + 1))[-1]
    view: Array = np.einsum("rvc,v->rc", views, weights.astype(np.float32))[:, None]
    return view


def _smooth(rows: Array, sd: float) -> Array:
    from scipy.ndimage import gaussian_filter1d

    lines: Array = gaussian_filter1d(np.asarray(rows, dtype=np.float32), sd, axis=-1, mode="nearest")
    return lines


def _squares(one: Array, other: Array) -> tuple[Values, Values]:
    """By row, the sum of squared differences, and of the squares of both."""
    rest = tuple(range(1, one.ndim))
    apart = np.square(one - other).sum(axis=rest, dtype=np.float64)
    return apart, np.square(one).sum(axis=rest, dtype=np.float64) + np.square(other).sum(axis=rest, dtype=np.float64)


def _share(compared: tuple[Values, Values, int], total: float) -> float:
    """Squared differences over squares; air is added on both sides, so that air on air is unlike."""
    apart, both, _ = compared
    air = AIR * total
    return (float(apart.sum()) + air) / max(float(both.sum()) + air, 1e-300)


def rays_of(geometry: Geometry, rows: Array) -> Rays | None:
    """The rays of some rows (row, view, col) that were measured from both ends; None where there are none."""
    return Mirrored.of(geometry, rows) if geometry.kind == "parallel" else Fan.of(geometry, rows)


def repeats(geometry: Geometry) -> bool:
    """Whether so many views of a parallel beam have opposites that nothing else needs to be asked."""
    ring = Ring.of(geometry.angles.degrees)
    return int(ring.place(ring.turn + 180.0)[2].sum()) >= MANY
