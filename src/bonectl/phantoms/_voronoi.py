"""Trabecular bone from a Voronoi tessellation: rods along its edges, plates on some of its faces.

The geometry of every voxel follows from hashes of seed numbers and from coarse random grids that are drawn once, so any
part of the volume can be made alone and slabs never matter.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonectl.core import threads
from bonectl.core.draws import generator
from bonectl.core.header import VOLUME, Header
from bonectl.core.lengths import SPOKEN, is_length
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack, chain
from bonectl.errors import UsageError
from bonectl.phantoms._grid import Grid, Shape
from bonectl.phantoms._hashes import join
from bonectl.phantoms._marrow import add_marrow, weights
from bonectl.phantoms._mineral import mineralise
from bonectl.phantoms._rods_and_plates import CUBE, Rules, Sites, Slab, fill_share
from bonectl.phantoms._solid import DENSEST, check_samples
from bonectl.phantoms._spline import VARIANCE, fill_spline

# A body-centred cubic cell of side L holds 2 seeds, so spacing a (density 1/a³) needs L = 2^(1/3) a. Each seed is moved
# by up to this share of L along each axis: enough for irregular cells, too little for slivers.
JITTER = 0.22
# Nodes of the random fields that bend the bone, and of the one that lets mineral drift [mm].
BEND, DRIFT = 0.33, 1.0
# Most that cells are longer, or shorter, along z than across.
STRETCHED = 100.0
# Makes the hashes of marrow others than those of bone.
MARROW = 1
# Width over which rods and plates blend into each other, as a share of the rod's radius.
FILLET = 0.15


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """How trabecular bone is built.

    Parameters
    ----------
    spacing : float
        Of the cells: one per spacing³ [mm].
    rod : float
        Mean radius of the rods on the cells' edges [mm].
    plate : float
        Mean half thickness of the plates on the cells' faces [mm].
    plates : float
        Share of the faces that carry a plate, 0 to 1; faces along z carry more than those across it.
    drop : float
        Share of the edges that carry no rod, 0 to 1.
    stretch : float
        How much longer cells are along z than across.
    warp : float
        RMS of the smooth displacement that bends rods and plates [mm].
    variation : float
        SD of the logarithm of thickness along the bone.
    """

    spacing: float
    rod: float
    plate: float
    plates: float
    drop: float
    stretch: float
    warp: float = 0.03
    variation: float = 0.15

    def __post_init__(self) -> None:
        for name in ("spacing", "rod", "plate"):
            if not is_length(getattr(self, name)):
                raise UsageError(f"{name}={getattr(self, name)}; it must be {SPOKEN}")
        if not 1 / STRETCHED <= self.stretch <= STRETCHED:
            raise UsageError(f"stretch={self.stretch}; it must be from {1 / STRETCHED:g} to {STRETCHED:g}")
        for name in ("plates", "drop"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name}={getattr(self, name)}; it must be a share from 0 to 1")
        if self.rod > self.spacing / 3 or self.plate > self.spacing / 3:
            raise UsageError(
                f"rods of radius {self.rod:g} and plates of half thickness {self.plate:g} mm fill cells of "
                f"{self.spacing:g} mm; give at most a third"
            )
        if not 0 <= self.warp <= 0.1 * self.spacing or not 0 <= self.variation <= 0.5:
            raise UsageError("warp must be at most a tenth of the spacing, and variation at most 0.5")


@dataclass(frozen=True, kw_only=True)
class Mineral:
    """How mineral varies [mgHA/cm³]: in bone one value per packet of about 80 µm and a slow drift; marrow about 0.

    Parameters
    ----------
    mean, packets, drift : float
        Mean, SD between packets, SD of the drift over millimetres.
    packet : float
        Size of a packet [mm].
    marrow : float
        SD of the texture of marrow at a point; its mean is 0.
    """

    mean: float = 1100.0
    packets: float = 80.0
    drift: float = 30.0
    packet: float = 0.08
    marrow: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.mean <= DENSEST and 0 <= self.packets <= self.mean / 4 and 0 <= self.drift <= self.mean / 8):
            raise UsageError(
                f"mineral of {self.mean:g} ± {self.packets:g} (packets) ± {self.drift:g} (drift) mgHA/cm3; "
                f"give a positive mean up to {DENSEST:g}, packets up to a quarter of it and drift up to an eighth"
            )
        if not self.packet > 0:
            raise UsageError(f"packets of {self.packet:g} mm; give a positive size")
        if not 0 <= self.marrow <= self.mean / 4:
            raise UsageError(f"marrow={self.marrow:g} mgHA/cm3; its SD must be from 0 to a quarter of the mineral")


def trabecular_stack(grid: Grid, bone: Architecture, mineral: Mineral, oversample: int) -> Stack:
    """The stack of one realisation.

    Parameters
    ----------
    grid : Grid
        Another seed gives another bone of the same kind.
    bone, mineral
        What to build.
    oversample : int
        Samples per voxel side where the surface runs, 1 to 16.

    Raises
    ------
    UsageError
        When `oversample` makes no sense.

    Notes
    -----
    With s₁, s₂, ... the seeds nearest to a point, b_k = (d_k² − d_1²) / (2 |s_1 − s_k|) is its distance to the face
    between cells 1 and k, and √((b_k² − 2 c b_k b_l + b_l²) / (1 − c²)) that to the edge of 1, k and l, c being the
    cosine between the two faces. Bone is where the smooth minimum of distance minus thickness, over the rods and
    plates that exist, is negative.
    """
    check_samples(oversample)
    total = float(np.prod(grid.shape)) * grid.voxel**3
    header = Header(
        shape=grid.shape, axes=VOLUME, spacing=(grid.voxel,) * 3, unit="mgHA/cm3", answers={"tv_mm3": total}
    )
    return chain(header, _slabs(grid, bone, mineral, oversample))


def _slabs(grid: Grid, bone: Architecture, mineral: Mineral, oversample: int) -> Iterator[NDArray[np.float32]]:
    shape, voxel, seed = grid.shape, grid.voxel, grid.seed
    salt = np.uint64(generator(seed, "hash").integers(1 << 63))
    scale = np.array([bone.stretch ** (-2 / 3), bone.stretch ** (1 / 3), bone.stretch ** (1 / 3)])
    rules = Rules(scale, bone.rod, bone.plate, bone.plates, bone.drop, FILLET * bone.rod, salt)
    sites = _sites(np.array(shape) * voxel * scale, 2 ** (1 / 3) * bone.spacing, seed)
    amounts = {"warp z": bone.warp, "warp y": bone.warp, "warp x": bone.warp, "thickness": bone.variation}
    bend = np.stack([_nodes(shape, voxel, BEND, seed, name) * amount for name, amount in amounts.items()])
    drift = _nodes(shape, voxel, DRIFT, seed, "drift")[None] * mineral.drift
    across = (weights(0, shape[1], voxel), weights(0, shape[2], voxel))
    for start in range(0, shape[0], CUBE):
        count = min(CUBE, shape[0] - start)
        threads.settle_numba()
        bent = np.empty((4, count + 1, shape[1] + 1, shape[2] + 1), np.float32)
        fill_spline(bent, bend, BEND, (start * voxel, 0.0, 0.0), voxel)
        slab = np.empty((count, shape[1], shape[2]), np.float32)
        fill_share(slab, Slab(start, voxel, bent), sites, rules, oversample)
        mean = np.empty((1, *slab.shape), np.float32)
        fill_spline(mean, drift, DRIFT, ((start + 0.5) * voxel, 0.5 * voxel, 0.5 * voxel), voxel)
        share = slab.copy() if mineral.marrow else slab
        mineralise(slab, mean[0] + np.float32(mineral.mean), start, voxel / mineral.packet, mineral.packets, salt)
        if mineral.marrow:
            along = weights(start, count, voxel)
            add_marrow(slab, share, along, *across, mineral.marrow, np.uint64(join(salt, MARROW)))
        yield slab


def _sites(extent: Array, side: float, seed: int) -> Sites:
    """Jittered body-centred cubic seeds around a box of this extent [mm, stretched frame], three cells beyond it."""
    margin = 3
    cells = np.ceil(extent / side).astype(int) + 2 * margin + 1
    draws = generator(seed, "sites")
    corner = -(margin + draws.random(3)) * side
    lattice = np.stack(np.meshgrid(*(np.arange(n) for n in cells), indexing="ij"), axis=-1)[..., None, :]
    centred = lattice + np.array([[0.25, 0.25, 0.25], [0.75, 0.75, 0.75]])
    moved = centred + draws.uniform(-JITTER, JITTER, centred.shape)
    return Sites(corner + moved * side, corner, side)


def _nodes(shape: Shape, voxel: float, step: float, seed: int, name: str) -> Array:
    """Nodes of a cubic B-spline field of unit variance over the volume, one every `step` mm."""
    count = tuple(int(n * voxel / step) + 6 for n in shape)
    nodes: Array = generator(seed, name).standard_normal(count) / VARIANCE**1.5
    return nodes
