"""A mask on a finer or coarser grid than the grey values it is cut from."""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Grey = NDArray[np.float32]
Taps = tuple[NDArray[np.int32], NDArray[np.float32]]


def _taps(length: int, step: float) -> Taps:
    """Where samples `step` voxels apart draw their values from along one axis; (n, 4) indices and weights.

    Cubic convolution with a = -1/2 (Keys, IEEE Trans. Acoust. 29:1153, 1981): exact for parabolas, four samples.
    Beyond the ends the last value is repeated. The first and last samples lie half a step inside the ends.
    """
    count = max(1, round(length / step))
    places = (np.arange(count) + 0.5) * (length / count) - 0.5
    base = np.floor(places)
    t = (places - base)[:, None]
    weights = np.concatenate(
        [
            ((-0.5 * t + 1) * t - 0.5) * t,
            (1.5 * t - 2.5) * t * t + 1,
            ((-1.5 * t + 2) * t + 0.5) * t,
            (0.5 * t - 0.5) * t * t,
        ],
        axis=1,
    )
    index = np.clip(base.astype(np.int32)[:, None] + np.arange(-1, 3, dtype=np.int32), 0, length - 1)
    return index.astype(np.int32), weights.astype(np.float32)


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _cut(values: Grey, threshold: float, zs: Taps, ys: Taps, xs: Taps) -> NDArray[np.bool_]:
    """Whether the interpolated value lies above the threshold, at every point of the new grid."""
    planes, rows, cols = len(zs[0]), len(ys[0]), len(xs[0])
    out = np.empty((planes, rows, cols), np.bool_)
    level = np.float32(threshold)
    for k in prange(planes):
        line = np.empty(values.shape[2], np.float32)
        for j in range(rows):
            line[:] = 0
            for a in range(4):
                for b in range(4):
                    weight = zs[1][k, a] * ys[1][j, b]
                    if weight != 0:
                        source = values[zs[0][k, a], ys[0][j, b]]
                        for x in range(values.shape[2]):
                            line[x] += weight * source[x]
            for i in range(cols):
                value = np.float32(0)
                for c in range(4):
                    value += xs[1][i, c] * line[xs[0][i, c]]
                out[k, j, i] = value > level
    return out


def finer(values: Grey, threshold: float, steps: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Cut grey values on a finer grid, between whose points they are interpolated.

    Parameters
    ----------
    values : (z, y, x) float32
    threshold : float
    steps : tuple of float
        Distance of the new grid's points along z, y, x [voxel of `values`], at most 1.

    Returns
    -------
    (z', y', x') bool
        True above the threshold.
    """
    zs, ys, xs = (_taps(n, step) for n, step in zip(values.shape, steps, strict=True))
    return np.asarray(_cut(np.ascontiguousarray(values, np.float32), threshold, zs, ys, xs))


def nearest(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A mask on another grid over the same box, each new point taking the voxel it lies in."""
    for axis, count in enumerate(shape):
        length = mask.shape[axis]
        mask = mask.take(((np.arange(count) + 0.5) * length / count).astype(np.intp), axis)
    return mask


def coarser(values: Grey, factor: int) -> Grey:
    """Means of blocks of `factor`³ voxels; slices, rows and columns that fill no block are left out."""
    if factor == 1:
        return values
    z, y, x = (n // factor for n in values.shape)
    cut = values[: z * factor, : y * factor, : x * factor]
    blocks = cut.reshape(z, factor, y, factor, x, factor)
    means: Grey = blocks.mean((1, 3, 5), dtype=np.float32)
    return means
