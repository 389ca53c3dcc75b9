"""What an upright detector would have read, from the scan of a turned one.

Every pixel of the upright detector (same middle, pixels and distance) lies on a ray that meets the turned one
somewhere, at the same place in all views. There the scan is interpolated by cubic convolution with a = -1/2 (Keys, IEEE
Trans. Acoust. Speech Signal Process. 29, 1153, 1981, eq. 15), which is exact for quadratics. Places beyond the turned
detector read its nearest pixels.
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from math import floor

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bonectl.core import pool
from bonectl.core.geometry import Geometry
from bonectl.core.slabs import Array

# Voxels that an interpolation takes along an axis.
TAPS = 4


def rectified(geometry: Geometry, scan: Array) -> Array:
    """The scan (row, view, column) of a fan or cone beam as an upright detector would have seen it: a fresh array."""
    done = np.empty_like(scan)

    def rows(low: int, high: int) -> None:
        places = seen_at(geometry, np.arange(low, high))
        if geometry.kind == "fan":  # every row has a source of its own, in its plane
            places[..., 0] = np.arange(low, high)[:, None]
        _resample(scan, places, low, done)

    pool.each(rows, pool.cut(scan.shape[0], 8))
    return done


def seen_at(geometry: Geometry, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where the rays to some rows of an upright detector meet the turned one: (rows, columns, 2), row and column."""
    assert geometry.sdd is not None
    across, down = geometry.detector_axes
    middle = np.array([0.0, geometry.sdd, 0.0])
    ray = np.empty((rows.size, geometry.columns, 3))
    ray[..., 0] = (np.arange(geometry.columns) - geometry.centre) * geometry.pitch
    ray[..., 1] = geometry.sdd
    ray[..., 2] = ((rows - geometry.principal_row) * geometry.row_pitch)[:, None] if geometry.kind == "cone" else 0.0
    normal = np.cross(down, across)
    ray *= (middle @ normal / (ray @ normal))[..., None]
    ray -= middle
    return np.stack(
        [geometry.principal_row + ray @ down / geometry.row_pitch, geometry.centre + ray @ across / geometry.pitch],
        axis=-1,
    )


@njit(cache=True, nogil=True, inline="always")
def _keys(x):  # type: ignore[no-untyped-def]
    """Weights of the neighbours at -1, 0, 1, 2 for a place x in [0, 1)."""
    return (
        np.float32(((2.0 - x) * x - 1.0) * x * 0.5),
        np.float32(((3.0 * x - 5.0) * x * x + 2.0) * 0.5),
        np.float32(((4.0 - 3.0 * x) * x + 1.0) * x * 0.5),
        np.float32((x - 1.0) * x * x * 0.5),
    )


@njit(cache=True, nogil=True)
def _resample(scan, places, low, done):  # type: ignore[no-untyped-def]
    """Rows low, low + 1, ... of `done` from `scan` (row, view, column) at places (row, column, 2)."""
    rows, views, columns = scan.shape
    for i in range(places.shape[0]):
        for j in range(columns):
            at_row = min(max(places[i, j, 0], 0.0), rows - 1.0)
            at_column = min(max(places[i, j, 1], 0.0), columns - 1.0)
            row, column = int(floor(at_row)), int(floor(at_column))
            down, across = _keys(at_row - row), _keys(at_column - column)
            for view in range(views):
                total = np.float32(0.0)
                for k in range(TAPS):
                    line = scan[min(max(row + k - 1, 0), rows - 1), view]
                    value = np.float32(0.0)
                    for m in range(TAPS):
                        value += across[m] * line[min(max(column + m - 1, 0), columns - 1)]
                    total += down[k] * value
                done[low + i, view, j] = total
