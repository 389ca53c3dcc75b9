"""Filtered back-projection."""

from math import ceil
from typing import Any

from bonectl.core import arrays
from bonectl.core.arrays import Values
from bonectl.core.geometry import Geometry
from bonectl.core.lengths import MM_PER_CM
from bonectl.errors import UsageError
from bonectl.methods._quadrature import check_arc, longer_side, shares_and_factors
from bonectl.methods._ramp import continued, drawn_out, padded_length, response, truncated_rows

# What the register knows of it (core/kit.py).
BEAMS = ("parallel",)
USUAL = ("parallel",)
CLOSED = True
MOMENTS = ((1, 1, "back"),)
# Rows that are cut off are continued beyond the detector: blocks of the scan that are then held on top, and all that
# is held while they are made.
CUT_OFF = (2.1, 5.2)

# Columns around the circle inscribed in the grid that are kept right too.
MARGIN = 8


def fbp(A: Any, y: Values, *, window: str = "ram-lak", cutoff: float = 1.0, pixels: str = "bandlimited") -> Values:
    """Filtered back-projection of a parallel-beam scan.

    The inverse Radon transform (Kak and Slaney 1988, eq. 3.30): each view is filtered with the ramp
    `bonectl.methods._ramp.response`, weighted with the part of the half circle it stands for
    (`bonectl.methods._quadrature.ray_weights`: right for 180 degrees, 360 degrees, irregular angles, and half
    acquisition, a full turn with the axis near an end of the detector) and back-projected. A row whose ends are not
    air is continued smoothly beyond the detector first; its attenuation is still off by an unknown amount, because the
    rays outside were never measured.

    Parameters
    ----------
    A : System or Projector
        The geometry of the scan; its pixel model is not used.
    y : (..., row, view, col) array or tensor
        Line integrals.
    window : str
        ``ram-lak`` (none), ``hann`` or ``sinc2``; smoother to the right.
    cutoff : float
        Share of the detector's Nyquist frequency that is kept, 0 < cutoff <= 1.
    pixels : str
        Pixel model of the back-projection: ``bandlimited`` (sharpest) or ``strip``.

    Returns
    -------
    (..., z, y, x) array or tensor
        Attenuation [1/cm].

    Raises
    ------
    UsageError
        When the beam is not parallel, the views cover less than 90 degrees, there is no such window or pixel model, or
        the cut-off is not within (0, 1].
    """
    geometry = A.geometry
    if geometry.kind != "parallel":
        raise UsageError(f"fbp is for a parallel beam; use fdk for a {geometry.kind} beam")
    length = _period(geometry)
    # The transpose gives, per view, voxel^2 / (10 pitch) times the interpolated value; the ramp is for unit pitch.
    check_arc(geometry)
    shares, factors = shares_and_factors(geometry)
    shares = shares * (MM_PER_CM / geometry.voxel) ** 2
    rows = y.reshape(-1, *y.shape[-2:])
    cut = truncated_rows(rows, geometry)
    if any(cut):
        rows = continued(rows, length, cut)
        geometry = geometry.replace(columns=length)
    if factors.size > 1:
        rows = rows * arrays.fitting(rows, drawn_out(factors, rows.shape[-1]))
    filtered = A.like(geometry, model=pixels, response=response(length, window, cutoff), shares=shares)
    volume = filtered.T(rows)
    return volume.reshape(*y.shape[:-2], *volume.shape[-2:])


def beside(geometry: Geometry) -> float:
    """Copies of a block of the scan that are held beside the moments: where rays are weighted, one."""
    return float(longer_side(geometry).any())


def _period(geometry: Geometry) -> int:
    """Samples of the filter's transform: twice what the detector, and a circle around the grid, take of columns.

    Then the ramp's response to what the detector saw does not wrap around anywhere in the circle; outside of the
    detector it goes on, as it must.
    """
    reach = geometry.size * geometry.voxel / geometry.pitch / 2 + MARGIN
    left = max(0.0, reach - geometry.centre)
    right = max(0.0, reach - (geometry.columns - 1 - geometry.centre))
    return padded_length(geometry.columns + ceil(left) + ceil(right))
