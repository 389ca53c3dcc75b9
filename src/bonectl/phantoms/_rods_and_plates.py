"""Compiled steps of the trabecular phantom: the level of the bone's surface, and the share of voxels inside it.

Nothing here depends on how the volume is cut: places are worked out from voxel numbers, chance from hashes.
"""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from bonectl.phantoms._hashes import SQRT3, join, mix, unit

Floats = NDArray[np.float64]
Field = NDArray[np.float32]

# Voxels are worked in cubes of this side: the seeds that can matter are chosen once per cube.
CUBE = 8
# Seeds in the 5 × 5 × 5 cells around a cube.
MOST_SEEDS = 250
# Each rod and plate is this much thicker or thinner than the mean, at most.
OWN_THICKNESS = 0.25
# How much the surface's level may change per mm more than a distance would (bending, varying thickness).
STEEPNESS = 1.3


class Rules(NamedTuple):
    """What decides where bone is; see `bonectl.phantoms._voronoi.Architecture`.

    Parameters
    ----------
    scale : (3,) array
        Of (z, y, x) from the volume's to the stretched frame in which seeds are spread evenly.
    rod, plate, plates, drop : float
    fillet : float
        Width over which rods and plates blend [mm].
    salt : uint64
        Makes hashes those of this phantom.
    """

    scale: Floats
    rod: float
    plate: float
    plates: float
    drop: float
    fillet: float
    salt: Any


class Sites(NamedTuple):
    """All seeds: positions (z, y, x, 2, 3) [mm, stretched frame] by cell, corner of the first cell, side of a cell."""

    place: Floats
    corner: Floats
    side: float


class Slab(NamedTuple):
    """Where a slab lies, and how it is bent.

    Parameters
    ----------
    start : int
        Number of its first slice.
    voxel : float
        [mm].
    bent : (4, z + 1, y + 1, x + 1) array
        Displacement (z, y, x) [mm] and logarithm of relative thickness at the corners of the voxels.
    """

    start: int
    voxel: float
    bent: Field


class Near(NamedTuple):
    """Seeds that matter in a cube: positions (count, 3), numbers (count,); and scratch space for one point."""

    place: Floats
    number: NDArray[np.int64]
    face: Floats  # (3,) distances to the faces towards the next 3 seeds [mm]
    normal: Floats  # (3, 3) their normals
    cosine: Floats  # (3, 3) between them


@njit(cache=True, error_model="numpy")
def _near(centre: tuple[float, float, float], radius: float, sites: Sites) -> Near:
    """The seeds that can be among the 4 nearest of any point of a ball."""
    nz, ny, nx = sites.place.shape[:3]
    cz = int((centre[0] - sites.corner[0]) / sites.side)
    cy = int((centre[1] - sites.corner[1]) / sites.side)
    cx = int((centre[2] - sites.corner[2]) / sites.side)
    place, number = np.empty((MOST_SEEDS, 3)), np.empty(MOST_SEEDS, np.int64)
    found = 0
    for z in range(max(0, cz - 2), min(nz, cz + 3)):
        for y in range(max(0, cy - 2), min(ny, cy + 3)):
            for x in range(max(0, cx - 2), min(nx, cx + 3)):
                for which in range(2):
                    for axis in range(3):
                        place[found, axis] = sites.place[z, y, x, which, axis]
                    number[found] = ((z * ny + y) * nx + x) * 2 + which
                    found += 1
    scratch = (np.empty(3), np.empty((3, 3)), np.empty((3, 3)))
    around = Near(place[:found], number[:found], scratch[0], scratch[1], scratch[2])
    _, gap = _four(centre, around)
    limit = (np.sqrt(gap[3]) + 2.0 * radius) ** 2
    kept = 0
    for i in range(found):
        p = place[i]
        if (p[0] - centre[0]) ** 2 + (p[1] - centre[1]) ** 2 + (p[2] - centre[2]) ** 2 <= limit:
            place[kept, 0], place[kept, 1], place[kept, 2] = p[0], p[1], p[2]
            number[kept] = number[i]
            kept += 1
    return Near(place[:kept], number[:kept], scratch[0], scratch[1], scratch[2])


@njit(cache=True, error_model="numpy")
def _four(at: tuple[float, float, float], near: Near) -> tuple[Any, Any]:
    """Places in `near` of the four nearest seeds, and their squared distances, in order."""
    d0 = d1 = d2 = d3 = 1e30
    i0 = i1 = i2 = i3 = 0
    for i in range(len(near.number)):
        p = near.place[i]
        gap = (p[0] - at[0]) ** 2 + (p[1] - at[1]) ** 2 + (p[2] - at[2]) ** 2
        if gap >= d3:
            continue
        if gap >= d2:
            d3, i3 = gap, i
            continue
        d3, i3 = d2, i2
        if gap >= d1:
            d2, i2 = gap, i
            continue
        d2, i2 = d1, i1
        if gap >= d0:
            d1, i1 = gap, i
            continue
        d1, i1, d0, i0 = d0, i0, gap, i
    return (i0, i1, i2, i3), (d0, d1, d2, d3)


