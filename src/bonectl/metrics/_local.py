"""Local thickness of bone and marrow of a specimen, by each convention, worked out once."""

from dataclasses import dataclass, replace
from math import nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, convolve

from bonectl.core import threads
from bonectl.errors import UsageError
from bonectl.morphology.components import FULL
from bonectl.morphology.distance import squared_distance
from bonectl.morphology.parted import Statistic, Weights
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.tapers import SubVolumes
from bonectl.morphology.thickness import mask_radius, radius, squared_radius
from bonectl.morphology.voi import bounding_box

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


Mask = NDArray[np.bool_]

WALLS = ("open", "closed")


@dataclass(frozen=True, eq=False)
class _Grid:
    """One phase of a specimen on a grid that may be coarser than its voxels.

    Parameters
    ----------
    inside : (z, y, x) bool
        The phase, in the region and as far as it is known beyond.
    region, unknown : (z, y, x) bool, optional
        What is measured, and where nothing is known; None is everywhere and nowhere.
    side : float
        Of the voxel [mm].
    values : (z, y, x) float32, optional
        Whose crossing of the threshold is the surface; None is a mask.
    """

    inside: Mask
    side: float
    region: Mask | None = None
    unknown: Mask | None = None
    values: Map | None = None
    threshold: float = 0.5
    factor: int = 1
    wide: bool = False


def check(convention: str) -> str:
    """The convention's rule; UsageError for one that does not exist."""
    if convention not in RULES:
        raise UsageError(f"no thickness convention {convention!r}; there are {', '.join(RULES)}")
    return RULES[convention]


def check_walls(walls: str) -> str:
    """What the walls of the volume of interest are to a ball, in words; UsageError for what they cannot be."""
    if walls not in WALLS:
        raise UsageError(f"no walls {walls!r}; there are {' and '.join(WALLS)}")
    return "" if walls == "open" else ", cut at the walls of the volume of interest"


def bone(specimen: Specimen, convention: str, walls: str = "open") -> Spread:
    """Spread of the local thickness of the bone."""

    return specimen.once(("thickness", convention, walls), lambda: _spread(bone_map(specimen, convention, walls)))


def bone_map(specimen: Specimen, convention: str, walls: str = "open") -> Map:
    """Local thickness at each bone voxel [mm], 0 elsewhere; (z, y, x)."""

    def work() -> Map:
        values, threshold = _values(specimen)
        grid = _Grid(specimen.bone, specimen.side("local thickness"), values=values, threshold=threshold)
        if walls == "open":
            grid = replace(grid, inside=specimen.bone_around, **_known(specimen))
        return _diameters(grid, convention)

    return specimen.once(("thickness map", convention, walls), work)


def within(specimen: Specimen, inside: Mask, convention: str) -> Spread:
    """Spread of the local thickness of any structure of a specimen, (z, y, x) bool; its surface is the bone's."""
    values, threshold = _values(specimen)
    grid = _Grid(inside, specimen.side("local thickness"), values=values, threshold=threshold)
    return _spread(_diameters(grid, convention))


def _known(specimen: Specimen) -> dict[str, Any]:
    """The region that is measured and where nothing is known, as a grid has them."""
    if specimen.whole:
        return {"region": None, "unknown": None}
    return {"region": specimen.voi, "unknown": ~specimen.voi if specimen.around is None else None}


