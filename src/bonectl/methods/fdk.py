"""Filtered back-projection of fan and cone beams."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import irfft, rfft
from torch import Tensor

from bonectl.core import pool
from bonectl.core.geometry import Geometry
from bonectl.errors import UsageError
from bonectl.methods._quadrature import turn_weights
from bonectl.methods._ramp import continued, padded_length, response, truncated_rows
from bonectl.projection.backends import engine
from bonectl.projection.divergent_ops import collect
from bonectl.projection.projector import Projector
from bonectl.projection.rectify import rectified

MM_PER_CM = 10.0
# Detector rows that are filtered at a time.
ROWS = 4


def fdk(A: Projector, y: Tensor, *, window: str = "ram-lak", cutoff: float = 1.0) -> Tensor:
    """Filtered back-projection of a fan beam, or of a cone beam after Feldkamp, Davis and Kress.

    J. Opt. Soc. Am. A 1, 612 (1984); Kak and Slaney 1988, eqs. 3.127 and 3.176. Readings are weighted with the cosine
    of their ray's angle to the middle one and with the part of the turn that they stand for
    (`bonectl.methods._quadrature.turn_weights`: half of a full turn, Parker's weights below it), filtered row by row
    with the ramp `bonectl.methods._ramp.response`, and back-projected over the squared distance from the source. Exact
    in a fan beam and in the middle slice of a cone; away from it, objects that vary along the axis lose attenuation
    the more, the steeper the rays. Voxels that some views see beyond the first or last detector row are
    incomplete. The scan of a turned detector is interpolated on an upright one first
    (`bonectl.projection.rectify`). No gradient flows.

    Parameters
    ----------
    A : Projector
        The geometry of the scan.
    y : (..., row, view, col) tensor
        Line integrals.
    window : str
        ``ram-lak`` (none), ``hann`` or ``sinc2``; smoother to the right.
    cutoff : float
        Share of the detector's Nyquist frequency that is kept, 0 < cutoff <= 1.

    Returns
    -------
    (..., z, y, x) tensor
        Attenuation [1/cm].

    Raises
    ------
    UsageError
        When the beam is parallel, there is no such window, the cut-off is not within (0, 1], or a gradient is asked
        for.
    """
    geometry = A.geometry
    if geometry.kind == "parallel":
        raise UsageError("fdk is for fan and cone beams; use fbp for a parallel beam")
    if y.requires_grad and torch.is_grad_enabled():
        raise UsageError("fdk gives no gradient; use the transpose A.T, or torch.no_grad()")
    scan = y.reshape(-1, *y.shape[-3:]) if geometry.kind == "cone" else y.reshape(1, -1, *y.shape[-2:])
    ramp = response(padded_length(geometry.columns), window, cutoff)
    compiled = engine(y.device, A.backend) == "numba"
    upright = geometry.replace(roll=0.0, tilt=0.0, slant=0.0)
    volumes = []
    for one in scan:
        seen = _upright(geometry, one)
        lines = _filtered(upright, seen, ramp.numpy()) if compiled else _filtered_there(upright, seen, ramp)
        volumes.append(collect(upright, lines, A.backend))
    volume = torch.stack(volumes)
    tail = A.domain if geometry.kind == "cone" else volume.shape[-2:]
    return volume.reshape(*y.shape[: y.ndim - len(A.codomain)], *tail)


def _upright(geometry: Geometry, scan: Tensor) -> Tensor:
    """A scan (row, view, col) as an upright detector would have seen it, made on the CPU."""
    if geometry.is_upright:
        return scan
    return torch.from_numpy(rectified(geometry, scan.detach().contiguous().cpu().numpy())).to(scan.device)


def _turn(geometry: Geometry) -> NDArray[np.float64]:
    """What every reading stands for, (views, columns), with the unit of the filter."""
    across = (np.arange(geometry.columns) - geometry.centre) * geometry.pitch
    assert geometry.sod is not None
    assert geometry.sdd is not None
    # the ramp is for unit pitch; the pitch that counts is the detector's, as seen on the axis
    turn = turn_weights(geometry.angles.degrees, np.arctan(across / geometry.sdd))
    turn *= MM_PER_CM / (geometry.pitch * geometry.sod / geometry.sdd)
    return turn


def _height(geometry: Geometry, row: int) -> float:
    """Of a detector row above the plane of the orbit [mm]; a fan's rows have sources of their own."""
    return (row - geometry.principal_row) * geometry.row_pitch if geometry.kind == "cone" else 0.0


def _filtered(geometry: Geometry, scan: Tensor, ramp: NDArray[np.float32]) -> Tensor:
    """A scan (row, view, col), weighted and filtered; on the CPU."""
    rows, columns, length = scan.shape[0], geometry.columns, 2 * (ramp.size - 1)
    turn = _turn(geometry)
    cut = truncated_rows(scan)
    done = np.empty((rows, geometry.views, columns), dtype=np.float32)

    def work(low: int, high: int) -> None:
        part = continued(scan[low:high], length, cut[low:high]) if any(cut[low:high]) else scan[low:high]
        for row, lines in zip(range(low, high), part.numpy(), strict=True):
            weighted = lines * _weights(geometry, lines.shape[-1], _height(geometry, row), turn)
            spectrum = rfft(weighted, n=length, axis=-1)
            spectrum *= ramp
            done[row] = irfft(spectrum, n=length, axis=-1)[:, :columns]

    pool.each(work, pool.cut(rows, ROWS))
    return torch.from_numpy(done)


def _filtered_there(geometry: Geometry, scan: Tensor, ramp: Tensor) -> Tensor:
    """As `_filtered`, by torch's operators where the scan lies."""
    length = 2 * (len(ramp) - 1)
    turn = _turn(geometry)
    cut = truncated_rows(scan)
    done = torch.empty_like(scan)
    for row, lines in enumerate(continued(scan, length, cut) if any(cut) else scan):
        weights = torch.from_numpy(_weights(geometry, lines.shape[-1], _height(geometry, row), turn))
        spectrum = torch.fft.rfft(lines * weights.to(lines), n=length)
        done[row] = torch.fft.irfft(spectrum * ramp.to(lines), n=length)[:, : geometry.columns]
    return done


def _weights(geometry: Geometry, length: int, height: float, turn: NDArray[np.float64]) -> NDArray[np.float32]:
    """The cosine of each ray's angle times its part of the turn, for lines (view, col or a period of `length`).

    What a continuation added takes the weights of the detector's ends.
    """
    assert geometry.sdd is not None
    columns = geometry.columns
    across = (np.arange(columns) - geometry.centre) * geometry.pitch
    weights = turn * (geometry.sdd / np.sqrt(geometry.sdd**2 + across**2 + height**2))
    added = length - columns
    place = np.concatenate([np.arange(columns), np.full(added - added // 2, columns - 1), np.zeros(added // 2, int)])
    placed: NDArray[np.float32] = weights[:, place].astype(np.float32)
    return placed
