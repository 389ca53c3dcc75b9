"""Filtered back-projection of fan and cone beams."""

from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bonectl.core import arrays, pool
from bonectl.core.arrays import Values
from bonectl.core.geometry import Geometry
from bonectl.core.lengths import MM_PER_CM
from bonectl.core.slabs import Array
from bonectl.errors import UsageError
from bonectl.methods._quadrature import check_arc, ray_weights
from bonectl.methods._ramp import continued, drawn_out, padded_length, response, truncated_rows

if TYPE_CHECKING:
    from torch import Tensor

# What the register knows of it (core/kit.py).
BEAMS = ("fan", "cone")
USUAL = ("fan", "cone")
CLOSED = True
MOMENTS = ((2, 1, "collect"), (1, 2, ""))

# Detector rows that are filtered at a time.
ROWS = 4


def fdk(A: Any, y: Values, *, window: str = "ram-lak", cutoff: float = 1.0) -> Values:
    """Filtered back-projection of a fan beam, or of a cone beam after Feldkamp, Davis and Kress.

    J. Opt. Soc. Am. A 1, 612 (1984); Kak and Slaney 1988, eqs. 3.127 and 3.176. Readings are weighted with the cosine
    of their ray's angle to the middle one and with the part of the turn that they stand for
    (`bonectl.methods._quadrature.ray_weights`: half of a full turn, Parker's weights below it, more on the longer side
    of a detector that is offset), filtered row by row with the ramp `bonectl.methods._ramp.response`, also beyond the
    detector's ends where the grid reaches there, and back-projected over the squared distance from the source. Exact
    in a fan beam and in the middle slice of a cone; away from it, objects that vary along the axis lose attenuation
    the more, the steeper the rays. Voxels that some views see beyond the first or last detector row are
    incomplete. The scan of a turned detector is interpolated on an upright one first
    (`bonectl.projection.rectify`). No gradient flows.

    Parameters
    ----------
    A : System or Projector
        The geometry of the scan.
    y : (..., row, view, col) array or tensor
        Line integrals.
    window : str
        ``ram-lak`` (none), ``hann`` or ``sinc2``; smoother to the right.
    cutoff : float
        Share of the detector's Nyquist frequency that is kept, 0 < cutoff <= 1.

    Returns
    -------
    (..., z, y, x) array or tensor
        Attenuation [1/cm].

    Raises
    ------
    UsageError
        When the beam is parallel, the views cover less than 90 degrees, there is no such window, the cut-off is not
        within (0, 1], or a gradient is asked for.
    """
    geometry = A.geometry
    if geometry.kind == "parallel":
        raise UsageError("fdk is for fan and cone beams; use fbp for a parallel beam")
    if arrays.is_recorded(y):
        raise UsageError("fdk gives no gradient; use the transpose A.T, or torch.no_grad()")
    check_arc(geometry)
    scan = y.reshape(-1, *y.shape[-3:]) if geometry.kind == "cone" else y.reshape(1, -1, *y.shape[-2:])
    upright = geometry.replace(roll=0.0, tilt=0.0, slant=0.0)
    wide, _ = widened(upright)
    ramp = response(padded_length(wide.columns), window, cutoff)
    filtered = _filtered if A.compiles(y) else _filtered_there
    collecting = A.like(wide)
    volumes = [collecting.collect(arrays.fitting(y, filtered(upright, _upright(geometry, one), ramp))) for one in scan]
    volume = volumes[0][None] if len(volumes) == 1 else arrays.space(y).stack(volumes)
    tail = A.domain if geometry.kind == "cone" else volume.shape[-2:]
    return volume.reshape(*y.shape[: y.ndim - len(A.codomain)], *tail)


def _upright(geometry: Geometry, scan: Values) -> Values:
    """A scan (row, view, col) as an upright detector would have seen it, made on the CPU."""
    if geometry.is_upright:
        return scan
    from bonectl.projection.rectify import rectified  # (a plan asks `beside`, and compiles nothing)

    return arrays.fitting(scan, rectified(geometry, np.ascontiguousarray(arrays.plain(scan))))