def between_axes(specimen: Specimen, slope: float, walls: str) -> tuple[Spread, int]:
    """Spread of the local thickness of what is not mid-axis of the bone, and at every how manyth voxel."""
    if not 0 < slope < 1:
        raise UsageError(f"tbn_direct(slope={slope:g}); it lies between 0 and 1")
    side = specimen.side("local thickness")

    def work() -> tuple[Spread, int]:
        known = dict.fromkeys(("region", "unknown")) if walls == "closed" else _known(specimen)
        bone, voi = specimen.bone if walls == "closed" else specimen.bone_around, specimen.voi
        if known["unknown"] is not None:  # as a stack of its own
            box = bounding_box(voi)
            bone, voi, known = (
                bone[box],
                voi[box],
                {name: mask[box] for name, mask in known.items() if mask is not None},
            )
        axes = _mid_axes(bone, slope, known["unknown"])
        # The distance between axes is that of the marrow and the bone together, so this errs to the fine side.
        factor = int(np.clip(_void_voxels(specimen, walls) // ENOUGH, 1, max(1, min(axes.shape) // 2)))
        space = ~axes if specimen.around is not None and walls == "open" else ~axes & voi
        squared = squared_radius(space, **known, threads=threads.count(), finer=factor)
        return _spread(2 * np.sqrt(squared) * np.float32(side * factor)), factor

    return specimen.once(("axes", slope, walls), work)


def _mid_axes(bone: Mask, slope: float, unknown: Mask | None = None) -> Mask:
    """Deep bone voxels whose distance to the marrow grows by less than `slope` per voxel towards each neighbour."""
    squared = squared_distance(bone if unknown is None else bone | unknown)
    axes = bone & (squared >= DEEP**2 * squared_radius(bone, unknown=unknown, threads=threads.count()))
    depth = np.pad(np.sqrt(squared), 1, mode="edge")
    for step in np.ndindex(3, 3, 3):
        length = float(np.linalg.norm(np.array(step) - 1))
        if length:
            there = tuple(slice(k, k + n) for k, n in zip(step, bone.shape, strict=True))
            axes &= depth[there] - depth[1:-1, 1:-1, 1:-1] < slope * length
    return axes


def marrow(specimen: Specimen, convention: str, coarsen: int, walls: str) -> tuple[Spread, str]:
    """Spread of the local thickness of the marrow, and how it was measured; `coarsen` 0 lets the rule choose."""
    diameters, how = marrow_grid(specimen, convention, coarsen, walls)
    return specimen.once(("separation", convention, coarsen, walls), lambda: _spread(diameters)), how


def marrow_grid(specimen: Specimen, convention: str, coarsen: int, walls: str) -> tuple[Map, str]:
    """What `marrow` is the spread of: a map on a grid that may be coarser [mm], and how it was measured."""

    def work() -> tuple[Map, str]:
        voxels = ENOUGH * coarsen if coarsen else _void_voxels(specimen, walls)
        factor = int(np.clip(voxels // ENOUGH, 1, max(1, min(specimen.labels.shape) // 2)))
        wide = factor > 1 or (not coarsen and voxels >= ENOUGH)
        grid = replace(_void(specimen, factor, walls), wide=wide)
        plain = wide and convention != "ipl"
        rule = "2 x distance to the nearest bone voxel centre" if plain else RULES[convention]
        how = f"{convention}, on means of {factor}³ voxels: {rule}" if factor > 1 else f"{convention}: {rule}"
        return _diameters(grid, convention), how

    return specimen.once(("separation map", convention, coarsen, walls), work)


def marrow_map(specimen: Specimen, convention: str, walls: str) -> Map:
    """Local thickness at each marrow voxel on the full grid [mm], 0 elsewhere; (z, y, x)."""
    return _diameters(_void(specimen, 1, walls), convention)


def _values(specimen: Specimen) -> tuple[Map | None, float]:
    """What was cut, and where: the filtered grey values; None of a mask.

    Where purification changed the mask, the values follow it: specks that were removed are marrow, cavities that were
    filled are bone, both as close to the threshold as can be.
    """
    if specimen.is_mask or specimen.grey is None:
        return None, 0.5
    values = specimen.threshold.filter(specimen.grey).astype(np.float32, copy=False)
    threshold = specimen.threshold.value
    if specimen.pure:
        above = np.nextafter(np.float32(threshold), np.float32(np.inf))
        values = np.where(specimen.bone_around, np.maximum(values, above), np.minimum(values, np.float32(threshold)))
    return values, threshold


def _void(specimen: Specimen, factor: int, walls: str) -> _Grid:
    """The marrow, on blocks of `factor`³ voxels; half-filled blocks of a mask are bone."""
    values, threshold = _values(specimen)
    known = _known(specimen)
    if factor == 1:
        inside = ~specimen.bone_around
    else:
        filled = specimen.bone_around.astype(np.float32) if values is None else values
        means = _means(filled, factor)
        inside = means < threshold if values is None else means <= threshold
        known = {name: None if mask is None else _means(mask, factor) > 0.5 for name, mask in known.items()}
        values = None if values is None else means
    region, unknown = known["region"], known["unknown"]
    if unknown is not None:
        inside &= ~unknown
    side = specimen.side("local thickness") * factor
    if walls == "closed" and region is not None:
        return _Grid(inside & region, side, values=values, threshold=threshold, factor=factor)
    return _Grid(inside, side, region, unknown, values, threshold, factor)


def _means(values: NDArray[Any], factor: int) -> Map:
    """Means of blocks of `factor`³ voxels; slices, rows and columns that fill no block are left out."""
    z, y, x = (n // factor for n in values.shape)
    cut = values[: z * factor, : y * factor, : x * factor]
    means: Map = cut.reshape(z, factor, y, factor, x, factor).mean((1, 3, 5), dtype=np.float32)
    return means


def _void_voxels(specimen: Specimen, walls: str) -> float:
    """Mean void diameter [voxel], found on a grid four times coarser; 0 where that is too coarse to tell."""
    if min(specimen.labels.shape) < 32:
        return 0.0
    void = _void(specimen, 4, walls)
    measured = void.inside if void.region is None else void.inside & void.region
    if not measured.any() or void.inside.all():
        return 0.0
    return _spread(_diameters(replace(void, wide=True), "bonej")).mean / specimen.spacing[2]


def _diameters(grid: _Grid, convention: str) -> Map:
    """Local thickness [mm]; 0 outside the structure. A stack of which nothing is known beyond a box is that box."""
    if grid.unknown is None:
        return _worked_out(grid, convention)
    box = bounding_box(~grid.unknown)
    parts: dict[str, Any] = {name: getattr(grid, name) for name in ("inside", "region", "unknown", "values")}
    parts = {name: None if array is None else np.ascontiguousarray(array[box]) for name, array in parts.items()}
    diameters = np.zeros(grid.inside.shape, np.float32)
    diameters[box] = _worked_out(replace(grid, **parts), convention)
    return diameters


def _worked_out(grid: _Grid, convention: str) -> Map:
    """Local thickness [mm]; 0 outside the structure."""
    known: dict[str, Any] = {"region": grid.region, "unknown": grid.unknown, "threads": threads.count()}
    if convention == "subvoxel" and not grid.wide:
        if grid.values is None:
            return 2 * grid.side * mask_radius(grid.inside, **known)
        return 2 * grid.side * radius(grid.inside, grid.values, grid.threshold, **known)
    voxels = 2 * np.sqrt(squared_radius(grid.inside, **known))
    if convention == "ipl":
        return np.where(voxels > 0, (voxels - 1 / grid.factor) * grid.side, 0).astype(np.float32)
    if grid.wide:
        # Blurring by the means widens a void by as much as a ball tied to the grid is too small: 0.2 % on real bone.
        return voxels * np.float32(grid.side)
    return _smooth_surface(voxels, grid) * np.float32(grid.side)


def _smooth_surface(voxels: Map, grid: _Grid) -> Map:
    """Voxels next to background take the mean of their 26 neighbours that are not: Fiji's last step."""
    bounded = grid.inside if grid.unknown is None else grid.inside | grid.unknown
    measured = voxels > 0
    deep = binary_erosion(bounded, FULL, border_value=1) & measured
    total = convolve(np.where(deep, voxels, 0).astype(np.float32), np.ones((3, 3, 3)), mode="constant")
    count = convolve(deep.astype(np.float32), np.ones((3, 3, 3)), mode="constant")
    surface = measured & ~deep & (count > 0.5)
    smooth = voxels.copy()
    smooth[surface] = total[surface] / count[surface]
    return smooth


def _spread(diameters: Map) -> Spread:
    values = diameters[diameters > 0].astype(np.float64)
    if not values.size:
        raise UsageError("local thickness of a structure that is finer than the grid")
    return Spread(float(values.mean()), float(values.std()), float(values.max()))


def resampled(name: str, values: Map, seen: SubVolumes) -> Statistic:
    """Mean and standard deviation of a map where it is not 0, of drawn sub-volumes (`bonectl.morphology.parted`).

    Parameters
    ----------
    name : str
        Of the mean; that of the deviation is ``name_sd``.
    values : (z, y, x) float32
        Its voxels may be larger than the specimen's.
    seen : SubVolumes
    """
    sums = np.stack([seen.sums(column) for column in (values > 0, values, np.square(values))], axis=1)

    def drawn(weights: Weights) -> dict[str, float]:
        count, total, squares = weights @ sums
        if not count:
            return {name: nan, f"{name}_sd": nan}
        return {name: total / count, f"{name}_sd": sqrt(max(0.0, squares / count - (total / count) ** 2))}

    return drawn
