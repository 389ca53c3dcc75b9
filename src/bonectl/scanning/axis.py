"""Find the detector column on which the rotation axis projects, from the scan itself."""

from dataclasses import dataclass
from math import ceil

import numpy as np

from bonectl.core import progress
from bonectl.core.counted import counted
from bonectl.core.geometry import Geometry
from bonectl.core.header import Fact
from bonectl.core.slabs import Array
from bonectl.errors import DataError, UsageError
from bonectl.methods._ramp import truncated_rows
from bonectl.scanning import opposite_rays
from bonectl.scanning.opposite_axis import Estimate, axis_of, lowest
from bonectl.scanning.sharpness import blur, half_turn

# Rows that slices are reconstructed from, those with the most edges.
SLICES = 4
# How far from the column of opposite views slices are tried, and at which step [column].
NEAR, NEAR_STEPS = 2.0, (0.5,)
# The same where no views are opposite, in two searches.
REACH, STEPS = 6.0, (1.0, 0.25)
# How far a scan that is cut off and has no opposite views leaves the column open [SD].
SHORT = 0.5
# Estimates that differ by more than this disagree [column].
DISAGREE = 1.0
# One pair of views that differ by more than this share of their squares is no mirror image, or all noise.
UNLIKE = 0.2
# A row, or the rows, that know the column no better than this [SD, column] do not tell.
VAGUE = 0.5
# Fewer views than these tell nothing of the axis.
FEWEST = 6
# Views that edges are looked for in.
VIEWS = 64
# Edges are what a derivative over this width sees [SD, column].
EDGE = 2.0


@dataclass(frozen=True)
class Axis:
    """Where the rotation axis was found.

    Parameters
    ----------
    column : float
        0-based, fractional.
    sd : float
        How far it may be off [SD, column].
    mismatch : float, optional
        By how much rays and their opposites differ there, squared, as a share; None where no rays were compared.
    """

    column: float
    sd: float
    mismatch: float | None = None

    def facts(self) -> dict[str, Fact]:
        """What a history says of it."""
        return {"centre": self.column, "centre_from": "auto", "centre_sd": float(f"{self.sd:.2g}")}


def check(geometry: Geometry) -> None:
    """Refuse a geometry whose scans do not tell where the axis is.

    Raises
    ------
    UsageError
        For a handful of views, a fan or cone beam that measures no ray from both ends, and a detector that is rolled or
        tilted.
    """
    if geometry.views < FEWEST:
        raise UsageError(
            f"{counted(geometry.views, 'view does', 'views do')}"
            f" not tell where the rotation axis is; give --centre COLUMN"
        )
    if geometry.kind != "parallel":
        opposite_rays.check(geometry)


def found_centre(geometry: Geometry, rows: Array, numbers: Array | None = None) -> Axis:
    """The rotation axis, to about a tenth of a column; what is in doubt is noted.

    Rays and the same rays measured from the other side must agree (`bonectl.scanning.opposite_rays`). Over half a
    turn of a parallel beam, where but one pair of views can be compared, the column about which slices are sharpest
    (`bonectl.scanning.sharpness`) must agree with it, and counts where the noise hides the other. A scan without
    opposite views has slices only, around the constant of the sinusoid that the centres of mass follow.

    Parameters
    ----------
    geometry : Geometry
        Of the scan; its centre is not used.
    rows : (row, view, col) float32 array
        Line integrals of some rows, see `bonectl.scanning.overview`; of a cone beam, in the plane of the orbit.
    numbers : (row,) array of int, optional
        What to call the rows.

    Raises
    ------
    UsageError
        See `check`.
    DataError
        When the rows are empty of any object.
    """
    check(geometry)
    numbers = np.arange(len(rows)) if numbers is None else numbers
    strength = edges(rows)
    if not (strength.max() > 0 and rows.mean(dtype=np.float64) > 0):
        raise DataError(
            f"the rotation axis cannot be found: the {len(rows)} rows looked at, from {numbers[0]} to {numbers[-1]}, "
            "hold no object; give --centre COLUMN"
        )
    if geometry.kind == "cone":
        rows = rows.mean(axis=0, keepdims=True, dtype=np.float64)
    axis = _found(geometry, rows, numbers, strength)
    progress.note(
        f"the rotation axis was found at column {axis.column:.2f} ± {max(axis.sd, 0.01):.2f} of {geometry.columns}"
    )
    if axis.sd > VAGUE:
        progress.note("that is uncertain: the views are noisy, or show few edges; look at it with --try auto")
    return axis


