"""Large ellipsoids inside a structure (Doube, Front. Endocrinol. 6:15, 2015)."""

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Field = NDArray[np.float32]
Reals = NDArray[np.float64]

# The axes found first are shortened by this share before the next is, so that points which graze do not end it.
SLACK = 0.03

# Surface points farther from the centre than this many radii of the ball there are thinned to one in `THIN`.
NEAR, THIN = 2.5, 4

# Surface points that are kept for one ellipsoid.
MOST_POINTS = 20_000

# Tries to turn and move an ellipsoid so that it grows.
TRIES = 240

# Size of the first, and of the smallest [radian; a shift is half as much, in radii of the ball].
FIRST, LAST = 0.35, 0.005

# A step that succeeds makes the next larger, one that fails smaller: steady at one success in five (Rechenberg 1973).
UP, DOWN = 1.5, 1.5**-0.25


@dataclass(frozen=True, eq=False)
class Ellipsoids:
    """Ellipsoids inside a structure.

    Parameters
    ----------
    centres : (n, 3) float64
        Along z, y, x [voxel].
    axes : (n, 3, 3) float64
        Unit vectors in rows, from the shortest semi-axis to the longest.
    lengths : (n, 3) float64
        Semi-axes a ≤ b ≤ c [voxel].
    """

    centres: Reals
    axes: Reals
    lengths: Reals

    @property
    def factor(self) -> Reals:
        """Ellipsoid factor a/b - b/c, (n,): -1 of thin discs, 0 of balls, 1 of thin needles."""
        a, b, c = self.lengths.T
        factor: Reals = a / b - b / c
        return factor


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _climb(squared: Field, start: NDArray[np.int64]) -> tuple[int, int, int]:
    """The local maximum of the distance map that the steepest way from a voxel leads to."""
    z, y, x = start[0], start[1], start[2]
    while True:
        best, there = np.float64(squared[z, y, x]), (z, y, x)
        top = np.sqrt(best)
        steepest = 0.0
        for a in range(max(0, z - 1), min(squared.shape[0], z + 2)):
            for b in range(max(0, y - 1), min(squared.shape[1], y + 2)):
                for c in range(max(0, x - 1), min(squared.shape[2], x + 2)):
                    if squared[a, b, c] > best:
                        far = np.sqrt(np.float64((a - z) ** 2 + (b - y) ** 2 + (c - x) ** 2))
                        rise = (np.sqrt(np.float64(squared[a, b, c])) - top) / far
                        if rise > steepest:
                            steepest, there = rise, (a, b, c)
        if steepest == 0.0:
            return z, y, x
        z, y, x = there


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _surface(field: Field, centre: Reals, near: float, far: float, points: Reals) -> int:
    """Where the level 1/2 crosses grid edges within `far` of a centre, relative to it; how often."""
    planes, rows, cols = field.shape
    z, y, x = centre[0], centre[1], centre[2]
    count = 0
    for a in range(max(0, int(z - far)), min(planes, int(z + far) + 2)):
        for b in range(max(0, int(y - far)), min(rows, int(y + far) + 2)):
            for c in range(max(0, int(x - far)), min(cols, int(x + far) + 2)):
                here = field[a, b, c] - np.float32(0.5)
                for axis in range(3):
                    e, f, g = a + (axis == 0), b + (axis == 1), c + (axis == 2)
                    if e == planes or f == rows or g == cols:
                        continue
                    there = field[e, f, g] - np.float32(0.5)
                    if (here > 0) == (there > 0):
                        continue
                    share = here / (here - there)
                    dz, dy, dx = a - z, b - y, c - x
                    if axis == 0:
                        dz += share
                    elif axis == 1:
                        dy += share
                    else:
                        dx += share
                    distance = np.sqrt(dz * dz + dy * dy + dx * dx)
                    thinned = distance > near and (a * 7 + b * 3 + c) % THIN
                    if distance < far and not thinned and count < len(points):
                        points[count, 0], points[count, 1], points[count, 2] = dz, dy, dx
                        count += 1
    return count


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _grow(points: Reals, count: int, centre: Reals, axes: Reals, far: float, lengths: Reals) -> float:
    """Semi-axes of an ellipsoid about `centre` that holds no point: first a ball, then a disc, then its longest axis.

    Returns their product.
    """
    nearest = far * far
    for i in range(count):
        d = (points[i, 0] - centre[0]) ** 2 + (points[i, 1] - centre[1]) ** 2 + (points[i, 2] - centre[2]) ** 2
        nearest = min(nearest, d)
    short = np.sqrt(nearest) * (1 - SLACK)
    disc, long = far * far, far * far
    for stage in range(2):
        middle = np.sqrt(disc) * (1 - SLACK)
        for i in range(count):
            p, q, r = points[i, 0] - centre[0], points[i, 1] - centre[1], points[i, 2] - centre[2]
            u = (axes[0, 0] * p + axes[0, 1] * q + axes[0, 2] * r) / short
            left = 1 - u * u
            if left <= 0:
                continue
            if stage == 0:
                disc = min(disc, max(0.0, p * p + q * q + r * r - u * u * short * short) / left)
                continue
            v = (axes[1, 0] * p + axes[1, 1] * q + axes[1, 2] * r) / middle
            left -= v * v
            if left > 0:
                w = axes[2, 0] * p + axes[2, 1] * q + axes[2, 2] * r
                long = min(long, w * w / left)
    lengths[0] = short
    lengths[1] = np.sqrt(disc) * (1 - SLACK)
    lengths[2] = np.sqrt(long)
    return float(lengths[0] * lengths[1] * lengths[2])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _first_axes(points: Reals, count: int, near: float) -> Reals:
    """Main axes of the directions to the points within `near`: most of them along the first, fewest along the last."""
    spread = np.zeros((3, 3))
    for i in range(count):
        d = points[i, 0] ** 2 + points[i, 1] ** 2 + points[i, 2] ** 2
        if d < near * near:
            for j in range(3):
                for k in range(3):
                    spread[j, k] += points[i, j] * points[i, k] / d
    _, vectors = np.linalg.eigh(spread)
    return np.ascontiguousarray(vectors.T[::-1])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _turned(axes: Reals, turn: Reals) -> Reals:
    """Axes after small rotations about each of them, orthonormal again."""
    new = np.empty((3, 3))
    new[0] = axes[0] + turn[2] * axes[1] - turn[1] * axes[2]
    new[1] = axes[1] + turn[0] * axes[2] - turn[2] * axes[0]
    new[0] /= np.sqrt((new[0] ** 2).sum())
    new[1] -= (new[1] * new[0]).sum() * new[0]
    new[1] /= np.sqrt((new[1] ** 2).sum())
    new[2, 0] = new[0, 1] * new[1, 2] - new[0, 2] * new[1, 1]
    new[2, 1] = new[0, 2] * new[1, 0] - new[0, 0] * new[1, 2]
    new[2, 2] = new[0, 0] * new[1, 1] - new[0, 1] * new[1, 0]
    return new


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _fit(field: Field, squared: Field, seeds: NDArray[np.int64], reach: float, moves: Reals) -> Reals:
    """One ellipsoid for each seed, (n, 5, 3): centre, three axes, semi-axes; 0 where none fits."""
    ellipsoids = np.zeros((len(seeds), 5, 3))
    for i in prange(len(seeds)):
        z, y, x = _climb(squared, seeds[i])
        centre = np.array([np.float64(z), np.float64(y), np.float64(x)])
        radius = np.sqrt(np.float64(squared[z, y, x]))
        far = reach * radius
        points = np.empty((MOST_POINTS, 3))
        count = _surface(field, centre, NEAR * radius, far + 1, points)
        if field[z, y, x] <= 0.5 or count < 4:
            continue
        shift, best_axes = np.zeros(3), _first_axes(points, count, 1.5 * radius)
        trial, found = np.empty(3), np.empty(3)
        best = _grow(points, count, shift, best_axes, far, found)
        size = FIRST
        for move in moves[i]:
            moved = shift + move[:3] * (size / 2 * radius)
            if (moved**2).sum() > radius * radius:
                continue
            turned = _turned(best_axes, move[3:] * size)
            volume = _grow(points, count, moved, turned, far, trial)
            if volume > best:
                best, shift, best_axes = volume, moved, turned
                found[:] = trial
                size = min(size * UP, FIRST)
            else:
                size = max(size * DOWN, LAST)
        order = np.argsort(found)
        ellipsoids[i, 0] = centre + shift
        ellipsoids[i, 1:4] = best_axes[order]
        ellipsoids[i, 4] = found[order]
    return ellipsoids


