"""Mean intercept length: how far one goes in each direction before bone ends or begins."""

from math import pi, sqrt

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Vectors = NDArray[np.float64]

# Of a turn, the part that leaves the largest gaps smallest however often it is repeated [rad].
GOLDEN = pi * (1 + 5**0.5)

# An axis whose squared rate of crossings is a smaller share of the largest is one along which nothing is crossed.
STRAIGHT = 1e-3


def directions(count: int) -> Vectors:
    """Unit vectors spread evenly over a half sphere by the golden angle, (count, 3) as z, y, x."""
    k = np.arange(count) + 0.5
    height = 1 - k / count
    ring, angle = np.sqrt(1 - height**2), GOLDEN * k
    return np.stack([height, ring * np.sin(angle), ring * np.cos(angle)], axis=1)


def _offsets(count: int) -> Vectors:
    """Points spread evenly over the unit disc, (count, 2), each near the one before: their lines share memory."""
    k = np.arange(count) + 0.5
    radius, angle = np.sqrt(k / count), GOLDEN * k
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    strip = np.floor(points[:, 0] * sqrt(count) / 2)
    return points[np.lexsort((np.where(strip % 2, -1, 1) * points[:, 1], strip))]


def balls(shape: tuple[int, ...], spacing: tuple[float, float, float]) -> NDArray[np.bool_]:
    """The largest balls that fit side by side into a stack, in a regular array; (z, y, x)."""
    sides = np.array(shape) * spacing
    radius = sides.min() / 2
    offsets = []
    for length, count, step in zip(sides, shape, spacing, strict=True):
        cell = length / int(length / (2 * radius) + 1e-9)
        offsets.append(((np.arange(count) + 0.5) * step) % cell - cell / 2)
    z, y, x = offsets
    return np.asarray(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= radius**2)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sample(field: NDArray[np.float32], z: float, y: float, x: float) -> float:
    """Trilinear interpolation; the point must lie between the outermost voxel centres."""
    a = min(int(z), field.shape[0] - 2)
    b = min(int(y), field.shape[1] - 2)
    c = min(int(x), field.shape[2] - 2)
    u, v, w = z - a, y - b, x - c
    near = (field[a, b, c] * (1 - w) + field[a, b, c + 1] * w) * (1 - v)
    near += (field[a, b + 1, c] * (1 - w) + field[a, b + 1, c + 1] * w) * v
    far = (field[a + 1, b, c] * (1 - w) + field[a + 1, b, c + 1] * w) * (1 - v)
    far += (field[a + 1, b + 1, c] * (1 - w) + field[a + 1, b + 1, c + 1] * w) * v
    return float(near * (1 - u) + far * u)


