"""Local thickness of bone and marrow of a specimen, by each convention, worked out once."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, convolve

from bonectl.core import threads
from bonectl.errors import UsageError
from bonectl.morphology.components import FULL
from bonectl.morphology.distance import squared_distance
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.thickness import radius, squared_radius

Map = NDArray[np.float32]

RULES = {
    "subvoxel": "balls centred and bounded between the voxels",
    "bonej": "2 x distance to the nearest background voxel centre, surface voxels smoothed, as BoneJ and Fiji",
    "ipl": "2 x distance to the nearest background voxel centre - 1 voxel, as Scanco IPL",
}

# A mid-axis voxel is at least this share of the local radius deep: bumps of the surface have axes of their own.
DEEP = 0.75

# A void is coarsened as far as its mean diameter stays above this many voxels.
ENOUGH = 20.0


@dataclass(frozen=True)
class Spread:
    """Mean, standard deviation and largest value of a thickness map over its structure [mm]."""

    mean: float
    deviation: float
    largest: float


@dataclass(frozen=True, eq=False)
class _Grid:
    """One phase of a specimen on a grid that may be coarser than its voxels."""

    inside: NDArray[np.bool_]
    values: Map
    threshold: float
    side: float
    factor: int = 1
    wide: bool = False


def check(convention: str) -> str:
    """The convention's rule; UsageError for one that does not exist."""
    if convention not in RULES:
        raise UsageError(f"no thickness convention {convention!r}; there are {', '.join(RULES)}")
    return RULES[convention]


def bone(specimen: Specimen, convention: str) -> Spread:
    """Spread of the local thickness of the bone."""

    return specimen.once(("thickness", convention), lambda: _spread(bone_map(specimen, convention)))


def bone_map(specimen: Specimen, convention: str) -> Map:
    """Local thickness at each bone voxel [mm], 0 elsewhere; (z, y, x)."""

    def work() -> Map:
        grid = _Grid(specimen.bone, *_values(specimen), specimen.side("local thickness"))
        return _diameters(grid, convention)

    return specimen.once(("thickness map", convention), work)


def within(specimen: Specimen, inside: NDArray[np.bool_], convention: str) -> Spread:
    """Spread of the local thickness of any structure of a specimen, (z, y, x) bool; its surface is the bone's."""
    return _spread(_diameters(_Grid(inside, *_values(specimen), specimen.side("local thickness")), convention))


