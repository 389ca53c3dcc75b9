"""Resolution from the spread of the edges of bone."""

from math import log, nan, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.optimize import curve_fit
from scipy.spatial import cKDTree
from scipy.special import erf

from bonectl.core.counted import counted
from bonectl.core.table import Number
from bonectl.errors import UsageError
from bonectl.morphology.distance import squared_distance
from bonectl.morphology.specimen import Specimen

# What the register knows of it (core/kit.py).
USUAL = ""
PLACE = 25
BYTES = 52.0
KEEPS = ()
SYMBOLS = ()

# Width of a bin of signed distance [voxel].
BIN = 0.25

# At most so many voxels are looked at, evenly spread over the edges; they are few enough for a k-d tree.
VOXELS = 200_000

# Fewer edges than this tell nothing.
FEWEST = 200

Points = NDArray[np.float64]


def mtf(specimen: Specimen, reference: Specimen, *, reach: float = 4.0) -> tuple[Number, ...]:
    """Edge spread of the volume across the surface of the reference bone, and where its MTF falls to 10 %.

    The surface of the reference is known between the voxels, where its values cross the threshold. The volume's
    values are averaged by their signed distance to it, and a + b erf((x - shift) / (√2 σ)) is fitted, which noise
    does not bias. With a Gaussian edge MTF(f) = exp(-2 π² σ² f²). The box of a voxel, variance 1/12, is in σ; so
    is what moved the surface back and forth.

    Parameters
    ----------
    specimen, reference : Specimen
        With grey values, cubic voxels; the reference, sharp and without noise, may be a mask.
    reach : float
        On both sides of the surface [voxel]: an edge counts where `reach` deep along its normal there is still bone,
        or marrow, for three quarters of it around; thin walls would read too sharp. At least twice σ.

    Returns
    -------
    edge_sigma, edge_shift : mm
    mtf10 : 1/mm
    mtf10_um : um
    """
    if not reach >= 1:
        raise UsageError(f"mtf(reach={reach:g}); at least 1 voxel is needed")
    side = specimen.side("mtf")
    grey = specimen.values("mtf")
    distances, values = _edge_profile(grey, reference, specimen.voi, reach)
    sigma, shift = edge_spread(distances, values, reach)
    frequency = sqrt(log(10) / 2) / (pi * sigma * side)
    return (
        Number("edge_sigma", sigma * side, "mm", "standard deviation of the edge spread across the reference surface"),
        Number("edge_shift", shift * side, "mm", "edge beyond the reference surface; positive: bone has shrunk"),
        Number("mtf10", frequency, "1/mm", "spatial frequency at which exp(-2 π² σ² f²) is 10 %"),
        Number("mtf10_um", 500 / frequency, "um", "half the period of mtf10: the smallest detail at 10 % contrast"),
    )


def edge_spread(distances: Points, values: Points, reach: float) -> tuple[float, float]:
    """Standard deviation and shift [voxel] of the error function through values by signed distance [voxel]."""
    bins = np.floor((distances + reach) / BIN).astype(np.intp)
    counts = np.bincount(bins)
    kept = counts > 0
    x = (np.bincount(bins, distances)[kept]) / counts[kept]
    mean = np.bincount(bins, values)[kept] / counts[kept]
    low, high = float(mean[x < -reach / 2].mean()), float(mean[x > reach / 2].mean())
    start = ((low + high) / 2, (high - low) / 2, 0.0, 1.0)

    def edge(x: Points, middle: float, half: float, shift: float, sigma: float) -> Points:
        curve: Points = middle + half * erf((x - shift) / (sqrt(2) * sigma))
        return curve

    try:
        fit, _ = curve_fit(edge, x, mean, start, sigma=1 / np.sqrt(counts[kept]))
    except RuntimeError:
        return nan, nan
    sigma = abs(float(fit[3]))
    return (sigma, float(fit[2])) if 0 < sigma < reach and fit[1] * np.sign(fit[3]) > 0 else (nan, nan)


def _edge_profile(
    grey: NDArray[np.number], reference: Specimen, voi: NDArray[np.bool_], reach: float
) -> tuple[Points, Points]:
    """Signed distance to the reference surface [voxel], bone positive, and the values there."""
    field, threshold = _field(reference)
    depth = _depth(reference.bone)
    points = _crossings(field, threshold)
    normals = _normals(field, points)
    lone = _is_lone_edge(depth, voi, points, normals, reach)
    if lone.sum() < FEWEST:
        raise UsageError(
            f"mtf finds {counted(int(lone.sum()), 'point')}"
            f" of the reference surface with {reach:g} voxels of bone and of "
            f"marrow behind them; {FEWEST} are needed"
        )
    near = np.argwhere((np.abs(depth) < reach + 1) & voi)
    near = near[:: max(1, len(near) // VOXELS)]
    _, nearest = cKDTree(points).query(near, distance_upper_bound=reach + 2)
    found = nearest < len(points)
    near, nearest = near[found], nearest[found]
    use = lone[nearest]
    near, nearest = near[use], nearest[use]
    distance = ((near - points[nearest]) * normals[nearest]).sum(1)
    inside = np.abs(distance) < reach
    return distance[inside], grey[tuple(near[inside].T)].astype(np.float64)


def _field(reference: Specimen) -> tuple[NDArray[np.float64], float]:
    """What the reference surface is a level of; a mask is smoothed a little, its staircase is no surface."""
    if reference.is_mask or reference.grey is None:
        return gaussian_filter(reference.bone.astype(np.float64), 1.0), 0.5
    return reference.threshold.filter(reference.grey).astype(np.float64), reference.threshold.value


def _depth(bone: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance to the surface of a mask, half a voxel exact [voxel]; positive in bone."""
    inside = np.sqrt(squared_distance(bone)) - 0.5
    outside = np.sqrt(squared_distance(~bone)) - 0.5
    return np.where(bone, inside, -outside).astype(np.float32)


def _crossings(field: NDArray[np.float64], threshold: float) -> Points:
    """Where the field crosses the threshold between neighbouring voxels, linear; (n, 3) z, y, x."""
    above = field > threshold
    found = []
    for axis in range(3):
        here = [slice(None)] * 3
        there = [slice(None)] * 3
        here[axis], there[axis] = slice(None, -1), slice(1, None)
        cut = np.argwhere(above[tuple(here)] != above[tuple(there)])
        a = field[tuple(here)][tuple(cut.T)]
        b = field[tuple(there)][tuple(cut.T)]
        place = cut.astype(np.float64)
        place[:, axis] += (threshold - a) / (b - a)
        found.append(place)
    return np.concatenate(found)


def _normals(field: NDArray[np.float64], points: Points) -> Points:
    """Unit vectors into the bone at each point."""
    slopes = [
        map_coordinates(gaussian_filter(field, 1.0, order=[int(axis == k) for k in range(3)]), points.T, order=1)
        for axis in range(3)
    ]
    vectors = np.stack(slopes, axis=1)
    unit: Points = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit


def _is_lone_edge(
    depth: NDArray[np.float32], voi: NDArray[np.bool_], points: Points, normals: Points, reach: float
) -> NDArray[np.bool_]:
    """Which points have bone before them and marrow behind them as far as `reach`, inside the volume of interest."""
    lone = np.ones(len(points), bool)
    limits = np.array(depth.shape) - 1
    for sign in (1, -1):
        place = points + sign * reach * normals
        lone &= ((place >= 0) & (place <= limits)).all(1)
        nearest = tuple(np.rint(np.clip(place, 0, limits)).astype(np.intp).T)
        lone &= (sign * depth[nearest] >= 0.75 * reach) & voi[nearest]
    return lone