# What lies between eight voxels: nothing that counts, marrow or bone throughout, or what each point must be asked for.
_OUTSIDE, _MARROW, _BONE, _ASK = 0, 1, 2, 3
# Values this near to one half are not told from it by the eight corners alone: far more than interpolation rounds.
_SURE = 1e-6


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _between(field: NDArray[np.float32], voi: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """What lies between a voxel and the next ones, (z, y, x), at the ends as before: most points need no more."""
    depth, height, width = field.shape
    cells = np.empty(field.shape, dtype=np.uint8)
    for plane in prange(depth):
        a = min(np.int64(plane), depth - 2)
        for row in range(height):
            b = min(row, height - 2)
            for column in range(width):
                c = min(column, width - 2)
                low = high = field[a, b, c]
                inside = 0
                for i in range(2):
                    for j in range(2):
                        for k in range(2):
                            value = field[a + i, b + j, c + k]
                            low, high = min(low, value), max(high, value)
                            inside += voi[a + i, b + j, c + k]
                what = _ASK
                if inside == 0:
                    what = _OUTSIDE
                elif inside == 8 and low > 0.5 + _SURE:
                    what = _BONE
                elif inside == 8 and high < 0.5 - _SURE:
                    what = _MARROW
                cells[plane, row, column] = what
    return cells


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _walk(
    field: NDArray[np.float32],
    voi: NDArray[np.bool_],
    cells: NDArray[np.uint8],
    steps: Vectors,
    across: Vectors,
    offsets: Vectors,
    reach: NDArray[np.int64],
) -> Vectors:
    """Steps inside the volume of interest, and crossings of one half, for each direction; (n, 2).

    `reach` is how many steps a line of each offset takes to either side.
    """
    counts = np.zeros((len(steps), 2))
    top = np.array([n - 1.0 for n in field.shape])
    for i in prange(len(steps)):
        walked = crossed = 0
        for j in range(len(offsets)):
            start = top / 2 + offsets[j, 0] * across[i, 0] + offsets[j, 1] * across[i, 1]
            before = _OUTSIDE
            for k in range(-reach[j], reach[j] + 1):
                z, y, x = start[0] + k * steps[i, 0], start[1] + k * steps[i, 1], start[2] + k * steps[i, 2]
                now = _OUTSIDE
                if 0 <= z <= top[0] and 0 <= y <= top[1] and 0 <= x <= top[2]:
                    now = cells[int(z), int(y), int(x)]
                    if now == _ASK:
                        now = _OUTSIDE
                        if voi[int(z + 0.5), int(y + 0.5), int(x + 0.5)]:
                            now = _BONE if _sample(field, z, y, x) > 0.5 else _MARROW
                if now and before:
                    walked += 1
                    crossed += now != before
                before = now
        counts[i, 0], counts[i, 1] = walked, crossed
    return counts


def intercept_lengths(
    field: NDArray[np.float32],
    voi: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    towards: Vectors,
    lines: int,
) -> NDArray[np.float64]:
    """Mean intercept length in each direction: length of line per crossing of the bone surface [mm].

    Parameters
    ----------
    field : (z, y, x) float32
        Bone where above 0.5; read between the voxels by trilinear interpolation.
    voi : (z, y, x) bool
        Only what lies inside counts.
    spacing : tuple of float
        Voxel side along z, y, x [mm].
    towards : (n, 3) float64
        Unit vectors (z, y, x).
    lines : int
        Parallel lines per direction, spread evenly over the shadow of the smallest ball about the middle of the stack
        that holds what counts, and turned from direction to direction.

    Returns
    -------
    (n,) float64
        Infinite where no line crosses the surface.
    """
    sides = np.array(spacing)
    radius = _reach(voi, spacing)
    pace = 0.7 * float(sides.min())
    helper = np.where(np.abs(towards[:, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]])
    first = np.cross(towards, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(towards, first)
    angle = (GOLDEN * np.arange(len(towards)))[:, None]
    turned = (np.cos(angle) * first + np.sin(angle) * second, np.cos(angle) * second - np.sin(angle) * first)
    across = np.stack(turned, axis=1) * radius / sides
    offsets = _offsets(lines)
    # to the ball's surface, beyond which nothing counts, and a step more
    chord = np.sqrt(np.maximum(0.0, 1 - np.square(offsets).sum(axis=1))) * radius / pace
    reach = np.ceil(chord).astype(np.int64) + 1
    counts = _walk(field, voi, _between(field, voi), towards * pace / sides, across, offsets, reach)
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths: NDArray[np.float64] = counts[:, 0] * pace / counts[:, 1]
    return lengths


def _reach(voi: NDArray[np.bool_], spacing: tuple[float, float, float]) -> float:
    """Distance from the middle of a stack to the farthest voxel centre inside, and half a voxel's diagonal [mm]."""
    z, y, x = (((np.arange(n) - (n - 1) / 2) * step) ** 2 for n, step in zip(voi.shape, spacing, strict=True))
    across = y[:, None] + x
    farthest = max(height + float(across[plane].max(initial=0.0)) for height, plane in zip(z, voi, strict=True))
    return float(np.sqrt(farthest) + np.linalg.norm(spacing) / 2)


def ellipsoid(lengths: NDArray[np.float64], towards: Vectors) -> tuple[NDArray[np.float64], Vectors]:
    """Least-squares ellipsoid x'Ax = 1 through the points length · direction (Harrigan & Mann, 1984).

    Returns
    -------
    radii : (3,) float64
        Half axes from the longest to the shortest [mm]; infinite along rods and within plates, which lines along them
        never leave.
    axes : (3, 3) float64
        Their unit vectors (z, y, x) in rows.
    """
    z, y, x = (towards * lengths[:, None]).T
    design = np.stack([z * z, y * y, x * x, 2 * y * x, 2 * z * x, 2 * z * y], axis=1)
    a, b, c, d, e, f = np.linalg.lstsq(design, np.ones(len(design)), rcond=None)[0]
    values, vectors = np.linalg.eigh(np.array([[a, f, e], [f, b, d], [e, d, c]]))
    with np.errstate(divide="ignore"):
        return 1 / np.sqrt(np.where(values < STRAIGHT * values[2], 0.0, values)), vectors.T
