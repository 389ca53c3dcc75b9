"""Exact local thickness (Hildebrand & Rüegsegger, J. Microsc. 185:67, 1997).

The local thickness at a voxel is the diameter of the largest ball that lies inside the structure and contains the
voxel. Balls are centred on voxels; those that lie inside a neighbour's ball are dropped first (Remy & Thiel,
Pattern Recognit. Lett. 23:649, 2002), the rest are painted from the largest to the smallest, so that each voxel is
written once.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from bonectl.core.distance import FAR, Distances, squared_distance
from bonectl.errors import DataError

Table = NDArray[np.int64]


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


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _ridge(squared: Distances, reach: Table, tolerance: float) -> NDArray[np.bool_]:
    """Centres whose ball does not lie inside the ball of one of the 26 neighbours."""
    planes, rows, cols = squared.shape
    keep = np.zeros(squared.shape, np.bool_)
    for z in prange(planes):
        for y in range(rows):
            for x in range(cols):
                d = squared[z, y, x]
                if d == 0:
                    continue
                inside = False
                for dz in range(-1, 2):
                    for dy in range(-1, 2):
                        for dx in range(-1, 2):
                            kind = abs(dz) + abs(dy) + abs(dx)
                            a, b, c = z + dz, y + dy, x + dx
                            if kind == 0 or a < 0 or b < 0 or c < 0 or a >= planes or b >= rows or c >= cols:
                                continue
                            other = squared[a, b, c]
                            if (
                                other > d
                                and (np.sqrt(np.float64(other)) + tolerance) ** 2 > 1e-6 + reach[kind - 1, int(d)]
                            ):
                                inside = True
                                break
                        if inside:
                            break
                    if inside:
                        break
                keep[z, y, x] = not inside
    return keep


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _paint(
    centres: NDArray[np.int32],
    squared: Distances,
    tolerance: float,
    ahead: NDArray[np.uint16],
    out: Distances,
    bands: int,
) -> None:
    """Write each ball's squared radius to the voxels inside it that are still empty.

    `centres` is sorted by falling radius. `ahead[z, y, x]` leads to the next empty voxel of the row at or after x.
    Each band of planes belongs to one thread.
    """
    planes, rows, cols = out.shape
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
                    row = ahead[a, b]
                    c = max(0, x - half)
                    while True:
                        while row[c] != c:
                            row[c] = row[row[c]]
                            c = np.int64(row[c])
                        if c > last:
                            break
                        out[a, b, c] = d
                        row[c] = c + 1
                        c += 1


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


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _surface_points(
    inside: NDArray[np.bool_],
    values: Distances,
    threshold: float,
    centre: NDArray[np.int32],
    radius: float,
    reach: float,
    points: NDArray[np.float32],
) -> int:
    """Where the surface crosses grid edges, between `radius` and `reach` of a centre; how many were found.

    An edge from a background voxel to a neighbour inside is crossed where the grey value, linear between the two,
    equals the threshold; in the middle where the values do not part there (the border of the volume of interest).
    """
    planes, rows, cols = inside.shape
    z, y, x = centre[0], centre[1], centre[2]
    span, count = int(reach), 0
    inner = radius * radius - 1e-3
    for a in range(max(0, z - span), min(planes, z + span + 1)):
        left = reach * reach - (a - z) * (a - z)
        wide = int(np.sqrt(left))
        for b in range(max(0, y - wide), min(rows, y + wide + 1)):
            here = (a - z) * (a - z) + (b - y) * (b - y)
            half = int(np.sqrt(max(0.0, left - (b - y) * (b - y))))
            c = max(0, x - half) - 1
            last = min(cols - 1, x + half)
            hole = int(np.sqrt(inner - here)) if here < inner else -1
            while c < last:
                c += 1
                if abs(c - x) <= hole:
                    c = min(last, x + hole) if x + hole < last else last
                    if abs(c - x) <= hole:
                        continue
                if inside[a, b, c]:
                    continue
                value = values[a, b, c]
                for k in range(6):
                    e = a + (1 if k == 0 else -1 if k == 1 else 0)
                    f = b + (1 if k == 2 else -1 if k == 3 else 0)
                    g = c + (1 if k == 4 else -1 if k == 5 else 0)
                    if e < 0 or f < 0 or g < 0 or e >= planes or f >= rows or g >= cols or not inside[e, f, g]:
                        continue
                    rise = values[e, f, g] - value
                    share = (threshold - value) / rise if rise != 0 else 0.5
                    if share < 0 or share > 1:
                        share = 0.5
                    points[count, 0] = a + share * (e - a)
                    points[count, 1] = b + share * (f - b)
                    points[count, 2] = c + share * (g - c)
                    count += 1
                    if count == len(points):
                        return count
    return count


# How far a ball's centre may move from its voxel: half the diagonal of a voxel, rounded up [voxel]. A ball that has
# moved so far can touch only surface within radius + 2 MOVE of the voxel, and one more for the edge it crosses.
MOVE = 0.9

MOST_POINTS = 8192

# Steps of the search for a ball's centre: ever shorter [voxel].
_STEPS = (0.35 * 0.75 ** np.arange(14)).astype(np.float64)


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _inscribe(
    inside: NDArray[np.bool_],
    values: Distances,
    threshold: float,
    centres: NDArray[np.int32],
    squared: Distances,
    steps: NDArray[np.float64],
) -> NDArray[np.float32]:
    """For each voxel centre the largest ball near it that the surface bounds; (n, 4): z, y, x, radius.

    The ball grows by moving away from the nearest surface point, up to one voxel; at a maximum of the distance to
    the surface the steps go back and forth, and shrink.
    """
    balls = np.empty((len(centres), 4), np.float32)
    for i in prange(len(centres)):
        points = np.empty((MOST_POINTS, 3), np.float32)
        radius = np.sqrt(np.float64(squared[i]))
        count = _surface_points(inside, values, threshold, centres[i], radius, radius + 2 * MOVE + 1, points)
        z, y, x = np.float64(centres[i, 0]), np.float64(centres[i, 1]), np.float64(centres[i, 2])
        best = -1.0
        if count == 0 or count == len(points):  # nothing to hold on to, or too much: the ball of the grid
            balls[i, 0], balls[i, 1], balls[i, 2], balls[i, 3] = z, y, x, radius - 0.5
            continue
        for step in steps:
            nearest, which = 1e30, 0
            for k in range(count):
                d = (points[k, 0] - z) ** 2 + (points[k, 1] - y) ** 2 + (points[k, 2] - x) ** 2
                if d < nearest:
                    nearest, which = d, k
            nearest = np.sqrt(nearest)
            if nearest > best:
                best = nearest
                balls[i, 0], balls[i, 1], balls[i, 2], balls[i, 3] = z, y, x, nearest
            move = step / max(nearest, 1e-6)
            z += move * (z - points[which, 0])
            y += move * (y - points[which, 1])
            x += move * (x - points[which, 2])
            dz, dy, dx = z - centres[i, 0], y - centres[i, 1], x - centres[i, 2]
            gone = np.sqrt(dz * dz + dy * dy + dx * dx)
            if gone > MOVE:
                z, y, x = (
                    centres[i, 0] + dz * MOVE / gone,
                    centres[i, 1] + dy * MOVE / gone,
                    centres[i, 2] + dx * MOVE / gone,
                )
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
                    row = ahead[a, b]
                    c = max(0, int(np.ceil(x - half)))
                    while c <= last:
                        while row[c] != c:
                            row[c] = row[row[c]]
                            c = np.int64(row[c])
                        if c > last:
                            break
                        out[a, b, c] = balls[i, 3]
                        row[c] = c + 1
                        c += 1


def _checked_distance(inside: NDArray[np.bool_]) -> Distances:
    if max(inside.shape) >= np.iinfo(np.uint16).max:
        raise DataError(f"local thickness of an array of shape {inside.shape}; sides up to 65534 are possible")
    squared = squared_distance(inside)
    if float(squared.max()) >= FAR:
        raise DataError("local thickness has no value: the structure fills the whole volume")
    return squared


def squared_radius(inside: NDArray[np.bool_], *, tolerance: float = 0.0, threads: int = 2) -> Distances:
    """Squared radius of the largest ball at each voxel, from voxel centre to nearest background voxel centre.

    Parameters
    ----------
    inside : (z, y, x) bool
        The structure, on cubic voxels. What lies beyond the array neither bounds the balls nor holds centres.
    tolerance : float
        Voxels that are this much outside a ball still belong to it [voxel]: gives the staircase of the surface the
        thickness of the structure behind it. 0 is the definition to the letter.
    threads : int

    Returns
    -------
    (z, y, x) float32
        [voxel²], 0 outside the structure.

    Raises
    ------
    DataError
        When there is nothing outside: no ball has an end.
    """
    squared = _checked_distance(inside)
    keep = _ridge(squared, _reach(int(squared.max()), tolerance), tolerance)
    centres = np.argwhere(keep).astype(np.int32)
    radii = squared[keep]
    del keep
    order = np.argsort(-radii, kind="stable")
    ahead = _next_inside(inside)
    squared.fill(0)
    _paint(centres[order], radii[order], tolerance, ahead, squared, 2 * threads)
    return squared


def radius(
    inside: NDArray[np.bool_], values: Distances, threshold: float, *, tolerance: float = 0.5, threads: int = 2
) -> Distances:
    """Radius of the largest ball at each voxel, from its centre between the voxels to the surface between them.

    Balls start at the voxels that `squared_radius` would use; each is then moved by up to a voxel and grown until
    it touches the surface on opposite sides, the surface being where the grey values cross the threshold. So
    neither the centre nor the end of a radius is tied to the grid.

    Parameters
    ----------
    inside : (z, y, x) bool
        The structure, on cubic voxels.
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
    squared = _checked_distance(inside)
    keep = _ridge(squared, _reach(int(squared.max()), tolerance), tolerance)
    centres = np.argwhere(keep).astype(np.int32)
    balls = _inscribe(inside, values, float(threshold), centres, squared[keep], _STEPS)
    del keep
    balls = balls[np.argsort(-balls[:, 3], kind="stable")]
    ahead = _next_inside(inside)
    squared.fill(0)
    _paint_balls(balls, tolerance, ahead, squared, 2 * threads)
    _fill(inside, squared)
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
