"""Exact local thickness (Hildebrand & Rüegsegger, J. Microsc. 185:67, 1997).

The local thickness at a voxel is the diameter of the largest ball that lies inside the structure and contains the
voxel. Balls are centred on voxels; those that lie inside a neighbour's ball are dropped first (Remy & Thiel,
Pattern Recognit. Lett. 23:649, 2002), the rest are painted from the largest to the smallest, so that each voxel is
written once.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from bonectl.errors import DataError
from bonectl.morphology.distance import FAR, Distances, squared_distance

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
                    if (np.sqrt(np.float64(other)) + tolerance) ** 2 > 1e-6 + reach[kind - 1, int(d)]:
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


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _crossings(
    inside: NDArray[np.bool_],
    values: Distances,
    threshold: float,
    place: tuple[int, int, int],
    points: NDArray[np.float32],
    count: int,
) -> int:
    """Append where the surface crosses the grid edges from a background voxel to neighbours inside; the new count.

    An edge is crossed where the grey value, linear between the two, equals the threshold; in the middle where the
    threshold does not part them (the border of the volume of interest).
    """
    a, b, c = place
    for k in range(6):
        e = a + (1 if k == 0 else -1 if k == 1 else 0)
        f = b + (1 if k == 2 else -1 if k == 3 else 0)
        g = c + (1 if k == 4 else -1 if k == 5 else 0)
        within = 0 <= e < inside.shape[0] and 0 <= f < inside.shape[1] and 0 <= g < inside.shape[2]
        if count < len(points) and within and inside[e, f, g]:
            rise = values[e, f, g] - values[a, b, c]
            share = (threshold - values[a, b, c]) / rise if rise != 0 else 0.5
            if share < 0 or share > 1:
                share = 0.5
            points[count, 0] = a + share * (e - a)
            points[count, 1] = b + share * (f - b)
            points[count, 2] = c + share * (g - c)
            count += 1
    return count


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
    """Where the surface crosses grid edges at background voxels between `radius` and `reach` of a centre; how often."""
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
            hole = int(np.sqrt(inner - here)) if here < inner else -1
            for c in range(max(0, x - half), min(cols - 1, x + half) + 1):
                if abs(c - x) > hole and not inside[a, b, c]:
                    count = _crossings(inside, values, threshold, (a, b, c), points, count)
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

    The ball grows by moving away from the nearest surface point, by up to `MOVE` and never out of the array; at a
    maximum of the distance to the surface the steps go back and forth, and shrink.
    """
    planes, rows, cols = inside.shape
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
            short = min(1.0, MOVE / max(gone, 1e-6))
            z = min(max(centres[i, 0] + dz * short, 0.0), planes - 1.0)
            y = min(max(centres[i, 1] + dy * short, 0.0), rows - 1.0)
            x = min(max(centres[i, 2] + dx * short, 0.0), cols - 1.0)
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
    centres, radii = np.argwhere(keep).astype(np.int32), squared[keep]
    del keep
    order = np.argsort(-radii, kind="stable")
    centres, radii = centres[order], radii[order]
    # Only balls that are the largest somewhere matter: a small share of all.
    owns = _paint(centres, radii, tolerance, _next_inside(inside), squared, 2 * threads)
    balls = _inscribe(inside, values, float(threshold), centres[owns], radii[owns], _STEPS)
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
