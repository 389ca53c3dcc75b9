"""What lies at the ends of a detector: air, an object that reaches beyond it, or air that does not read 0."""

from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from bonectl.core import progress
from bonectl.core.counted import counted
from bonectl.core.geometry import Geometry
from bonectl.core.slabs import Array
from bonectl.methods._quadrature import longer_side, missing_wedge
from bonectl.methods._ramp import TRUNCATED, truncated_rows

# Columns at an end that are looked at for air: a share of them, and at least so many.
AIR_SHARE = 1 / 16
AIR_COLUMNS = 4
# Air is level: across these columns, and from one end to the other, its mean varies by less than this share of itself,
# or by what noise explains (standard errors); in each view both ends read the same to another share.
LEVEL = 0.01
ERRORS = 4.0
ALIKE = 0.2
# Views by which the thickest part of a row is known well enough.
FEW_VIEWS = 32
# An object that reaches beyond the detector is thickest there, compared with this; a beam does not change by more [-].
MOST_AIR = 0.5
# A beam changes by more than this, or it does not matter, such as in a row of noisy air alone [-].
LEAST_AIR = 1e-3
# The logarithm of few photons lifts air by half the variance of its noise, and by a little more of the highest noise.
LIFT = 0.8
# A lift of less is not told [-].
TOLD_LIFT = 0.01


@dataclass
class FieldOfView:
    """Counts the rows of a scan whose ends do not read 0, by cause.

    Parameters
    ----------
    rows : int
        Of the whole scan.
    """

    rows: int
    cut: int = 0
    air: list[float] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)

    def look(self, geometry: Geometry, lines: Array) -> list[bool]:
        """Take in some rows (row, view, col) of line integrals; for each whether the detector cuts it off."""
        levels, lifted = zip(*(ends_read(row, geometry) for row in lines), strict=True)
        truncated = truncated_rows(lines, geometry)
        cut = [
            end and level is None and lift is None for end, level, lift in zip(truncated, levels, lifted, strict=True)
        ]
        self.cut += sum(cut)
        self.air += [level for level in levels if level is not None]
        self.noise += [lift for lift in lifted if lift is not None]
        return cut

    def _cut_rows(self) -> str:
        rows = counted(self.rows, "row")
        return counted(self.cut, f"of {rows} is", f"of {rows} are")

    def tell(self, geometry: Geometry) -> None:
        """Note what was seen, and what helps."""
        if self.noise and (lift := float(np.mean(self.noise))) >= TOLD_LIFT:
            progress.note(
                f"few photons: the logarithm of noisy readings lifts line integrals, those of air by {lift:.2g}, and "
                "more where the object is thick: densities are too high"
            )
        if self.air and abs(np.mean(self.air)) >= MOST_AIR:
            progress.note(
                f"air at both ends of the detector reads {np.mean(self.air):.3g} instead of 0: its white level is not "
                f"1, and densities are wrong; divide transmissions by it, or give --air {air_columns(geometry.columns)}"
            )
        elif self.air:
            progress.note(
                f"air at both ends of the detector reads {np.mean(self.air):.2g} instead of 0 in {len(self.air)} of "
                f"{counted(self.rows, 'row')}: the beam changed between flats and projections; give --air "
                f"{air_columns(geometry.columns)}, or newer flats"
            )
        if not self.cut:
            return
        missing = missing_wedge(geometry.angles.degrees, 360.0)
        if longer_side(geometry).any() and missing > 1:
            progress.note(
                f"{self._cut_rows()} cut off at an end, with the axis at column {geometry.centre:.4g} "
                f"of {geometry.columns}: densities are wrong; half acquisition needs views over 360 degrees, "
                f"{missing:.0f} are missing"
            )
            return
        progress.note(f"{self._cut_rows()} cut off by the detector: their absolute values are not to be trusted")


def air_columns(columns: int) -> int:
    """How many columns at an end are looked at."""
    return min(max(AIR_COLUMNS, int(columns * AIR_SHARE)), columns // 2)


def ends_read(row: Array, geometry: Geometry) -> tuple[float | None, float | None]:
    """What the ends of a row of line integrals (view, col) read where they should read 0, by cause.

    Air is the same across the outermost columns and at both ends in every view; an object that is cut off is thinner
    farther out, and turns. One that reaches far beyond the detector on all sides looks like air. Noise alone lifts
    ends too: the mean of -ln(n / N) is higher than -ln of the mean, by half the variance of n / N to first order.

    Returns
    -------
    level, lift : float, optional
        Of air that does not read 0, and of noise; at most one of them is there.
    """
    ends = _ends(row, geometry)
    if ends is None:
        return None, None
    level, noise = float(ends.mean()), _noise(ends)
    if 0 < level <= LIFT * noise**2:
        return None, level
    some = row[:: max(1, len(row) // FEW_VIEWS)]
    peak = float(np.abs(some.mean(axis=0, dtype=np.float64) - level).max())
    if abs(level) <= max(TRUNCATED * peak, LEAST_AIR) or level >= min(MOST_AIR, peak):
        return None, None
    return (level if _is_level(ends, abs(level), noise) else None), None


def _noise(ends: NDArray[np.float64]) -> float:
    """Standard deviation of the noise of ends (end, view, col), by neighbours."""
    return float(np.diff(ends, axis=-1).std()) / sqrt(2)


def _ends(row: Array, geometry: Geometry) -> NDArray[np.float64] | None:
    """Outermost columns (end, view, col) of a row (view, col), the outermost first; None where they are too few.

    The shorter side of a detector whose axis is off the middle is not asked.
    """
    count = air_columns(row.shape[-1])
    if count < 2:
        return None
    side = longer_side(geometry)
    both = (row[:, :count], row[:, ::-1][:, :count])
    return np.stack([end for end, edge in zip(both, side[[0, -1]], strict=True) if edge >= 0]).astype(np.float64)


def _is_level(ends: NDArray[np.float64], level: float, noise: float) -> bool:
    """Whether ends (end, view, col), the outermost column first, differ by no more than air and noise do."""
    half = ends.shape[-1] // 2
    if level <= ERRORS * noise / sqrt(ends.size):
        return False
    slope = np.abs((ends[..., :half] - ends[..., -half:]).mean(axis=(1, 2))).max()
    if slope > LEVEL * level + ERRORS * noise * sqrt(2 / (half * ends.shape[1])):
        return False
    views = ends.mean(axis=-1)
    apart = views[0] - (views[1] if len(views) > 1 else views.mean())
    alike = abs(apart.mean()) <= ALIKE * level
    return bool(alike and apart.std() <= ALIKE * level + ERRORS * noise / sqrt(ends.shape[-1]))
