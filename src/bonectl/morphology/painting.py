"""Balls painted from the largest to the smallest, so that each voxel is written once: by the largest that holds it.

Five balls of six find nothing left to write. So what is still empty is kept as a bit for each voxel, of which those of
a whole volume stay in the processor's cache; and the union of the rows of a tile tells that none of them has a place
left for a ball.
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from bonectl.morphology.distance import Distances

Words = NDArray[np.uint64]

_ALL, _ONE, _LAST = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(1), np.uint64(63)
_SIX = np.uint64(6)
TILE = 4


def empty(inside: NDArray[np.bool_]) -> Words:
    """A bit for each voxel that is to be painted, (z, y, words): 64 voxels of a row to a word, lowest bit first."""
    bits = np.packbits(inside, axis=2, bitorder="little")
    words = np.zeros((*bits.shape[:2], -(-bits.shape[2] // 8) * 8), np.uint8)
    words[..., : bits.shape[2]] = bits
    return words.view("<u8")


@njit(cache=True, nogil=True)
def _mask(k: np.uint64, low: np.uint64, high: np.uint64) -> np.uint64:
    """The bits of voxels low..high that lie in word k."""
    mask = _ALL
    if k == low >> _SIX:
        mask &= _ALL << (low & _LAST)
    if k == high >> _SIX:
        mask &= _ALL >> (_LAST - (high & _LAST))
    return mask


@njit(cache=True, nogil=True)
def _any(left: Words, first: int, last: int) -> bool:
    """Whether a bit of voxels first..last of a row is set."""
    low, high = np.uint64(first), np.uint64(last)
    for k in range(low >> _SIX, (high >> _SIX) + _ONE):  # noqa: SIM110 (compiled, where any() takes no generator)
        if left[k] & _mask(k, low, high):
            return True
    return False


@njit(cache=True, nogil=True)
def _paint_row(row: NDArray[np.float32], left: Words, first: int, last: int, value: float) -> bool:
    """Write `value` to the empty voxels first..last of a row, whose bits are then 0; whether there were any."""
    low, high = np.uint64(first), np.uint64(last)
    found = False
    for k in range(low >> _SIX, (high >> _SIX) + _ONE):
        mask = _mask(k, low, high)
        word = left[k] & mask
        if word:
            found = True
            left[k] &= ~mask
            x = k << _SIX
            while word:
                if word & _ONE:
                    row[x] = value
                word >>= _ONE
                x += _ONE
    return found


@njit(cache=True, nogil=True)
def _halves(largest: int) -> NDArray[np.int64]:
    """For each whole number the largest whole one whose square is below it; -1 below 1."""
    halves = np.full(largest + 1, -1, np.int64)
    for k in range(1, largest + 1):
        half = halves[k - 1]
        halves[k] = half + 1 if (half + 1) * (half + 1) < k else half
    return halves


@njit(cache=True, parallel=True, nogil=True)
def paint(
    centres: NDArray[np.int32], squared: Distances, tolerance: float, left: Words, out: Distances, bands: int
) -> NDArray[np.bool_]:
    """Write each ball's squared radius to the voxels inside it that are still empty; which balls wrote any.

    `centres` is sorted by falling radius. `left` has a bit for each voxel that is empty (`empty`). Each band of tiles
    belongs to one thread: some floors, and where there are fewer floors than bands, some strips of them.
    """
    planes, rows, cols = out.shape
    owns = np.zeros(len(centres), np.bool_)
    largest = np.sqrt(np.float64(squared[0])) + tolerance if len(squared) else 0.0
    halves = _halves(int(np.ceil(largest * largest)))
    floors, strips = -(-planes // TILE), -(-rows // TILE)
    coarse = np.zeros((floors, strips, left.shape[2]), np.uint64)
    storeys = min(bands, floors)
    aisles = min(-(-bands // storeys), strips)
    for band in prange(storeys * aisles):
        storey, aisle = band // aisles, band % aisles
        bottom, top = floors * storey // storeys, floors * (storey + 1) // storeys
        near, far = strips * aisle // aisles, strips * (aisle + 1) // aisles
        for floor in range(bottom, top):
            for strip in range(near, far):
                _gather(left, floor, strip, coarse[floor, strip])
        for i in range(len(centres)):
            z, y, x = centres[i, 0], centres[i, 1], centres[i, 2]
            d = squared[i]
            radius = np.sqrt(np.float64(d)) + tolerance
            # the ball is open, and squared distances of voxels are whole numbers: those below this one are in it
            limit = int(np.ceil(radius * radius - 1e-9))
            span = halves[limit]
            for floor in range(max(bottom, max(0, z - span) // TILE), min(top, (z + span) // TILE + 1)):
                within = limit - _squared(z, floor)
                wide = halves[within]
                for strip in range(max(near, max(0, y - wide) // TILE), min(far, (y + wide) // TILE + 1)):
                    half = halves[within - _squared(y, strip)]
                    if not _any(coarse[floor, strip], max(0, x - half), min(cols - 1, x + half)):
                        continue
                    if _paint_tile((floor, strip), (z, y, x), limit, halves, d, left, out):
                        owns[i] = True
                        _gather(left, floor, strip, coarse[floor, strip])
    return owns


@njit(cache=True, nogil=True)
def _paint_tile(
    tile: tuple[int, int],
    centre: tuple[int, int, int],
    limit: int,
    halves: NDArray[np.int64],
    value: float,
    left: Words,
    out: Distances,
) -> bool:
    """What `paint` writes of a ball in the rows of one tile; whether anything."""
    planes, rows, cols = out.shape
    z, y, x = centre
    found = False
    for a in range(tile[0] * TILE, min(planes, tile[0] * TILE + TILE)):
        within = limit - (a - z) * (a - z)
        if within <= 0:
            continue
        for b in range(tile[1] * TILE, min(rows, tile[1] * TILE + TILE)):
            rest = within - (b - y) * (b - y)
            if rest > 0:
                half = halves[rest]
                if _paint_row(out[a, b], left[a, b], max(0, x - half), min(cols - 1, x + half), value):
                    found = True
    return found


@njit(cache=True, nogil=True)
def _gather(left: Words, floor: int, strip: int, into: Words) -> None:
    """The union of the rows of a tile."""
    into[:] = 0
    for a in range(floor * TILE, min(left.shape[0], floor * TILE + TILE)):
        for b in range(strip * TILE, min(left.shape[1], strip * TILE + TILE)):
            for k in range(left.shape[2]):
                into[k] |= left[a, b, k]


@njit(cache=True, nogil=True)
def _squared(place: int, tile: int) -> int:
    """The square of how far the nearest plane (or row) of a tile is from a place."""
    apart = max(tile * TILE - place, 0, place - tile * TILE - TILE + 1)
    return apart * apart


@njit(cache=True, parallel=True, nogil=True)
def paint_balls(balls: NDArray[np.float32], tolerance: float, left: Words, out: Distances, bands: int) -> None:
    """As `paint`, for balls of any centre; writes the radius."""
    planes, rows, cols = out.shape
    for band in prange(bands):
        bottom, top = planes * band // bands, planes * (band + 1) // bands
        for i in range(len(balls)):
            z, y, x = np.float64(balls[i, 0]), np.float64(balls[i, 1]), np.float64(balls[i, 2])
            radius = np.float64(balls[i, 3]) + tolerance
            for a in range(max(bottom, int(np.ceil(z - radius))), min(top, int(np.floor(z + radius)) + 1)):
                within = radius * radius - (a - z) * (a - z)
                if within <= 0:
                    continue
                wide = np.sqrt(within)
                for b in range(max(0, int(np.ceil(y - wide))), min(rows, int(np.floor(y + wide)) + 1)):
                    rest = within - (b - y) * (b - y)
                    if rest <= 0:
                        continue
                    half = np.sqrt(rest)
                    first, last = max(0, int(np.ceil(x - half))), min(cols - 1, int(np.floor(x + half)))
                    if first <= last:
                        _paint_row(out[a, b], left[a, b], first, last, balls[i, 3])