def edges(rows: Array) -> Array:
    """How much there is to see in each of some rows (row, view, col): the mean square of a smooth derivative."""
    from scipy.ndimage import gaussian_filter1d

    some = np.asarray(rows[:, :: max(1, rows.shape[1] // VIEWS)], dtype=np.float32)
    slope = gaussian_filter1d(some, EDGE, axis=-1, order=1, mode="nearest")
    strength: Array = np.square(slope).mean(axis=(1, 2), dtype=np.float64)
    return strength


def _found(geometry: Geometry, rows: Array, numbers: Array, strength: Array) -> Axis:
    mirrored = axis_of(geometry, rows)
    if mirrored is not None:
        _compare_rows(mirrored, numbers)
        if geometry.kind != "parallel" or opposite_rays.repeats(geometry):
            return Axis(mirrored.column, mirrored.sd, mirrored.mismatch)
    half, views = half_turn(geometry, rows[np.sort(np.argsort(-strength)[:SLICES])])
    if mirrored is not None:
        sharp = _sharpest(half, views, mirrored.column, NEAR, NEAR_STEPS)
        sd = max(mirrored.sd, DISAGREE) if mirrored.mismatch > UNLIKE else mirrored.sd
        return _agreed(Axis(mirrored.column, sd), sharp, "opposite views put")
    masses = _of_masses(geometry, rows)
    sharp = _sharpest(half, views, masses.column, REACH, STEPS)
    if any(truncated_rows(rows, geometry)):  # what is cut off has its centre of mass elsewhere
        return Axis(sharp, SHORT if abs(sharp - masses.column) < REACH else REACH)
    return _agreed(masses, sharp, "the centres of mass put")


def _agreed(axis: Axis, sharp: float, said: str) -> Axis:
    """What the views say, where the noise lets them; else the sharpest slice. A disagreement is noted."""
    apart = abs(axis.column - sharp)
    if apart > DISAGREE:
        progress.note(
            f"{said} the rotation axis at column {axis.column:.2f}, the sharpest slice at {sharp:.2f}; "
            "look at both with --try"
        )
        return Axis(axis.column, max(axis.sd, apart))
    return axis if axis.sd <= VAGUE else Axis(sharp, max(axis.sd, apart))


def _compare_rows(found: Estimate, numbers: Array) -> None:
    """Note rows that know where the axis is, and have it elsewhere; and an axis at the end of the search."""
    if found.at_end:
        first, last = found.searched
        progress.note(f"the rotation axis may lie beyond columns {first:g} to {last:g}, which can be searched")
    rows = zip(found.by_row, numbers, strict=False)
    known = [(column, sd, number) for (column, sd), number in rows if sd <= VAGUE / 2]
    if len(known) < 2:
        return
    (low, about, at_low), (high, around, at_high) = min(known), max(known)
    if high - low > DISAGREE + 3 * (about + around):
        progress.note(
            f"rows disagree on the rotation axis: row {at_low} has it at column {low:.2f}, row {at_high} at "
            f"{high:.2f}; the detector is rolled, or the sample moved"
        )


def _sharpest(half: Geometry, views: Array, guess: float, reach: float, steps: tuple[float, ...]) -> float:
    """The column of the sharpest slice, searched around a guess at ever smaller steps."""
    best = guess
    for step in steps:
        count = ceil(reach / step)
        tried = best + step * np.arange(-count, count + 1, dtype=np.float64)
        scores = []
        with progress.task("find the axis", len(tried), "column") as advance:
            for centre in tried:
                scores.append(blur(half, views, centre))
                advance(1)
        best = lowest(tried, np.array(scores))
        reach = step
    return best


def _of_masses(geometry: Geometry, rows: Array) -> Axis:
    """The constant of the sinusoid through the centres of mass of the views, which an untruncated object follows."""
    total = rows.sum(axis=0, dtype=np.float64)
    masses = total @ np.arange(geometry.columns) / total.sum(axis=1)
    angles = geometry.angles.radians
    model = np.stack([np.ones_like(angles), np.cos(angles), np.sin(angles)], axis=1)
    inverse = np.linalg.pinv(model)
    parts = inverse @ masses
    scatter = np.square(masses - model @ parts).sum() / max(len(masses) - model.shape[1], 1)
    return Axis(float(parts[0]), float(np.sqrt(scatter * np.square(inverse[0]).sum())))