@njit(cache=True, error_model="numpy")
def _faces(seed: Any, gap: Any, near: Near, scale: Floats) -> float:
    """Fill in distances and normals of the faces between the nearest seed and the next three; the least distance.

    A plane of the stretched frame is one in the volume's, its normal scaled; so distances are the volume's.
    """
    least = 1e30
    for k in range(3):
        length = 0.0
        for axis in range(3):
            near.normal[k, axis] = (near.place[seed[k + 1], axis] - near.place[seed[0], axis]) * scale[axis]
            length += near.normal[k, axis] ** 2
        length = np.sqrt(length)
        for axis in range(3):
            near.normal[k, axis] /= length
        near.face[k] = 0.5 * (gap[k + 1] - gap[0]) / length
        least = min(least, near.face[k])
    return least


@njit(cache=True, error_model="numpy")
def _plate(k: int, seed: Any, swell: float, near: Near, rules: Rules) -> float:
    """exp(-(distance to plate k - its half thickness) / fillet); 0 where that face carries none."""
    m, n = (k + 1) % 3, (k + 2) % 3
    a, b = near.number[seed[0]], near.number[seed[k + 1]]
    bits = join(join(rules.salt, min(a, b)), max(a, b))
    # faces along z carry more plates than faces across it; the mean over directions stays
    if unit(bits) >= rules.plates * 1.5 * (1.0 - near.normal[k, 0] ** 2):
        return 0.0
    face, cosine = near.face, near.cosine
    beyond = max(0.0, face[k] * cosine[k, m] - face[m], face[k] * cosine[k, n] - face[n])  # past the face's edge
    own = swell * rules.plate * (1.0 - OWN_THICKNESS + 2.0 * OWN_THICKNESS * unit(mix(bits)))
    return float(np.exp((own - np.sqrt(face[k] ** 2 + beyond**2)) / rules.fillet))


@njit(cache=True, error_model="numpy")
def _rod(k: int, seed: Any, swell: float, near: Near, rules: Rules) -> float:
    """exp(-(distance to the rod between faces k and k + 1 - its radius) / fillet); 0 where there is none."""
    m, n = (k + 1) % 3, (k + 2) % 3
    a, b, c = near.number[seed[0]], near.number[seed[k + 1]], near.number[seed[m + 1]]
    low, high = min(a, b, c), max(a, b, c)
    bits = join(join(join(rules.salt, low), a + b + c - low - high), high)
    if unit(bits) < rules.drop:
        return 0.0
    face, cosine = near.face, near.cosine[k, m]
    sine2 = max(1e-3, 1.0 - cosine * cosine)
    square = max(0.0, face[k] ** 2 - 2.0 * cosine * face[k] * face[m] + face[m] ** 2) / sine2
    along_k, along_m = (face[k] - cosine * face[m]) / sine2, (face[m] - cosine * face[k]) / sine2
    beyond = max(0.0, along_k * near.cosine[k, n] + along_m * near.cosine[m, n] - face[n])  # past the rod's end
    own = swell * rules.rod * (1.0 - OWN_THICKNESS + 2.0 * OWN_THICKNESS * unit(mix(bits)))
    return float(np.exp((own - np.sqrt(square + beyond**2)) / rules.fillet))


@njit(cache=True, error_model="numpy")
def _level(at: tuple[float, float, float], swell: float, far: float, near: Near, rules: Rules) -> float:
    """Signed distance [mm] to the bone's surface at a point of the stretched frame, negative inside.

    `swell` multiplies all thicknesses here. Points further than `far` from every face get that distance at once.
    """
    seed, gap = _four(at, near)
    least = _faces(seed, gap, near, rules.scale)
    if least > far:
        return float(least)
    normal = near.normal
    for k in range(3):
        for m in range(3):
            near.cosine[k, m] = normal[k, 0] * normal[m, 0] + normal[k, 1] * normal[m, 1] + normal[k, 2] * normal[m, 2]
    total = 0.0
    for k in range(3):
        total += _plate(k, seed, swell, near, rules) + _rod(k, seed, swell, near, rules)
    return float(-rules.fillet * np.log(total)) if total > 1e-30 else max(far, least)


