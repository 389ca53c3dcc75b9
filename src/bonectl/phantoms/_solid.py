"""Solids given by a signed distance, rastered slice by slice with the share of each voxel that lies inside."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from bonectl.core.header import VOLUME, Header
from bonectl.core.lengths import SPOKEN, is_length
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack, chain
from bonectl.errors import UsageError
from bonectl.phantoms._grid import Grid

# (z, y, x) [mm] from the centre of the volume, broadcastable → distance to the surface [mm], negative inside. It must
# nowhere change faster than position does (1-Lipschitz), as every exact distance and every minimum of such does.
Distance = Callable[[Array, Array, Array], Array]

# Less than air weighs, and more than any matter [mgHA/cm³]; hydroxyapatite has 3160.
LIGHTEST, DENSEST = 1e-3, 1e5

# Surface voxels that are sampled finely at a time: bounds the memory.
CHUNK = 4096


def solid(grid: Grid, distance: Distance, answers: Mapping[str, float], *, mineral: float, oversample: int) -> Stack:
    """The stack of a solid of uniform mineral.

    Parameters
    ----------
    grid : Grid
    distance : callable
        Signed distance to the surface.
    answers : mapping
        What is known exactly; `tv_mm3`, `bvtv` (from `bv_mm3`) and the mineral are added.
    mineral : float
        Density inside [mgHA/cm³].
    oversample : int
        Samples per voxel side where the surface runs.

    Raises
    ------
    UsageError
        When a knob makes no sense.
    """
    check_samples(oversample)
    if not LIGHTEST <= mineral <= DENSEST:
        raise UsageError(f"mineral={mineral:g} mgHA/cm3; it must be from {LIGHTEST:g} to {DENSEST:g}")
    total = float(np.prod(grid.shape)) * grid.voxel**3
    known = {
        "tv_mm3": total,
        "bvtv": answers["bv_mm3"] / total,
        **answers,
        "bmd_mgha_cm3": mineral * answers["bv_mm3"] / total,
        "tmd_mgha_cm3": mineral,
    }
    header = Header(shape=grid.shape, axes=VOLUME, spacing=(grid.voxel,) * 3, unit="mgHA/cm3", answers=known)
    return chain(header, _slices(grid, distance, mineral, oversample))


def check_samples(oversample: int) -> None:
    """Refuse oversampling below 1 or beyond 16."""
    if not 1 <= oversample <= 16:
        raise UsageError(f"oversample={oversample}; give 1 to 16 samples per voxel side")


def inside(name: str, needed: float, there: float) -> None:
    """Refuse a solid [mm] that does not fit into the volume [mm], or has no size."""
    if not is_length(needed):
        raise UsageError(f"{name} of {needed:g} mm; it must be {SPOKEN}")
    if needed > there * (1 + 1e-9):
        raise UsageError(f"{name} of {needed:g} mm does not fit into a volume of {there:g} mm; turn its knobs")


def _slices(grid: Grid, distance: Distance, mineral: float, oversample: int) -> Iterator[NDArray[np.float32]]:
    shape, voxel = grid.shape, grid.voxel
    z, y, x = ((np.arange(n, dtype=np.float64) + (1 - n) / 2) * voxel for n in shape)
    sub = ((np.arange(oversample) + 0.5) / oversample - 0.5) * voxel
    offsets = np.stack(np.meshgrid(sub, sub, sub, indexing="ij"), axis=-1).reshape(-1, 3)
    reach = voxel * (np.sqrt(3.0) / 2 + 0.5 / oversample)  # from a voxel's centre to where a corner's sample ends
    for height in z:
        depth = np.broadcast_to(distance(height, y[:, None], x[None, :]), shape[1:])
        share = (depth < 0).astype(np.float64)
        rows, columns = np.nonzero(np.abs(depth) < reach)
        for start in range(0, len(rows), CHUNK):
            r, c = rows[start : start + CHUNK], columns[start : start + CHUNK]
            fine = distance(height + offsets[:, 0], y[r, None] + offsets[:, 1], x[c, None] + offsets[:, 2])
            # The share of a sample's own cube that lies inside a plane at this distance, across a face: binary
            # samples would be wrong by 3 % in a rod of four voxels that lies on the grid.
            part = np.clip(0.5 - fine * (oversample / voxel), 0.0, 1.0)
            share[r, c] = np.broadcast_to(part, (len(r), len(offsets))).mean(axis=1)
        yield (share * mineral).astype(np.float32)[None]
