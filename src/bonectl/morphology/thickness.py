"""Exact local thickness (Hildebrand & Rüegsegger, J. Microsc. 185:67, 1997).

The local thickness at a voxel is the diameter of the largest ball that lies inside the structure and contains the
voxel. Balls are centred on voxels; those that lie inside a neighbour's ball are dropped first (Remy & Thiel,
Pattern Recognit. Lett. 23:649, 2002), the rest are painted from the largest to the smallest, so that each voxel is
written once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bonectl.errors import DataError
from bonectl.morphology.distance import FAR, Distances, squared_distance

Table = NDArray[np.int64]
Mask = NDArray[np.bool_]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _reach(largest: int, tolerance: float) -> Table:
    """Farthest that a ball reaches as seen from a neighbour of its centre, (3, largest + 1), squared.

    Entry (k, d): the largest \\|v + e\\|² over \\|v\\| < √d + tolerance, for e a face (0), edge (1) or corner (2) step.
    """
    limit = int(np.floor((np.sqrt(largest) + tolerance) ** 2)) + 1
    side = int(np.sqrt(limit)) + 1
    far = np.zeros((3, limit + 1), np.int64)
    for x in range(side + 1):
        for y in range(x + 1):
            for z in range(y + 1):
                s = x * x + y * y + z * z
                if s <= limit:
                    far[0, s] = max(far[0, s], s + 2 * x + 1)
                    far[1, s] = max(far[1, s], s + 2 * (x + y) + 2)
                    far[2, s] = max(far[2, s], s + 2 * (x + y + z) + 3)
    for k in range(3):
        for s in range(1, limit + 1):
            far[k, s] = max(far[k, s], far[k, s - 1])
    table = np.zeros((3, largest + 1), np.int64)
    for d in range(1, largest + 1):
        last = int(np.ceil((np.sqrt(np.float64(d)) + tolerance) ** 2 - 1e-9)) - 1  # largest s inside the ball
        for k in range(3):
            table[k, d] = far[k, last]
    return table


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _is_inside_another(squared: Distances, z: int, y: int, x: int, reach: Table, tolerance: float) -> bool:
    """Whether the ball at a voxel lies inside the ball of one of its 26 neighbours."""
    d = squared[z, y, x]
    for a in range(max(0, z - 1), min(squared.shape[0], z + 2)):
        for b in range(max(0, y - 1), min(squared.shape[1], y + 2)):
            for c in range(max(0, x - 1), min(squared.shape[2], x + 2)):
                other = squared[a, b, c]
                if other > d:
                    kind = abs(a - z) + abs(b - y) + abs(c - x)
                    if (np.sqrt(np.float64(other)) + tolerance) ** 2 > 1e-6 + reach[kind - 1, int(np.ceil(d))]:
                        return True
    return False


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _ridge(squared: Distances, reach: Table, tolerance: float) -> NDArray[np.bool_]:
    """Centres whose ball does not lie inside the ball of one of the 26 neighbours."""
    planes, rows, cols = squared.shape
    keep = np.zeros(squared.shape, np.bool_)
    for z in prange(planes):
        for y in range(rows):
            for x in range(cols):
                if squared[z, y, x] > 0:
                    keep[z, y, x] = not _is_inside_another(squared, z, y, x, reach, tolerance)
    return keep


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _paint_row(row: NDArray[np.float32], ahead: NDArray[np.uint16], first: int, last: int, value: float) -> int:
    """Write `value` to the empty voxels first..last of a row; `ahead` leads to the next empty one. How many."""
    x, count = first, 0
    while x <= last:
        while ahead[x] != x:
            ahead[x] = ahead[ahead[x]]
            x = int(ahead[x])
        if x <= last:
            row[x] = value
            ahead[x] = x + 1
            x += 1
            count += 1
    return count


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _paint(
    centres: NDArray[np.int32],
    squared: Distances,
    tolerance: float,
    ahead: NDArray[np.uint16],
    out: Distances,
    bands: int,
) -> NDArray[np.bool_]:
    """Write each ball's squared radius to the voxels inside it that are still empty; which balls wrote any.

    `centres` is sorted by falling radius. `ahead[z, y, x]` leads to the next empty voxel of the row at or after x.
    Each band of planes belongs to one thread.
    """
    planes, rows, cols = out.shape
    owns = np.zeros(len(centres), np.bool_)
    for band in prange(bands):
        bottom, top = planes * band // bands, planes * (band + 1) // bands
        for i in range(len(centres)):
            z, y, x = centres[i, 0], centres[i, 1], centres[i, 2]
            d = squared[i]
            radius = np.sqrt(np.float64(d)) + tolerance
            span = int(radius)
            for a in range(max(bottom, z - span), min(top, z + span + 1)):
                left = radius * radius - (a - z) * (a - z)
                if left <= 0:
                    continue
                wide = int(np.sqrt(left))
                for b in range(max(0, y - wide), min(rows, y + wide + 1)):
                    rest = left - (b - y) * (b - y)
                    if rest <= 1e-9:
                        continue
                    half = int(np.sqrt(rest))
                    if half * half >= rest - 1e-9:  # the ball is open
                        half -= 1
                    last = min(cols - 1, x + half)
                    if _paint_row(out[a, b], ahead[a, b], max(0, x - half), last, d):
                        owns[i] = True
    return owns


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _next_inside(inside: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """For each voxel the next one of its row that is inside; (z, y, x + 1), the last column a fence."""
    planes, rows, cols = inside.shape
    ahead = np.empty((planes, rows, cols + 1), np.uint16)
    for z in prange(planes):
        for y in range(rows):
            following = cols
            ahead[z, y, cols] = cols
            for x in range(cols - 1, -1, -1):
                if inside[z, y, x]:
                    following = x
                ahead[z, y, x] = following
    return ahead


# Points of the surface are kept in bricks of this many voxels a side.
BRICK = 4


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _crossings(
    squared: Distances,
    values: Distances,
    level: tuple[float, float],
    place: tuple[int, int, int],
    points: NDArray[np.float32],
    count: int,
) -> int:
    """Write, from `count` on, where the surface crosses the grid edges from a voxel inside to background voxels.

    An edge is crossed where the value, linear between the two and `level[1]` beyond them, equals `level[0]`; in the
    middle where that is nowhere (a wall of the volume of interest). The new count; without room for points, (3, 0),
    they are only counted.
    """
    a, b, c = place
    for k in range(6):
        e = a + (1 if k == 0 else -1 if k == 1 else 0)
        f = b + (1 if k == 2 else -1 if k == 3 else 0)
        g = c + (1 if k == 4 else -1 if k == 5 else 0)
        within = 0 <= e < squared.shape[0] and 0 <= f < squared.shape[1] and 0 <= g < squared.shape[2]
        if within and squared[e, f, g] == 0:
            if points.shape[1]:
                rise = values[e, f, g] - values[a, b, c]
                share = (level[0] - values[a, b, c]) / rise if rise != 0 else 0.5
                if share < -level[1] or share > 1 + level[1]:
                    share = 0.5
                points[0, count] = a + share * (e - a)
                points[1, count] = b + share * (f - b)
                points[2, count] = c + share * (g - c)
            count += 1
    return count


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _brick(
    squared: Distances,
    inside: Mask,
    values: Distances,
    level: tuple[float, float],
    corner: tuple[int, int, int],
    points: NDArray[np.float32],
    count: int,
) -> int:
    """As `_crossings`, for all voxels of the brick at `corner` that have background at a face: at distance 1."""
    z, y, x = corner
    for a in range(z, min(z + BRICK, inside.shape[0])):
        for b in range(y, min(y + BRICK, inside.shape[1])):
            for c in range(x, min(x + BRICK, inside.shape[2])):
                if squared[a, b, c] == 1 and inside[a, b, c]:
                    count = _crossings(squared, values, level, (a, b, c), points, count)
    return count


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _bricks(
    squared: Distances,
    inside: Mask,
    values: Distances,
    level: tuple[float, float],
    start: NDArray[np.int64],
    points: NDArray[np.float32],
) -> None:
    """Write the points of all bricks from `start` on; without room for points, how many brick k has to start[k + 1]."""
    planes, rows, cols = [(n + BRICK - 1) // BRICK for n in inside.shape]
    for row in prange(planes * rows):
        for k in range(cols):
            n = row * cols + k
            corner = (row // rows * BRICK, row % rows * BRICK, k * BRICK)
            if not points.shape[1]:
                start[n + 1] = _brick(squared, inside, values, level, corner, points, 0)
            elif start[n + 1] > start[n]:
                _brick(squared, inside, values, level, corner, points, start[n])


@dataclass(frozen=True, eq=False)
class _Level:
    """A surface: where values equal a threshold.

    Parameters
    ----------
    values : (z, y, x) float32
    threshold : float
    slack : float
        How far beyond the two voxels that it parts the surface may lie [voxel].
    """

    values: Distances
    threshold: float
    slack: float = 0.0


def _surface(squared: Distances, inside: Mask, level: _Level) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Where the surface crosses the grid edges, brick by brick; `squared` is the squared distance.

    Returns
    -------
    points : (3, n) float32
        Along z, y, x [voxel].
    start : (bricks + 1,) int64
        The points of brick k are those from start[k] to start[k + 1]; bricks run along x, then y, then z.
    """
    start = np.zeros(int(np.prod([-(-n // BRICK) for n in inside.shape])) + 1, np.int64)
    place = (float(level.threshold), level.slack)
    _bricks(squared, inside, level.values, place, start, np.empty((3, 0), np.float32))
    start = np.cumsum(start)
    points = np.empty((3, int(start[-1])), np.float32)
    _bricks(squared, inside, level.values, place, start, points)
    return points, start


# How far a ball's centre may move from its voxel: half the diagonal of a voxel, rounded up [voxel].
MOVE = 0.9

MOST_POINTS = 16384

# Steps of the search for a ball's centre: ever shorter [voxel].
_STEPS = (0.35 * 0.75 ** np.arange(14)).astype(np.float64)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _gather(
    points: NDArray[np.float32],
    start: NDArray[np.int64],
    shape: tuple[int, int, int],
    centre: NDArray[np.int32],
    reach: float,
    near: NDArray[np.float32],
) -> int:
    """Copy the points within `reach` of a centre, as seen from it; how many, up to `MOST_POINTS`."""
    z, y, x = centre[0], centre[1], centre[2]
    planes, rows, cols = [(n + BRICK - 1) // BRICK for n in shape]
    span, count, limit = int(reach) + 1, 0, np.float32(reach * reach)
    first, last = max(0, (x - span) // BRICK), min(cols - 1, (x + span) // BRICK)
    for i in range(max(0, (z - span) // BRICK), min(planes - 1, (z + span) // BRICK) + 1):
        for j in range(max(0, (y - span) // BRICK), min(rows - 1, (y + span) // BRICK) + 1):
            # A row of bricks is one run of points.
            begin, end = start[(i * rows + j) * cols + first], start[(i * rows + j) * cols + last + 1]
            if count + end - begin > MOST_POINTS:
                return MOST_POINTS
            for p in range(begin, end):
                u, v, w = points[0, p] - np.float32(z), points[1, p] - np.float32(y), points[2, p] - np.float32(x)
                near[0, count], near[1, count], near[2, count] = u, v, w
                count += u * u + v * v + w * w <= limit
    return count


# The least of numbers that are never NaN is the same in any order, which allows vector instructions.
@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})  # type: ignore[untyped-decorator]
def _least_square(
    points: NDArray[np.float32], count: int, z: float, y: float, x: float, squares: NDArray[np.float32]
) -> float:
    """Squared distance from a place to the nearest of the first `count` points; `squares` takes that of each."""
    a, b, c = np.float32(z), np.float32(y), np.float32(x)
    least = np.float32(1e30)
    for k in range(count):
        u, v, w = points[0, k] - a, points[1, k] - b, points[2, k] - c
        squares[k] = u * u + v * v + w * w
        least = min(least, squares[k])
    return float(least)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _keep_near(points: NDArray[np.float32], squares: NDArray[np.float32], count: int, reach: float) -> int:
    """Move the points within `reach` to the front, in order, and their squares with them; how many they are."""
    kept, limit = 0, np.float32(reach * reach)
    for k in range(count):
        points[0, kept], points[1, kept], points[2, kept] = points[0, k], points[1, k], points[2, k]
        squares[kept] = squares[k]
        kept += squares[k] <= limit
    return kept


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _grow(
    near: NDArray[np.float32],
    count: int,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    steps: NDArray[np.float64],
    squares: NDArray[np.float32],
    ball: NDArray[np.float32],
) -> None:
    """Find the largest ball around a place near the origin that holds none of `count` points; writes z, y, x, radius.

    The ball grows by moving away from the nearest point, by up to `MOVE` and never out of the box between `low` and
    `high`; at a maximum of the distance the steps go back and forth, and shrink.
    """
    z, y, x, best = 0.0, 0.0, 0.0, -1.0
    left = steps.sum()
    for n in range(len(steps)):
        least = _least_square(near, count, z, y, x, squares)
        nearest = np.sqrt(least)
        if n % 4 == 0:
            # What is farther than the nearest point by twice the way that is left can never become the nearest.
            way = min(left, MOVE) if n == 0 else left
            count = _keep_near(near, squares, count, nearest + 2 * way + 1e-3)
        which = 0
        while squares[which] > least:
            which += 1
        if nearest > best:
            best = nearest
            ball[0], ball[1], ball[2], ball[3] = z, y, x, nearest
        move = steps[n] / max(nearest, 1e-6)
        left -= steps[n]
        z += move * (z - near[0, which])
        y += move * (y - near[1, which])
        x += move * (x - near[2, which])
        short = min(1.0, MOVE / max(np.sqrt(z * z + y * y + x * x), 1e-6))
        z = min(max(z * short, low[0]), high[0])
        y = min(max(y * short, low[1]), high[1])
        x = min(max(x * short, low[2]), high[2])


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _inscribe(
    points: NDArray[np.float32],
    start: NDArray[np.int64],
    shape: tuple[int, int, int],
    centres: NDArray[np.int32],
    squared: Distances,
    steps: NDArray[np.float64],
    parts: int,
) -> NDArray[np.float32]:
    """For each voxel centre the largest ball near it that the surface bounds; (n, 4): z, y, x, radius."""
    balls = np.empty((len(centres), 4), np.float32)
    top = np.array(shape) - 1.0
    for part in prange(parts):
        near = np.empty((3, MOST_POINTS + 1), np.float32)  # (one more: what is not kept is written too)
        squares = np.empty(MOST_POINTS + 1, np.float32)
        for i in range(len(centres) * part // parts, len(centres) * (part + 1) // parts):
            radius = np.sqrt(np.float64(squared[i]))
            # The nearest point lies within `radius`; a ball that moves can touch only those up to 2 MOVE farther.
            count = _gather(points, start, shape, centres[i], radius + 2 * MOVE, near)
            if count == 0 or count == MOST_POINTS:  # nothing to hold on to, or too much: the ball of the grid
                balls[i, :3] = 0
                balls[i, 3] = radius - 0.5
            else:
                _grow(near, count, -centres[i].astype(np.float64), top - centres[i], steps, squares, balls[i])
            for axis in range(3):
                balls[i, axis] += centres[i, axis]
    return balls


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _paint_balls(
    balls: NDArray[np.float32], tolerance: float, ahead: NDArray[np.uint16], out: Distances, bands: int
) -> None:
    """As `_paint`, for balls of any centre; writes the radius."""
    planes, rows, cols = out.shape
    for band in prange(bands):
        bottom, top = planes * band // bands, planes * (band + 1) // bands
        for i in range(len(balls)):
            z, y, x = np.float64(balls[i, 0]), np.float64(balls[i, 1]), np.float64(balls[i, 2])
            radius = np.float64(balls[i, 3]) + tolerance
            for a in range(max(bottom, int(np.ceil(z - radius))), min(top, int(np.floor(z + radius)) + 1)):
                left = radius * radius - (a - z) * (a - z)
                if left <= 0:
                    continue
                wide = np.sqrt(left)
                for b in range(max(0, int(np.ceil(y - wide))), min(rows, int(np.floor(y + wide)) + 1)):
                    rest = left - (b - y) * (b - y)
                    if rest <= 0:
                        continue
                    half = np.sqrt(rest)
                    last = min(cols - 1, int(np.floor(x + half)))
                    _paint_row(out[a, b], ahead[a, b], max(0, int(np.ceil(x - half))), last, balls[i, 3])


def _checked_distance(inside: Mask, unknown: Mask | None) -> Distances:
    if max(inside.shape) >= np.iinfo(np.uint16).max:
        raise DataError(f"local thickness of an array of shape {inside.shape}; sides up to 65534 are possible")
    squared = squared_distance(inside if unknown is None else inside | unknown)
    if float(squared.max()) >= FAR:
        raise DataError("local thickness has no value: the structure fills the whole volume")
    return squared


def squared_radius(
    inside: Mask,
    *,
    region: Mask | None = None,
    unknown: Mask | None = None,
    tolerance: float = 0.0,
    threads: int = 2,
    finer: int = 1,
) -> Distances:
    """Squared radius of the largest ball at each voxel, from voxel centre to nearest background voxel centre.

    Parameters
    ----------
    inside : (z, y, x) bool
        The structure, on cubic voxels. What lies beyond the array neither bounds the balls nor holds centres.
    region : (z, y, x) bool, optional
        Where voxels have a radius; balls reach beyond, and into it from there, up to the largest that is centred in
        it. None is everywhere.
    unknown : (z, y, x) bool, optional
        Voxels that are as if they lay beyond the array.
    tolerance : float
        Voxels that are this much outside a ball still belong to it [voxel]: gives the staircase of the surface the
        thickness of the structure behind it. 0 is the definition to the letter.
    threads : int
    finer : int
        Balls are centred on the middle voxel of each block of so many voxels a side, and only there is their radius
        told; its length is that of the full grid.

    Returns
    -------
    (z // finer, y // finer, x // finer) float32
        [voxel² of that grid], 0 outside the structure.

    Raises
    ------
    DataError
        When there is nothing outside: no ball has an end.
    """
    squared = _checked_distance(inside, unknown)
    inside = _centred(squared, inside, region)
    if finer > 1:
        middles = tuple(slice(finer // 2, n // finer * finer, finer) for n in inside.shape)
        squared, inside = squared[middles] / np.float32(finer**2), np.ascontiguousarray(inside[middles])
    centres, radii = _ridge_balls(squared, tolerance)
    ahead = _next_inside(inside)
    squared.fill(0)
    _paint(centres, radii, tolerance, ahead, squared, 2 * threads)
    return squared


def _centred(squared: Distances, inside: Mask, region: Mask | None) -> Mask:
    """The structure inside the region; squared radii of what holds no centre of a ball are set to 0.

    Balls beyond the region that reach into it count, up to the largest of those that are centred in it: the air
    around a specimen is no pore.
    """
    squared *= inside
    if region is None:
        return inside
    target = inside & region
    largest = np.max(squared, initial=0, where=target)
    squared[~region & (squared > largest)] = 0
    reach = int(np.sqrt(largest)) + 1
    for axis, length in enumerate(squared.shape):
        within = np.flatnonzero(region.any(axis=tuple({0, 1, 2} - {axis})))
        lines = np.moveaxis(squared, axis, 0)
        lines[: max(0, within[0] - reach)] = 0
        lines[min(length, within[-1] + reach + 1) :] = 0
    return target


def _ridge_balls(squared: Distances, tolerance: float) -> tuple[NDArray[np.int32], Distances]:
    """Centres (n, 3) and squared radii (n,) of the balls that lie in no neighbour's, from the largest on."""
    largest = int(np.ceil(squared.max()))
    keep = _ridge(squared, _reach(largest, tolerance), tolerance)
    radii = squared[keep]
    # Most are whole numbers, and those of 16 bits are sorted in one pass.
    whole = largest < 1 << 16 and np.array_equal(radii, np.rint(radii))
    order = np.argsort((largest - radii).astype(np.uint16) if whole else -radii, kind="stable")
    return np.argwhere(keep).astype(np.int32)[order], radii[order]


def radius(
    inside: Mask,
    values: Distances,
    threshold: float,
    *,
    region: Mask | None = None,
    unknown: Mask | None = None,
    tolerance: float = 0.5,
    threads: int = 2,
) -> Distances:
    """Radius of the largest ball at each voxel, from its centre between the voxels to the surface between them.

    Balls start at the voxels that `squared_radius` would use; each is then moved by up to a voxel and grown until
    it touches the surface on opposite sides, the surface being where the grey values cross the threshold. So
    neither the centre nor the end of a radius is tied to the grid.

    Parameters
    ----------
    inside, region, unknown
        As `squared_radius`.
    values : (z, y, x) float32
        Grey values; `inside` lies on one side of `threshold`.
    threshold : float
    tolerance : float
        Voxels whose centre is this much outside a ball still belong to it [voxel].
    threads : int

    Returns
    -------
    (z, y, x) float32
        [voxel], 0 outside the structure.

    Raises
    ------
    DataError
        When there is nothing outside: no ball has an end.
    """
    levels: Levels = ((inf, lambda: _Level(values, threshold)),)
    return _between_voxels(inside, levels, region, unknown, tolerance, threads)


# A mask is smoothed the more, the thicker the structure: up to so large a squared radius of the ball on the grid by a
# Gaussian of this standard deviation [voxel]. Terraces of the surface grow with its radius of curvature.
SCALES = ((4.5, 1.1), (9.0, 1.5), (inf, 2.0))

# The largest of many balls profits from what is left of the terraces, by this much [voxel]: the mean over plates and
# rods of 3 to 12 voxels.
PROFIT = 0.052

# How far a smoothed surface may lie beyond the two voxels that it parts [voxel].
SLACK = 0.75


def mask_radius(
    inside: Mask,
    *,
    region: Mask | None = None,
    unknown: Mask | None = None,
    tolerance: float = 0.5,
    threads: int = 2,
) -> Distances:
    """As `radius`, of a structure of which nothing but its voxels is known.

    The faces of its voxels are no surface: a ball ends at the first of their corners, which made a rod of 4 voxels
    0.4 voxel thinner. Here the surface is where the mask, smoothed without moving curved surfaces, is one half.

    Parameters
    ----------
    inside, region, unknown, tolerance, threads
        As `radius`.

    Returns
    -------
    (z, y, x) float32
        [voxel], 0 outside the structure.

    Raises
    ------
    DataError
        When there is nothing outside: no ball has an end.
    """
    levels: Levels = tuple((limit, partial(_smoothed, inside, unknown, sigma)) for limit, sigma in SCALES)
    radii = _between_voxels(inside, levels, region, unknown, tolerance, threads)
    np.maximum(radii - np.float32(PROFIT), 0, out=radii)
    return radii


# Up to which squared radius on the grid, the surface that bounds a ball.
Levels = Sequence[tuple[float, Callable[[], _Level]]]


def _smoothed(inside: Mask, unknown: Mask | None, sigma: float) -> _Level:
    """The surface of a mask.

    A Gaussian G moves a surface of mean curvature H by σ² H; of G - σ² ∇²G the step across it and its curvature
    cancel there to first order, and the value at the surface is one half.
    """
    blur = partial(gaussian_filter, sigma=sigma, truncate=3.0, mode="nearest")
    if unknown is None:
        soft = blur(inside.astype(np.float32))
    else:
        soft = blur((inside & ~unknown).astype(np.float32))
        soft /= np.maximum(blur((~unknown).astype(np.float32)), np.float32(1e-3))
    values = np.empty_like(soft)
    _sharpen(soft, np.float32(sigma * sigma), values)
    return _Level(values, 0.5, SLACK)


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _sharpen(values: Distances, weight: float, out: Distances) -> None:
    """Write the values less `weight` times their Laplacian; beyond the array they are those of its faces."""
    planes, rows, cols = values.shape
    for z in prange(planes):
        below, above = values[max(z - 1, 0)], values[min(z + 1, planes - 1)]
        here = values[z]
        for y in range(rows):
            left, right = here[max(y - 1, 0)], here[min(y + 1, rows - 1)]
            for x in range(cols):
                around = here[y, max(x - 1, 0)] + here[y, min(x + 1, cols - 1)] + left[x] + right[x]
                out[z, y, x] = here[y, x] - weight * (around + below[y, x] + above[y, x] - 6 * here[y, x])


def _between_voxels(
    inside: Mask, levels: Levels, region: Mask | None, unknown: Mask | None, tolerance: float, threads: int
) -> Distances:
    """`radius`, of balls that each end at the surface of their size."""
    squared = _checked_distance(inside, unknown)
    target = _centred(squared, inside, region)
    centres, radii = _ridge_balls(squared, tolerance)
    # Only balls that are the largest somewhere matter: a small share of all.
    owns = _paint(centres, radii, tolerance, _next_inside(target), squared, 2 * threads)
    centres, radii = centres[owns], radii[owns]
    del squared, owns
    squared = _checked_distance(inside, unknown)  # again: quicker than memory for a copy
    balls, least = [np.empty((0, 4), np.float32)], 0.0
    for limit, level in levels:
        these = (radii >= least) & (radii < limit)
        least = limit
        if these.any():
            points, start = _surface(squared, inside, level())
            balls.append(_inscribe(points, start, inside.shape, centres[these], radii[these], _STEPS, 32 * threads))
            del points, start
    found = np.concatenate(balls)
    found = found[np.argsort(-found[:, 3], kind="stable")]
    ahead = _next_inside(target)
    squared.fill(0)
    _paint_balls(found, tolerance, ahead, squared, 2 * threads)
    _fill(target, squared)
    return squared


def _fill(inside: NDArray[np.bool_], radii: Distances) -> None:
    """Give the few voxels that no ball reached the largest radius among their neighbours, in place."""
    while len(missed := np.argwhere(inside & (radii == 0))):
        found = np.zeros(len(missed), np.float32)
        for step in np.ndindex(3, 3, 3):
            near = np.clip(missed + np.array(step) - 1, 0, np.array(radii.shape) - 1)
            np.maximum(found, radii[tuple(near.T)], out=found)
        if not found.any():
            found[:] = 0.5  # a speck without a ball: half a voxel
        radii[tuple(missed.T)] = found