def beside(geometry: Geometry) -> float:
    """Copies of a block of the scan that are held beside the moments.

    An upright detector's view of it, and what the filter adds beyond the detector's ends.
    """
    return float(not geometry.is_upright) + widened(geometry)[0].columns / geometry.columns - 1


def widened(geometry: Geometry) -> tuple[Geometry, int]:
    """A geometry whose upright detector covers the circle inscribed in the grid, and the columns added in front.

    What the ramp makes of the readings goes on beyond the detector's ends; voxels that are seen there need it.
    """
    assert geometry.sod is not None
    assert geometry.sdd is not None
    radius = geometry.size * geometry.voxel / 2
    reach = geometry.sdd * radius / sqrt(geometry.sod**2 - radius**2) / geometry.pitch
    before = max(0, ceil(reach - geometry.centre))
    behind = max(0, ceil(reach - (geometry.columns - 1 - geometry.centre)))
    columns, centre = geometry.columns + before + behind, geometry.centre + before
    return geometry.replace(columns=columns, centre=centre), before


def _turn(geometry: Geometry) -> NDArray[np.float64]:
    """What every reading stands for, (views, columns), with the unit of the filter."""
    assert geometry.sod is not None
    assert geometry.sdd is not None
    # the ramp is for unit pitch; the pitch that counts is the detector's, as seen on the axis
    return ray_weights(geometry) * (MM_PER_CM / (geometry.pitch * geometry.sod / geometry.sdd))


def _height(geometry: Geometry, row: int) -> float:
    """Of a detector row above the plane of the orbit [mm]; a fan's rows have sources of their own."""
    return (row - geometry.principal_row) * geometry.row_pitch if geometry.kind == "cone" else 0.0


def _filtered(geometry: Geometry, scan: Values, ramp: NDArray[np.float32]) -> Array:
    """A scan (row, view, col), weighted and filtered, on the columns of a widened detector; on the CPU."""
    from scipy.fft import irfft, rfft

    scan = arrays.plain(scan)
    rows, length = scan.shape[0], 2 * (ramp.size - 1)
    turn = _turn(geometry)
    cut = truncated_rows(scan, geometry)
    wide, before = widened(geometry)
    done = np.empty((rows, geometry.views, wide.columns), dtype=np.float32)

    def work(low: int, high: int) -> None:
        part = continued(scan[low:high], length, cut[low:high]) if any(cut[low:high]) else scan[low:high]
        for row, lines in zip(range(low, high), part, strict=True):
            weighted = lines * _weights(geometry, lines.shape[-1], _height(geometry, row), turn)
            spectrum = rfft(weighted, n=length, axis=-1)
            spectrum *= ramp
            line = irfft(spectrum, n=length, axis=-1)
            done[row, :, :before] = line[:, length - before :]
            done[row, :, before:] = line[:, : wide.columns - before]

    pool.each(work, pool.cut(rows, ROWS))
    return done


def _filtered_there(geometry: Geometry, scan: "Tensor", ramp: NDArray[np.float32]) -> "Tensor":
    """As `_filtered`, by torch's operators where the scan lies."""
    import torch

    length = 2 * (len(ramp) - 1)
    turn = _turn(geometry)
    cut = truncated_rows(scan, geometry)
    wide, before = widened(geometry)
    done = scan.new_empty(*scan.shape[:2], wide.columns)
    for row, lines in enumerate(continued(scan, length, cut) if any(cut) else scan):
        weights = torch.from_numpy(_weights(geometry, lines.shape[-1], _height(geometry, row), turn))
        spectrum = torch.fft.rfft(lines * weights.to(lines), n=length)
        line = torch.fft.irfft(spectrum * arrays.fitting(lines, ramp), n=length)
        done[row, :, :before] = line[:, length - before :]
        done[row, :, before:] = line[:, : wide.columns - before]
    return done


def _weights(geometry: Geometry, length: int, height: float, turn: NDArray[np.float64]) -> NDArray[np.float32]:
    """The cosine of each ray's angle times its part of the turn, for lines (view, col or a period of `length`)."""
    assert geometry.sdd is not None
    across = (np.arange(geometry.columns) - geometry.centre) * geometry.pitch
    weights = turn * (geometry.sdd / np.sqrt(geometry.sdd**2 + across**2 + height**2))
    return drawn_out(weights, length).astype(np.float32)
