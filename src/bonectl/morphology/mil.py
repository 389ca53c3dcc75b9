"""Mean intercept length: how far one goes in each direction before bone ends or begins."""

from math import pi

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
    """Points spread evenly over the unit disc, (count, 2)."""
    k = np.arange(count) + 0.5
    radius, angle = np.sqrt(k / count), GOLDEN * k
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


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


@njit(cache=True, parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _walk(
    field: NDArray[np.float32],
    voi: NDArray[np.bool_],
    steps: Vectors,
    across: Vectors,
    offsets: Vectors,
    reach: int,
) -> Vectors:
    """Steps inside the volume of interest, and crossings of one half, for each direction; (n, 2)."""
    counts = np.zeros((len(steps), 2))
    top = np.array([n - 1.0 for n in field.shape])
    for i in prange(len(steps)):
        for j in range(len(offsets)):
            start = top / 2 + offsets[j, 0] * across[i, 0] + offsets[j, 1] * across[i, 1]
            before = 0  # 0 outside, 1 marrow, 2 bone
            for k in range(-reach, reach + 1):
                z, y, x = start[0] + k * steps[i, 0], start[1] + k * steps[i, 1], start[2] + k * steps[i, 2]
                now = 0
                within = 0 <= z <= top[0] and 0 <= y <= top[1] and 0 <= x <= top[2]
                if within and voi[int(z + 0.5), int(y + 0.5), int(x + 0.5)]:
                    now = 2 if _sample(field, z, y, x) > 0.5 else 1
                if now and before:
                    counts[i, 0] += 1
                    counts[i, 1] += now != before
                before = now
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
    counts = _walk(field, voi, towards * pace / sides, across, _offsets(lines), int(np.ceil(radius / pace)))
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
