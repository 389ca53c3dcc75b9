"""The windows of the ramp filter, and the padding in front of it."""

from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

from bonectl.core import arrays
from bonectl.core.arrays import Values
from bonectl.core.geometry import Geometry
from bonectl.core.slabs import Array
from bonectl.errors import UsageError
from bonectl.methods._quadrature import longer_side, reverse_measured
from bonectl.projection.ramp import ramp

# Columns whose mean a continuation begins with.
EDGE = 4
# A row counts as truncated when its mean over views and the two outermost columns of an end exceeds this share of
# its largest column mean. Air around a whole object reads 0 +- noise / sqrt(2 views); one that is cut, tens of percent.
TRUNCATED = 0.05
OUTERMOST = 2
# So many views, or up to twice as many, tell the largest column mean well enough.
VIEWS = 128
# Of a narrow detector fewer columns are its end: at most this share of all, or whole objects would reach into it.
END = 1 / 32
# Standard errors of noise that the end of a row must exceed: a row of air alone has no object that could be cut off.
SURE = 5.0

WINDOWS = ("ram-lak", "hann", "sinc2")


def response(length: int, window: str, cutoff: float) -> Array:
    """The windowed ramp (`bonectl.projection.ramp`) at the frequencies of a real transform of `length` samples.

    Parameters
    ----------
    length : int
        Even; see `padded_length`.
    window : str
        Factor at frequency r, as a share of the cut-off: ``ram-lak`` 1, ``hann`` (1 + cos(pi r)) / 2,
        ``sinc2`` sinc(r / 2)^2 (what linear interpolation would do); all 0 beyond the cut-off.
    cutoff : float
        Share of the detector's Nyquist frequency, 0 < cutoff <= 1.

    Raises
    ------
    UsageError
        When there is no such window, or the cut-off is not within (0, 1].
    """
    if window not in WINDOWS:
        raise UsageError(f"no window {window!r}; there are {', '.join(WINDOWS)}")
    if not 0 < cutoff <= 1:
        raise UsageError(f"cutoff={cutoff}; it is a share of the Nyquist frequency, above 0 and up to 1")
    filter_ = ramp(length)
    share = np.arange(filter_.size) / (length / 2) / cutoff
    shape = {"ram-lak": np.ones_like(share), "hann": (1 + np.cos(pi * share)) / 2, "sinc2": np.sinc(share / 2) ** 2}
    return np.where(share <= 1 + 1e-9, filter_ * shape[window], 0.0).astype(np.float32)


def padded_length(columns: int) -> int:
    """Samples of the filter's transforms: at least twice the detector, so that nothing wraps around; even."""
    from scipy.fft import next_fast_len

    length = next_fast_len(2 * columns, real=True)
    while length % 2:
        length = next_fast_len(length + 1, real=True)
    return int(length)


def continued(scan: Values, length: int, rows: list[bool]) -> Values:
    """A scan (row, view, col) as one period of `length` columns, of which `rows` are continued at their ends.

    From the mean value of an end to 0 as a raised cosine, over half of what is added; what comes before the first
    column stands at the end of the period. Other rows are followed by zeros.
    """
    edge, added = _end(EDGE, scan), length - scan.shape[-1]
    left = scan[..., :edge].mean(axis=-1, keepdims=True)
    right = scan[..., -edge:].mean(axis=-1, keepdims=True)
    half = added // 2
    fall = (1 + np.cos(np.arange(1, half + 1) * (pi / (half + 1)))) / 2
    level = np.zeros(added - half)
    there, back = (arrays.fitting(scan, np.concatenate(part)) for part in ((fall, level), (level, fall[::-1])))
    chosen = arrays.fitting(scan, np.array(rows, dtype=np.float64))[:, None, None]
    return arrays.space(scan).concatenate([scan, (right * there + left * back) * chosen], axis=-1)


def drawn_out(weights: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Weights of rays (view, col) for a scan that is `continued`: what was added takes those of the nearer end."""
    columns = weights.shape[1]
    added = length - columns
    place = np.concatenate([np.arange(columns), np.full(added - added // 2, columns - 1), np.zeros(added // 2, int)])
    return weights[:, place]


def truncated_rows(scan: Values, geometry: Geometry) -> list[bool]:
    """For each row of a scan (row, view, col) of line integrals, whether the object reaches beyond the detector.

    Judged row by row, so that the answer does not depend on the slab a row arrives in. The end of a detector's
    shorter side is judged by those views only whose rays there the longer side does not measure from behind.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large to add up is refused where it is read
        return _truncated(scan, geometry)


def _truncated(scan: Values, geometry: Geometry) -> list[bool]:
    some = scan[:, :: max(1, scan.shape[1] // VIEWS)]
    most = TRUNCATED * arrays.plain(some.mean(axis=1)).max(axis=1)
    side, end = longer_side(geometry), _end(OUTERMOST, scan)
    cut = np.zeros(len(most), dtype=np.bool_)
    for column in (0, -1):
        edge = arrays.plain(scan[..., :OUTERMOST] if column == 0 else scan[..., -OUTERMOST:])
        edge = edge if column == 0 else edge[..., ::-1]
        if side[column] < 0:
            edge = edge[:, _unseen_from_behind(geometry, column % geometry.columns)]
        if edge.shape[1]:
            readings = edge[..., :end]
            error = _noise(edge) / sqrt(readings[0].size)
            cut |= readings.mean(axis=(1, 2), dtype=np.float64) > np.maximum(most, SURE * error)
    return [bool(one) for one in cut]


def _end(most: int, scan: Values) -> int:
    """How many columns the end of a detector is, up to `most`."""
    return min(most, max(1, int(scan.shape[-1] * END)))


def _noise(readings: Array) -> NDArray[np.float64]:
    """SD of each row's readings (row, view, col), by the differences of neighbours, (row,); 0 where there are none."""
    if readings.shape[-1] < 2 or readings.shape[1] < 2:
        return np.zeros(len(readings))
    noise: NDArray[np.float64] = np.diff(readings, axis=-1).std(axis=(1, 2), ddof=1, dtype=np.float64) / sqrt(2)
    return noise


def _unseen_from_behind(geometry: Geometry, column: int) -> NDArray[np.bool_]:
    """Of which views no other one measures a column's rays from the other side."""
    away = (column - geometry.centre) * geometry.pitch
    fan = np.zeros(1) if geometry.sdd is None else np.arctan([away / geometry.sdd])
    unseen: NDArray[np.bool_] = ~reverse_measured(geometry.angles.degrees, fan)[:, 0]
    return unseen
