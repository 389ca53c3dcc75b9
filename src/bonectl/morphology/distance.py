"""Exact squared Euclidean distance transform.

One pass per axis, lower envelope of parabolas (Felzenszwalb & Huttenlocher, Theory Comput. 8:415, 2012). A run of
foreground is worked on alone: beyond the background that ends it nothing can be nearer.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Distances = NDArray[np.float32]
Weights = tuple[float, float, float]

CUBIC: Weights = (1.0, 1.0, 1.0)

# Squared distance where there is no background at all; sums of three stay finite in float32.
FAR = np.float32(1e30)


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _along_x(inside: NDArray[np.bool_], weight: float, out: Distances) -> None:
    """Squared distance to the nearest background voxel of the same row."""
    planes, rows, cols = inside.shape
    for z in prange(planes):
        for y in range(rows):
            row, mask = out[z, y], inside[z, y]
            last = -1
            for x in range(cols):
                if not mask[x]:
                    row[x] = np.float32(0)
                    last = x
                elif last < 0:
                    row[x] = FAR
                else:
                    row[x] = np.float32(weight * (x - last) * (x - last))
            last = -1
            for x in range(cols - 1, -1, -1):
                if not mask[x]:
                    last = x
                elif last >= 0:
                    there = np.float32(weight * (last - x) * (last - x))
                    if there < row[x]:
                        row[x] = there


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _parabolas(
    line: Distances, first: int, last: int, weight: float, place: NDArray[np.int32], start: NDArray[np.float64]
) -> int:
    """Which parabolas make the lower envelope of line[first..last], and where each begins; how many they are."""
    k = -1
    for j in range(first, last + 1):
        if line[j] >= FAR:
            continue
        height = np.float64(line[j]) + weight * j * j
        cross = -np.inf
        while k >= 0:
            i = place[k]
            cross = (height - (np.float64(line[i]) + weight * i * i)) / (2 * weight * (j - i))
            if cross > start[k]:
                break
            k -= 1
        k += 1
        place[k] = j
        start[k] = cross if k > 0 else -np.inf
    return k + 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _envelope(
    line: Distances, n: int, weight: float, place: NDArray[np.int32], start: NDArray[np.float64], out: Distances
) -> None:
    """out[i] = min over j of line[j] + weight (i - j)², run by run; `place` and `start` are scratch of n and n + 1."""
    begin = 0
    while begin < n:
        if line[begin] == 0:
            out[begin] = np.float32(0)
            begin += 1
            continue
        end = begin
        while end < n and line[end] > 0:
            end += 1
        # The run, and the background voxels that bound it.
        count = _parabolas(line, max(begin - 1, 0), min(end, n - 1), weight, place, start)
        start[count] = np.inf
        k = 0
        for i in range(begin, end):
            if count == 0:
                out[i] = FAR
                continue
            while start[k + 1] < i:
                k += 1
            j = place[k]
            out[i] = np.float32(np.float64(line[j]) + weight * (i - j) * (i - j))
        begin = end


# Lines that are worked on together, which lie side by side: values of one cache line.
TOGETHER = 16


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _across(plane: Distances, weight: float) -> None:
    """`_envelope` of every column of (n, x), in place; some columns at a time, so that rows are read and written."""
    n, cols = plane.shape
    lines = np.empty((TOGETHER, n), np.float32)
    best = np.empty(n, np.float32)
    place = np.empty(n, np.int32)
    start = np.empty(n + 1, np.float64)
    for first in range(0, cols, TOGETHER):
        count = min(TOGETHER, cols - first)
        for i in range(n):
            for k in range(count):
                lines[k, i] = plane[i, first + k]
        for k in range(count):
            _envelope(lines[k], n, weight, place, start, best)
            lines[k] = best
        for i in range(n):
            for k in range(count):
                plane[i, first + k] = lines[k, i]


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _along_y(weight: float, out: Distances) -> None:
    for z in prange(out.shape[0]):
        _across(out[z], weight)


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _along_z(weight: float, out: Distances) -> None:
    for y in prange(out.shape[1]):
        _across(out[:, y], weight)


def squared_distance(inside: NDArray[np.bool_], weights: Weights = CUBIC) -> Distances:
    """Squared distance from each voxel of `inside` to the nearest voxel centre that is not.

    Parameters
    ----------
    inside : (z, y, x) bool
    weights : tuple of float
        Squared voxel side along z, y, x. With the default the result is in squared voxels, and exact: whole
        numbers up to 2^24.

    Returns
    -------
    (z, y, x) float32
        0 outside; `FAR` everywhere when nothing is outside. What lies beyond the array is not background.
    """
    out = np.empty(inside.shape, np.float32)
    _along_x(np.ascontiguousarray(inside), float(weights[2]), out)
    _along_y(float(weights[1]), out)
    _along_z(float(weights[0]), out)
    return out
