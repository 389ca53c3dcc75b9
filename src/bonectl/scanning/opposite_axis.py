"""The column of the rotation axis at which rays and the same rays from the other side agree best."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from bonectl.core.geometry import Geometry
from bonectl.core.slabs import Array
from bonectl.scanning.opposite_rays import MANY, SMOOTHING, Rays, rays_of
from bonectl.scanning.ring import Values

# The first search looks at views of about this many columns, each the mean of some.
COARSE_COLUMNS = 256
# The rays' opposites must lie on this share of the detector; on the second where at least MANY views have opposites.
OVERLAP, LITTLE_OVERLAP = 0.25, 0.1
# How far from the first guess the columns are compared in the end, row by row, and at which step [column].
REACH, STEP = 3.0, 0.25


def coarse(geometry: Geometry, rows: Array) -> tuple[Geometry, Array, int]:
    """The scan with columns averaged by some number, and that number."""
    binning = max(1, geometry.columns // COARSE_COLUMNS)
    columns = geometry.columns // binning
    mean: Array = np.asarray(rows)[..., : columns * binning].reshape(*rows.shape[:-1], columns, binning).mean(axis=-1)
    return geometry.replace(columns=columns, pitch=geometry.pitch * binning), mean, binning


@dataclass(frozen=True)
class Estimate:
    """A column of the rotation axis.

    Parameters
    ----------
    column, sd : float
        The column (0-based, fractional), and how far it may be off [SD, column].
    by_row : tuple of (float, float)
        The same for each row alone.
    searched : (float, float)
        First and last column that were tried.
    mismatch : float
        What is left of `Rays.mismatch` there.
    """

    column: float
    sd: float
    by_row: tuple[tuple[float, float], ...]
    searched: tuple[float, float]
    mismatch: float

    @property
    def at_end(self) -> bool:
        """Whether the search ended at its end: the axis may lie beyond."""
        return not self.searched[0] + STEP < self.column < self.searched[1] - STEP


def axis_of(geometry: Geometry, rows: Array) -> Estimate | None:
    """The column of the rotation axis at which opposite rays agree best.

    Parameters
    ----------
    geometry : Geometry
        Its centre is not used.
    rows : (row, view, col) array
        Line integrals; of a cone beam, in the plane of the orbit.

    Returns
    -------
    Estimate or None
        None where no rays were measured from both ends.
    """
    rough, mean, binning = coarse(geometry, rows)
    roughly, rays = rays_of(rough, mean), rays_of(geometry, rows)
    if roughly is None or rays is None:
        return None
    overlap = LITTLE_OVERLAP if rays.count >= MANY else OVERLAP
    everywhere = np.arange(np.ceil(rough.columns * overlap / 2), rough.columns * (1 - overlap / 2))
    if len(everywhere) == 0:
        everywhere = np.array([(rough.columns - 1) / 2])
    best = float(everywhere[np.argmin([roughly.mismatch(centre) for centre in everywhere])])
    first, last, best = ((float(column) + 0.5) * binning - 0.5 for column in (everywhere[0], everywhere[-1], best))
    if binning > 1:
        near = best + np.arange(-2.0 * binning, 2.0 * binning + 1)
        best = float(near[np.argmin([rays.mismatch(float(centre)) for centre in near])])
    return _refined(rays, best, (first, last))


def _refined(rays: Rays, guess: float, searched: tuple[float, float]) -> Estimate:
    """The least mismatch around a guess, and what each row says of it."""
    reach = int(np.ceil(REACH / STEP))
    tried: Values = guess + STEP * np.arange(-reach, reach + 1, dtype=np.float64)
    compared = [rays.compare(float(centre)) for centre in tried]
    # per ray, and not as a share: what noise adds must not depend on the overlap
    apart = np.array([apart / max(count, 1) for apart, _, count in compared])  # (column, row)
    count = max(compared[reach][2], 1)
    by_row = tuple(_least(tried, each, count) for each in apart.T)
    column, sd = _least(tried, apart.mean(axis=1), count * len(by_row))
    if len(by_row) > 1:
        sd = max(sd, _spread(column, by_row))
    return Estimate(column, sd, by_row, searched, rays.mismatch(column))


def _least(tried: Values, shares: Values, count: int) -> tuple[float, float]:
    """Where the mismatch is least, and the SD that the residual there and the bend around it amount to.

    Of least squares: variance of a residual, over half the second derivative of their sum; what smoothing did to
    the noise makes them so much less independent.
    """
    column = lowest(tried, shares)
    if shares.argmin() in (0, len(shares) - 1):  # no least one within reach
        return column, REACH
    i = int(np.clip(shares.argmin(), 2, len(shares) - 3))
    bend = float(np.polyfit(tried[i - 2 : i + 3] - tried[i], shares[i - 2 : i + 3], 2)[0])
    alike = 2 * sqrt(np.pi) * SMOOTHING
    return column, sqrt(float(shares.min()) / count * alike / bend) if bend > 0 else REACH


def _spread(column: float, by_row: tuple[tuple[float, float], ...]) -> float:
    """SD of a weighted mean, from how far the rows are from it."""
    columns, sds = np.array(by_row).T
    weights = 1 / np.square(np.maximum(sds, 1e-3))
    weights /= weights.sum() if weights.sum() > 0 else 1.0
    return float(np.sqrt(np.sum(np.square(weights * (columns - column)))))


def lowest(tried: Values, scores: Values) -> float:
    """Where the parabola through the lowest score and its neighbours is lowest.

    Parameters
    ----------
    tried, scores : (n,) arrays
        n of at least 3; `tried` evenly spaced.
    """
    i = int(np.clip(scores.argmin(), 1, len(scores) - 2))
    before, here, after = scores[i - 1 : i + 2]
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend > 0 else 0.0
    return float(tried[i] + np.clip(shift, -1, 1) * (tried[1] - tried[0]))