def between_axes(specimen: Specimen, slope: float) -> tuple[Spread, int]:
    """Spread of the local thickness of what is not mid-axis of the bone, and at every how manyth voxel."""
    if not 0 < slope < 1:
        raise UsageError(f"tbn_direct(slope={slope:g}); it lies between 0 and 1")
    side = specimen.side("local thickness")

    def work() -> tuple[Spread, int]:
        axes = _mid_axes(specimen.bone, slope)
        # The distance between axes is that of the marrow and the bone together, so this errs to the fine side.
        factor = int(np.clip(_void_voxels(specimen) // ENOUGH, 1, max(1, min(axes.shape) // 2)))
        squared = squared_radius(specimen.voi & ~axes, threads=threads.count(), finer=factor)
        return _spread(2 * np.sqrt(squared) * np.float32(side * factor)), factor

    return specimen.once(("axes", slope), work)


def _mid_axes(bone: NDArray[np.bool_], slope: float) -> NDArray[np.bool_]:
    """Deep bone voxels whose distance to the marrow grows by less than `slope` per voxel towards each neighbour."""
    squared = squared_distance(bone)
    axes = bone & (squared >= DEEP**2 * squared_radius(bone, threads=threads.count()))
    depth = np.pad(np.sqrt(squared), 1, mode="edge")
    for step in np.ndindex(3, 3, 3):
        length = float(np.linalg.norm(np.array(step) - 1))
        if length:
            there = tuple(slice(k, k + n) for k, n in zip(step, bone.shape, strict=True))
            axes &= depth[there] - depth[1:-1, 1:-1, 1:-1] < slope * length
    return axes


def marrow(specimen: Specimen, convention: str, coarsen: int) -> tuple[Spread, str]:
    """Spread of the local thickness of the marrow, and how it was measured; `coarsen` 0 lets the rule choose."""
    diameters, how = marrow_grid(specimen, convention, coarsen)
    return specimen.once(("separation", convention, coarsen), lambda: _spread(diameters)), how


def marrow_grid(specimen: Specimen, convention: str, coarsen: int) -> tuple[Map, str]:
    """What `marrow` is the spread of: a map on a grid that may be coarser [mm], and how it was measured."""

    def work() -> tuple[Map, str]:
        voxels = ENOUGH * coarsen if coarsen else _void_voxels(specimen)
        factor = int(np.clip(voxels // ENOUGH, 1, max(1, min(specimen.labels.shape) // 2)))
        wide = factor > 1 or (not coarsen and voxels >= ENOUGH)
        grid = replace(_void(specimen, factor), wide=wide)
        plain = wide and convention != "ipl"
        rule = "2 x distance to the nearest bone voxel centre" if plain else RULES[convention]
        how = f"{convention}, on means of {factor}³ voxels: {rule}" if factor > 1 else f"{convention}: {rule}"
        return _diameters(grid, convention), how

    return specimen.once(("separation map", convention, coarsen), work)


def marrow_map(specimen: Specimen, convention: str) -> Map:
    """Local thickness at each marrow voxel on the full grid [mm], 0 elsewhere; (z, y, x)."""
    return _diameters(_void(specimen, 1), convention)


def _values(specimen: Specimen) -> tuple[Map, float]:
    """What was cut, and where: the filtered grey values, or the mask itself.

    Where purification changed the mask, the values follow it: specks that were removed are marrow, cavities that were
    filled are bone, both as close to the threshold as can be.
    """
    if specimen.grey is None:
        return specimen.bone.astype(np.float32), 0.5
    values, threshold = specimen.cut.filter(specimen.grey).astype(np.float32, copy=False), specimen.cut.value
    if specimen.pure:
        above = np.nextafter(np.float32(threshold), np.float32(np.inf))
        values = np.where(specimen.bone, np.maximum(values, above), np.minimum(values, np.float32(threshold)))
    return values, threshold


def _void(specimen: Specimen, factor: int) -> _Grid:
    """The marrow, on blocks of `factor`³ voxels; half-filled blocks of a mask are bone."""
    side = specimen.side("local thickness")
    values, threshold = _values(specimen)
    if factor == 1:
        return _Grid(specimen.marrow, values, threshold, side)
    means = _means(values, factor)
    below = means <= threshold if specimen.grey is not None else means < threshold
    inside = _means(specimen.voi.astype(np.float32), factor) > 0.5
    return _Grid(below & inside, means, threshold, side * factor, factor)


def _means(values: Map, factor: int) -> Map:
    """Means of blocks of `factor`³ voxels; slices, rows and columns that fill no block are left out."""
    z, y, x = (n // factor for n in values.shape)
    cut = values[: z * factor, : y * factor, : x * factor]
    means: Map = cut.reshape(z, factor, y, factor, x, factor).mean((1, 3, 5), dtype=np.float32)
    return means


def _void_voxels(specimen: Specimen) -> float:
    """Mean void diameter [voxel], found on a grid four times coarser; 0 where that is too coarse to tell."""
    if min(specimen.labels.shape) < 32:
        return 0.0
    void = _void(specimen, 4)
    if not void.inside.any() or void.inside.all():
        return 0.0
    return _spread(_diameters(replace(void, wide=True), "bonej")).mean / specimen.spacing[2]


def _diameters(grid: _Grid, convention: str) -> Map:
    """Local thickness [mm]; 0 outside the structure."""
    if convention == "subvoxel" and not grid.wide:
        return 2 * grid.side * radius(grid.inside, grid.values, grid.threshold, threads=threads.count())
    voxels = 2 * np.sqrt(squared_radius(grid.inside, threads=threads.count()))
    if convention == "ipl":
        return np.where(grid.inside, (voxels - 1 / grid.factor) * grid.side, 0).astype(np.float32)
    if grid.wide:
        # Blurring by the means widens a void by as much as a ball tied to the grid is too small: 0.2 % on real bone.
        return voxels * np.float32(grid.side)
    return _smooth_surface(voxels, grid.inside) * np.float32(grid.side)


def _smooth_surface(voxels: Map, inside: NDArray[np.bool_]) -> Map:
    """Voxels next to background take the mean of their 26 neighbours that are not: Fiji's last step."""
    deep = binary_erosion(inside, FULL, border_value=1)
    total = convolve(np.where(deep, voxels, 0).astype(np.float32), np.ones((3, 3, 3)), mode="constant")
    count = convolve(deep.astype(np.float32), np.ones((3, 3, 3)), mode="constant")
    surface = inside & ~deep & (count > 0.5)
    smooth = voxels.copy()
    smooth[surface] = total[surface] / count[surface]
    return smooth


def _spread(diameters: Map) -> Spread:
    values = diameters[diameters > 0].astype(np.float64)
    if not values.size:
        raise UsageError("local thickness of a structure that is finer than the grid")
    return Spread(float(values.mean()), float(values.std()), float(values.max()))
