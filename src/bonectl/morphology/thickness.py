"""Exact local thickness (Hildebrand & Rüegsegger, J. Microsc. 185:67, 1997).

The local thickness at a voxel is the diameter of the largest ball that lies inside the structure and contains the
voxel. Balls are centred on voxels; those that lie inside a neighbour's ball are dropped first (Remy & Thiel,
Pattern Recognit. Lett. 23:649, 2002), the rest are painted from the largest to the smallest, so that each voxel is
written once.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import inf

import numpy as np
from numpy.typing import NDArray

from bonectl.errors import DataError
from bonectl.morphology.distance import FAR, Distances, squared_distance
from bonectl.morphology.inscribed import STEPS, inscribe
from bonectl.morphology.isosurface import Level, smoothed, surface_points
from bonectl.morphology.painting import empty, paint, paint_balls
from bonectl.morphology.ridge import ridge_balls

Mask = NDArray[np.bool_]


def _checked_distance(inside: Mask, unknown: Mask | None) -> Distances:
    if max(inside.shape) >= np.iinfo(np.uint16).max:
        raise DataError(f"local thickness of an array of shape {inside.shape}; sides up to 65534 are possible")
    squared = squared_distance(inside if unknown is None else inside | unknown)
    if float(squared.max()) >= FAR:
        raise DataError("local thickness has no value: the structure fills the whole volume")
    return squared


def squared_radius(
    inside: Mask,
    *,
    region: Mask | None = None,
    unknown: Mask | None = None,
    tolerance: float = 0.0,
    threads: int = 2,
    finer: int = 1,
) -> Distances:
    """Squared radius of the largest ball at each voxel, from voxel centre to nearest background voxel centre.

    Parameters
    ----------
    inside : (z, y, x) bool
        The structure, on cubic voxels. What lies beyond the array neither bounds the balls nor holds centres.
    region : (z, y, x) bool, optional
        Where voxels have a radius; balls reach beyond, and into it from there, up to the largest that is centred in
        it. None is everywhere.
    unknown : (z, y, x) bool, optional
        Voxels that are as if they lay beyond the array.
    tolerance : float
        Voxels that are this much outside a ball still belong to it [voxel]: gives the staircase of the surface the
        thickness of the structure behind it. 0 is the definition to the letter.
    threads : int
    finer : int
        Balls are centred on the middle voxel of each block of so many voxels a side, and only there is their radius
        told; its length is that of the full grid.

    Returns
    -------
    (z // finer, y // finer, x // finer) float32
        [voxel² of that grid], 0 outside the structure.

    Raises
    ------
    DataError
        When there is nothing outside: no ball has an end.
    """
    squared = _checked_distance(inside, unknown)
    inside = _centred(squared, inside, region)
    if finer > 1:
        middles = tuple(slice(finer // 2, n // finer * finer, finer) for n in inside.shape)
        squared, inside = squared[middles] / np.float32(finer**2), np.ascontiguousarray(inside[middles])
    centres, radii = ridge_balls(squared, tolerance)
    squared.fill(0)
    paint(centres, radii, tolerance, empty(inside), squared, 2 * threads)
    return squared


def _centred(squared: Distances, inside: Mask, region: Mask | None) -> Mask:
    """The structure inside the region; squared radii of what holds no centre of a ball are set to 0.

    Balls beyond the region that reach into it count, up to the largest of those that are centred in it: the air
    around a specimen is no pore.
    """
    squared *= inside
    if region is None:
        return inside
    target = inside & region
    largest = np.max(squared, initial=0, where=target)
    squared[~region & (squared > largest)] = 0
    reach = int(np.sqrt(largest)) + 1
    for axis, length in enumerate(squared.shape):
        within = np.flatnonzero(region.any(axis=tuple({0, 1, 2} - {axis})))
        lines = np.moveaxis(squared, axis, 0)
        lines[: max(0, within[0] - reach)] = 0
        lines[min(length, within[-1] + reach + 1) :] = 0
    return target


def radius(
    inside: Mask,
    values: Distances,
    threshold: float,
    *,
    region: Mask | None = None,
    unknown: Mask | None = None,
    tolerance: float = 0.5,
    threads: int = 2,
) -> Distances:
    """Radius of the largest ball at each voxel, from its centre between the voxels to the surface between them.

    Balls start at the voxels that `squared_radius` would use; each is then moved by up to a voxel and grown until
    it touches the surface on opposite sides, the surface being where the grey values cross the threshold. So
    neither the centre nor the end of a radius is tied to the grid.

    Parameters
    ----------
    inside, region, unknown
        As `squared_radius`.
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
    levels: Levels = ((inf, lambda: Level(values, threshold)),)
    return _between_voxels(inside, levels, region, unknown, tolerance, threads)


# A mask is smoothed the more, the thicker the structure: up to so large a squared radius of the ball on the grid by a
# Gaussian of this standard deviation [voxel]. Terraces of the surface grow with its radius of curvature.
SCALES = ((4.5, 1.1), (9.0, 1.5), (inf, 2.0))

# The largest of many balls profits from what is left of the terraces, by this much [voxel]: the mean over plates and
# rods of 3 to 12 voxels.
PROFIT = 0.052


def mask_radius(
    inside: Mask,
    *,
    region: Mask | None = None,
    unknown: Mask | None = None,
    tolerance: float = 0.5,
    threads: int = 2,
) -> Distances:
    """As `radius`, of a structure of which nothing but its voxels is known.

    The faces of its voxels are no surface: a ball ends at the first of their corners, which made a rod of 4 voxels
    0.4 voxel thinner. Here the surface is where the mask, smoothed without moving curved surfaces, is one half.

    Parameters
    ----------
    inside, region, unknown, tolerance, threads
        As `radius`.

    Returns
    -------
    (z, y, x) float32
        [voxel], 0 outside the structure.

    Raises
    ------
    DataError
        When there is nothing outside: no ball has an end.
    """
    levels: Levels = tuple((limit, partial(smoothed, inside, unknown, sigma)) for limit, sigma in SCALES)
    radii = _between_voxels(inside, levels, region, unknown, tolerance, threads)
    np.maximum(radii - np.float32(PROFIT), 0, out=radii)
    return radii


# Up to which squared radius on the grid, the surface that bounds a ball.
Levels = Sequence[tuple[float, Callable[[], Level]]]


def _between_voxels(
    inside: Mask, levels: Levels, region: Mask | None, unknown: Mask | None, tolerance: float, threads: int
) -> Distances:
    """`radius`, of balls that each end at the surface of their size."""
    squared = _checked_distance(inside, unknown)
    # whole numbers, which take half of the memory as such; larger ones are quicker made again than kept
    kept = squared.astype(np.uint16) if squared.max() <= np.iinfo(np.uint16).max else None
    target = _centred(squared, inside, region)
    centres, radii = ridge_balls(squared, tolerance)
    # Only balls that are the largest somewhere matter: a small share of all.
    owns = paint(centres, radii, tolerance, empty(target), squared, 2 * threads)
    centres, radii = centres[owns], radii[owns]
    del owns
    squared[...] = _checked_distance(inside, unknown) if kept is None else kept
    del kept
    balls, least = [np.empty((0, 4), np.float32)], 0.0
    for limit, level in levels:
        these = (radii >= least) & (radii < limit)
        least = limit
        if these.any():
            points, start = surface_points(squared, inside, level())
            balls.append(inscribe(points, start, inside.shape, centres[these], radii[these], STEPS, 32 * threads))
            del points, start
    found = np.concatenate(balls)
    found = found[np.argsort(-found[:, 3], kind="stable")]
    squared.fill(0)
    paint_balls(found, tolerance, empty(target), squared, 2 * threads)
    _fill(target, squared)
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
