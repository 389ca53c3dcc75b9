"""Smooth random fields: compiled evaluation of cubic B-splines."""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Field = NDArray[np.float32]

# Of a cubic B-spline over independent nodes of variance 1, per axis, averaged over position.
VARIANCE = 151.0 / 315.0


@njit(cache=True, error_model="numpy")
def _weights(t: float) -> tuple[float, float, float, float]:
    """The four cubic B-spline weights at fraction t of an interval."""
    u = 1.0 - t
    return (
        u * u * u / 6.0,
        (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0,
        (3.0 * u * u * u - 6.0 * u * u + 4.0) / 6.0,
        t * t * t / 6.0,
    )


@njit(cache=True, error_model="numpy", parallel=True)
def fill_spline(
    values: NDArray[np.float32],
    nodes: NDArray[np.float64],
    step: float,
    first: tuple[float, float, float],
    voxel: float,
) -> None:
    """Evaluate B-spline fields (fields, z, y, x) at first + index · voxel; nodes lie every `step` from -step on.

    Separable: nodes collapse along z and y once per row.
    """
    fields, depth, height, width = values.shape
    for row in prange(depth * height):
        k, j = row // height, row % height
        z = (first[0] + k * voxel) / step + 1.0
        y = (first[1] + j * voxel) / step + 1.0
        iz, iy = int(z), int(y)
        wz, wy = _weights(z - iz), _weights(y - iy)
        line = np.zeros(nodes.shape[3])
        for f in range(fields):
            for i in range(nodes.shape[3]):
                line[i] = 0.0
            for a in range(4):
                for b in range(4):
                    w = wz[a] * wy[b]
                    for i in range(nodes.shape[3]):
                        line[i] += w * nodes[f, iz + a - 1, iy + b - 1, i]
            for i in range(width):
                x = (first[2] + i * voxel) / step + 1.0
                ix = int(x)
                w = _weights(x - ix)
                values[f, k, j, i] = w[0] * line[ix - 1] + w[1] * line[ix] + w[2] * line[ix + 1] + w[3] * line[ix + 2]