@njit(cache=True, error_model="numpy")
def _sample(
    within: tuple[float, float, float], voxel: tuple[int, int, int], slab: Slab, far: float, near: Near, rules: Rules
) -> float:
    """The level at a place within a voxel (0 to 1 along z, y, x); bending is linear between the voxel's corners."""
    bend = (0.0, 0.0, 0.0, 0.0)
    for corner in range(8):
        a, b, c = corner >> 2, (corner >> 1) & 1, corner & 1
        w = (within[0] if a else 1.0 - within[0]) * (within[1] if b else 1.0 - within[1])
        w *= within[2] if c else 1.0 - within[2]
        k, j, i = voxel[0] + a, voxel[1] + b, voxel[2] + c
        bent = slab.bent
        bend = (
            bend[0] + w * bent[0, k, j, i],
            bend[1] + w * bent[1, k, j, i],
            bend[2] + w * bent[2, k, j, i],
            bend[3] + w * bent[3, k, j, i],
        )
    at = (
        ((slab.start + voxel[0] + within[0]) * slab.voxel + bend[0]) * rules.scale[0],
        ((voxel[1] + within[1]) * slab.voxel + bend[1]) * rules.scale[1],
        ((voxel[2] + within[2]) * slab.voxel + bend[2]) * rules.scale[2],
    )
    return _level(at, float(np.exp(bend[3])), far, near, rules)  # type: ignore[no-any-return]


@njit(cache=True, error_model="numpy")
def _ball(j: int, i: int, slab: Slab, scale: Floats, stop: tuple[int, int, int]) -> tuple[Any, float, float]:
    """Centre and radius of a ball around a bent cube (stretched frame), and its largest log thickness."""
    low, high = np.empty(3), np.empty(3)
    for axis in range(3):
        low[axis], high[axis] = 1e30, -1e30
    most = -1e30
    for k in range(stop[0] + 1):
        for b in range(j, stop[1] + 1):
            for c in range(i, stop[2] + 1):
                index = (slab.start + k, b, c)
                most = max(most, slab.bent[3, k, b, c])
                for axis in range(3):
                    value = (index[axis] * slab.voxel + slab.bent[axis, k, b, c]) * scale[axis]
                    low[axis], high[axis] = min(low[axis], value), max(high[axis], value)
    centre = ((low[0] + high[0]) / 2.0, (low[1] + high[1]) / 2.0, (low[2] + high[2]) / 2.0)
    radius = np.sqrt((high[0] - low[0]) ** 2 + (high[1] - low[1]) ** 2 + (high[2] - low[2]) ** 2) / 2.0
    return centre, radius, most


@njit(cache=True, error_model="numpy")
def _part(voxel: tuple[int, int, int], slab: Slab, far: float, near: Near, rules: Rules, oversample: int) -> float:
    """Share of a voxel that is bone, from samples that each know how much of their own cube lies inside."""
    total = 0.0
    for a in range(oversample):
        for b in range(oversample):
            for c in range(oversample):
                within = ((a + 0.5) / oversample, (b + 0.5) / oversample, (c + 0.5) / oversample)
                level = _sample(within, voxel, slab, far, near, rules)
                total += min(1.0, max(0.0, 0.5 - level * oversample / slab.voxel))
    return total / oversample**3


@njit(cache=True, error_model="numpy", parallel=True)
def fill_share(share: Field, slab: Slab, sites: Sites, rules: Rules, oversample: int) -> None:
    """Fill `share` (z, y, x) with the fraction of each voxel that is bone."""
    depth, height, width = share.shape
    across, along = (height + CUBE - 1) // CUBE, (width + CUBE - 1) // CUBE
    reach = STEEPNESS * slab.voxel * (SQRT3 / 2.0 + 0.5 / oversample)
    for cube in prange(across * along):
        y, x = cube // along * CUBE, cube % along * CUBE
        stop = (depth, min(height, y + CUBE), min(width, x + CUBE))
        centre, radius, most = _ball(y, x, slab, rules.scale, stop)
        near = _near(centre, radius, sites)
        far = np.exp(most) * (1.0 + OWN_THICKNESS) * max(rules.rod, rules.plate) + reach + 4.0 * rules.fillet
        for k in range(depth):
            for j in range(y, stop[1]):
                for i in range(x, stop[2]):
                    level = _sample((0.5, 0.5, 0.5), (k, j, i), slab, far, near, rules)
                    if level > reach:
                        share[k, j, i] = 0.0
                    elif level < -reach:
                        share[k, j, i] = 1.0
                    else:
                        share[k, j, i] = _part((k, j, i), slab, far, near, rules, oversample)
