"""A specimen without any symmetry, and its pictures by the laws of geometry alone: no projector of bonectl is used.

Three ellipsoids: two rods that make an L, and a ball off them. Line integrals through them have a closed form. The
geometry is what each scanner's makers or public readers document, written down here once more.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from bonectl.ops.reconstruct import reconstruct
from bonectl.scanning.lines import Fields, geometry_of

MU = 0.6  # attenuation of the specimen [1/cm]

# Centre and half axes [share of the half field of view], along (x, y, z) of the specimen.
SHAPES = (
    ((0.05, 0.32, -0.12), (0.42, 0.12, 0.14)),  # a rod along x
    ((0.38, -0.02, 0.10), (0.12, 0.34, 0.14)),  # a rod along y
    ((-0.30, -0.28, 0.32), (0.18, 0.18, 0.18)),  # a ball
)


@dataclass(frozen=True)
class Rays:
    """Sources and directions in the specimen's frame, (..., 3) [mm]; directions are unit vectors."""

    sources: np.ndarray
    directions: np.ndarray


def line_integrals(rays, half, shapes=SHAPES):
    """Through the specimen, whose field of view reaches `half` mm from its middle."""
    total = np.zeros(rays.directions.shape[:-1])
    for centre, axes in shapes:
        axes = half * np.array(axes)
        start = (rays.sources - half * np.array(centre)) / axes
        along = rays.directions / axes
        a = (along**2).sum(-1)
        b = (along * start).sum(-1)
        c = (start**2).sum(-1) - 1
        total += 2 * np.sqrt(np.maximum(b**2 - a * c, 0)) / a
    return total * MU / 10  # [mm] times [1/cm]


def about(axis, degrees):
    """The matrix that turns by the right hand about a unit vector (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    t = np.radians(degrees)
    return np.eye(3) + np.sin(t) * cross + (1 - np.cos(t)) * cross @ cross


def seen(pixels, source, point, axis, turns, to_specimen):
    """Rays of all views.

    Parameters
    ----------
    pixels : (row, col, 3) or (view, row, col, 3) array
        Centres of the pixels in the room [mm].
    source, point, axis : (3,) arrays
        Where the source is, where the axis passes, and its direction, about which the specimen turns by the right hand.
    turns : sequence of float
        By how much it has turned in each view [degree].
    to_specimen : (3, 3) array
        Rows are the specimen's x, y, z in the room, before it turns.
    """
    starts, ways = [], []
    for view, turn in enumerate(turns):
        back = to_specimen @ about(axis, -turn)
        start = back @ (source - point)
        way = ((pixels if pixels.ndim == 3 else pixels[view]) - source) @ back.T
        starts.append(np.broadcast_to(start, way.shape))
        ways.append(way / np.linalg.norm(way, axis=-1, keepdims=True))
    return Rays(np.stack(starts), np.stack(ways))


def volume_of(scan, **changes):
    """The attenuation that a scan reconstructs to, (z, y, x) [1/cm], and its geometry."""
    fields = None
    if scan.flats is not None:
        fields = Fields.averaged(held(scan.flats.source), held(scan.darks.source) if scan.darks else None)
    geometry = geometry_of(scan.header, angles=scan.angles, centre=scan.centre)
    with scan.stack.open() as stack:
        volume = reconstruct(stack, geometry=geometry.replace(**changes), fields=fields)
        return volume.collect(), volume.header


def held(source):
    with source.open() as stack:
        return stack.collect()


@cache
def places(shape, voxel, half):
    """Of each part of the specimen: its core, where it may reach, and where mirrors would put its core; as masks."""
    z, y, x = (((np.arange(n) - (n - 1) / 2) * voxel).astype(np.float32) for n in shape)

    def inside(centre, axes, share):
        at = [((line - half * c) / (half * a * share)) ** 2 for line, c, a in zip((x, y, z), centre, axes, strict=True)]
        return at[2][:, None, None] + at[1][:, None] + at[0] < 1

    everything = np.any([inside(*part, 1.25) for part in SHAPES], axis=0)
    found = []
    for number, (centre, axes) in enumerate(SHAPES):
        others = np.any([inside(*part, 1.1) for i, part in enumerate(SHAPES) if i != number], axis=0)
        ghosts = {}
        for flips in product((1, -1), repeat=3):
            mirrored = inside(np.array(centre) * flips, axes, 0.6) & ~everything
            if mirrored.any():
                ghosts[flips] = mirrored
        found.append((inside(centre, axes, 0.6), inside(centre, axes, 1.3) & ~others, ghosts))
    return (z, y, x), found


def wrong(volume, voxel, half):
    """What is out of place in a volume, as words; none where each part of the specimen is where it should be.

    The density in the core of each part, its centre of mass, and air in the places where a mirror would put it.
    """
    found = []
    lines, parts = places(volume.shape, voxel, half)
    for number, ((core, reach, ghosts), (centre, _)) in enumerate(zip(parts, SHAPES, strict=True)):
        mean = volume[core].mean()
        if not abs(mean - MU) < 0.1 * MU:
            found.append(f"part {number} has density {mean:.3f}, not {MU}")
        there = np.nonzero(reach & (volume > MU / 2))
        mass = [line[index].mean() if index.size else np.inf for line, index in zip(lines, there, strict=True)]
        off = (np.array(mass[::-1]) - half * np.array(centre)) / voxel
        if not np.abs(off).max() < 0.6:
            found.append(f"part {number} lies {off.round(2)} voxels (x, y, z) off")
        ghostly = [flips for flips, mirrored in ghosts.items() if volume[mirrored].mean() > 0.25 * MU]
        found += [f"part {number} has a ghost at {flips}" for flips in ghostly]
    return found
