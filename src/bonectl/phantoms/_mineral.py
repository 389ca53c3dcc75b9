"""Compiled steps of the trabecular phantom's mineral: packets, each with a value of its own."""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from bonectl.phantoms._hashes import join, mix, normal

Floats = NDArray[np.float64]
Field = NDArray[np.float32]


@njit(cache=True, error_model="numpy")
def _packets(z: float, y: float, x: float, salt: Any, point: Floats, value: Floats) -> None:
    """Fill in the 27 packets around a place [packet size], and their values: mean 0, SD 1."""
    n = 0
    for cz in range(int(z) - 1, int(z) + 2):
        for cy in range(int(y) - 1, int(y) + 2):
            for cx in range(int(x) - 1, int(x) + 2):
                bits = join(join(join(salt, cz + 1), cy + 1), cx + 1)
                point[n, 0] = cz + float(bits & np.uint64(0xFFFFF)) / 1048576.0
                point[n, 1] = cy + float((bits >> np.uint64(20)) & np.uint64(0xFFFFF)) / 1048576.0
                point[n, 2] = cx + float((bits >> np.uint64(40)) & np.uint64(0xFFFFF)) / 1048576.0
                value[n] = normal(mix(bits))
                n += 1


@njit(cache=True, error_model="numpy")
def _nearest_packet(z: float, y: float, x: float, point: Floats) -> int:
    """Which of the 27 packets a place belongs to."""
    best, chosen = 1e30, 0
    for n in range(27):
        gap = (point[n, 0] - z) ** 2 + (point[n, 1] - y) ** 2 + (point[n, 2] - x) ** 2
        if gap < best:
            best, chosen = gap, n
    return chosen


@njit(cache=True, error_model="numpy", parallel=True)
def mineralise(share: Field, mean: Field, start: int, size: float, spread: float, salt: Any) -> None:
    """Turn the share of bone into mineral [mgHA/cm³], in place.

    Parameters
    ----------
    share, mean : (z, y, x) arrays
        Share of bone, and mean mineral there.
    start : int
        Number of the first slice.
    size : float
        Of a voxel, in packets. Packets are the cells of jittered points on a cubic grid, taken at 2 × 2 × 2 places of
        a voxel.
    spread : float
        SD between packets [mgHA/cm³].
    salt : uint64
        Makes hashes those of this phantom.
    """
    depth, height, width = share.shape
    for row in prange(depth * height):
        k, j = row // height, row % height
        point, value = np.empty((27, 3)), np.empty(27)
        z, y, quarter = (start + k + 0.5) * size, (j + 0.5) * size, 0.25 * size
        for i in range(width):
            if share[k, j, i] == 0.0:
                continue
            x = (i + 0.5) * size
            _packets(z, y, x, salt, point, value)
            total = 0.0
            for a in (-quarter, quarter):
                for b in (-quarter, quarter):
                    for c in (-quarter, quarter):
                        total += value[_nearest_packet(z + a, y + b, x + c, point)]
            share[k, j, i] *= mean[k, j, i] + spread * total / 8.0
