"""Filtered back-projection."""

from math import ceil

import torch
from torch import Tensor

from bonectl.core.geometry import Geometry
from bonectl.core.projector import Projector
from bonectl.methods._quadrature import view_weights
from bonectl.methods._ramp import filtered, padded_length, response, truncated_rows

MM_PER_CM = 10.0
# Columns beyond the circle inscribed in the grid: there the ring of the cut end has died down.
MARGIN = 8


def fbp(
    A: Projector, y: Tensor, *, window: str = "ram-lak", cutoff: float = 1.0, pixels: str = "bandlimited"
) -> Tensor:
    """Filtered back-projection of a parallel-beam scan.

    The inverse Radon transform (Kak and Slaney 1988, eq. 3.30): each view is filtered with the ramp
    `bonectl.methods._ramp.response`, weighted with the part of the half circle it stands for
    (`bonectl.methods._quadrature.view_weights`: right for 180 degrees, 360 degrees and irregular angles) and
    back-projected. A row whose ends are not air is continued smoothly beyond the detector first; its attenuation
    is still off by an unknown amount, because the rays outside were never measured.

    Parameters
    ----------
    A : Projector
        The geometry of the scan; its pixel model is not used.
    y : (..., row, view, col) tensor
        Line integrals.
    window : str
        ``ram-lak`` (none), ``hann`` or ``sinc2``; smoother to the right.
    cutoff : float
        Share of the detector's Nyquist frequency that is kept, 0 < cutoff <= 1.
    pixels : str
        Pixel model of the back-projection; ``bandlimited`` is the sharpest.

    Returns
    -------
    (..., z, y, x) tensor
        Attenuation [1/cm].

    Raises
    ------
    UsageError
        When there is no such window or pixel model, or the cut-off is not within (0, 1].
    """
    geometry = A.geometry
    left, right = _beyond(geometry)
    wide = geometry.replace(columns=geometry.columns + left + right, centre=geometry.centre + left)
    ramp = response(padded_length(wide.columns), window, cutoff)
    # The transpose gives, per view, voxel^2 / (10 pitch) times the interpolated value; the ramp is for unit pitch.
    weights = view_weights(geometry.angles.degrees) * (MM_PER_CM / geometry.voxel) ** 2
    scale = torch.from_numpy(weights).to(y)[:, None]
    rows = y.reshape(-1, *y.shape[-2:])
    cut = truncated_rows(rows)
    q = torch.stack([scale * filtered(row, ramp, left, right, c) for row, c in zip(rows, cut, strict=True)])
    volume: Tensor = Projector(wide, model=pixels).T(q.reshape(*y.shape[:-1], wide.columns))
    return volume


def _beyond(geometry: Geometry) -> tuple[int, int]:
    """Columns to add at either end so that every view covers the circle inscribed in the grid, and a margin.

    Beyond the detector a whole object casts no shadow, but the ramp's response to it goes on; cut off there, it
    would ring into the slice.
    """
    reach = geometry.size * geometry.voxel / geometry.pitch / 2 + MARGIN
    right = reach - (geometry.columns - 1 - geometry.centre)
    return max(0, ceil(reach - geometry.centre)), max(0, ceil(right))