def fit(field: Field, squared: Field, seeds: NDArray[np.int64], *, reach: float, moves: Reals) -> Ellipsoids:
    """For each seed a large ellipsoid about the middle of the structure there.

    From the seed the distance map leads to the middle. There an ellipsoid grows from the inscribed ball, across and
    then along the structure, and is turned and moved as long as that makes it larger.

    Parameters
    ----------
    field : (z, y, x) float32
        The structure lies above 1/2; its surface is found between the voxels. Beyond the array there is no surface.
    squared : (z, y, x) float32
        Squared distance to the nearest voxel outside [voxel²].
    seeds : (n, 3) int64
        Voxels of the structure.
    reach : float
        Longest semi-axis in radii of the ball in the middle.
    moves : (n, k, 6) float64
        Tries for each seed: shifts along z, y, x, and turns about the axes, of size 1.

    Returns
    -------
    Ellipsoids
        Of the seeds for which there is one.
    """
    found = _fit(field, squared, seeds, float(reach), moves)
    found = found[found[:, 4, 0] > 0]
    return Ellipsoids(found[:, 0], found[:, 1:4], found[:, 4])


def tries(draws: np.random.Generator, number: int) -> Reals:
    """Shifts and turns for `fit`, (number, k, 6): a third only shifts, a third only turns."""
    moves = draws.normal(size=(number, TRIES, 6))
    moves[:, 0::3, :3] = 0
    moves[:, 1::3, 3:] = 0
    return moves


def largest_around(ellipsoids: Ellipsoids, points: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each point the number of the largest ellipsoid that contains it; -1 of none.

    Parameters
    ----------
    ellipsoids : Ellipsoids
    points : (m, 3) int64
        Voxels, whose centres must be inside.
    """
    found = np.full(len(points), -1)
    for number in np.argsort(-ellipsoids.lengths.prod(1), kind="stable"):
        left = np.flatnonzero(found < 0)
        along = (points[left] - ellipsoids.centres[number]) @ ellipsoids.axes[number].T / ellipsoids.lengths[number]
        found[left[np.square(along).sum(1) <= 1]] = number
    return found
