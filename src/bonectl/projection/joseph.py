"""Parallel-beam projection by interpolation along rays, and its exact transpose.

Joseph's method (IEEE Trans. Med. Imaging 1, 192, 1982): a ray is sampled once in every row of the grid, or in every
column when it runs closer to them, by linear interpolation between the two nearest voxels, and the samples are
added up with the distance between them. Nothing is shared with `projection.fsp`: each is the other's check.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from bonectl.core.geometry import Geometry
from bonectl.core.lengths import MM_PER_CM
from bonectl.core.slabs import Array

# Slices carried together.
BLOCK = 32
# Zeros around a grid and a detector, so that a tap outside reads 0 [cell].
MARGIN = 1


class Beam(NamedTuple):
    """What the tables of a parallel beam are made from; equal beams have the same tables.

    Parameters
    ----------
    degrees : bytes
        Of the float64 angles.
    columns : int
    pitch : float
        Of the columns [mm].
    centre : float
        Column of the rotation axis.
    size : int
        Side of a slice [voxel].
    voxel : float
        [mm].
    """

    degrees: bytes
    columns: int
    pitch: float
    centre: float
    size: int
    voxel: float

    @classmethod
    def of(cls, geometry: Geometry) -> Self:
        """The beam of a geometry."""
        g = geometry
        return cls(g.angles.degrees.tobytes(), g.columns, g.pitch, g.centre, g.size, g.voxel)


@dataclass(frozen=True, eq=False)
class Tables:
    """What all slices of one geometry share; made by `tables`, never changed.

    Attributes
    ----------
    size, columns : int
        Side of the slice, and detector columns.
    order : (views,) int64
        Views by direction.
    rays : (views, 5) float64
        In that order: the ray of column c crosses line i of the grid at cell ``rays[0] + c rays[1] + i rays[2]``;
        lines are rows when ``rays[3]`` is 0, columns when it is 1. ``rays[4]`` is 1 / ``rays[1]``.
    lengths : (views,) float32
        Distance between two samples, in units of 10 mm.
    """

    size: int
    columns: int
    order: NDArray[np.int64]
    rays: NDArray[np.float64]
    lengths: Array

    def crossings(self, first: int, last: int) -> NDArray[np.float64]:
        """The rays of views [first, last), in that order, as `projection.numba.kernels_joseph.walk` takes them."""
        start, per_column, slope, flat = (self.rays[first:last, k, None] for k in range(4))
        return np.stack(np.broadcast_arrays(flat, start + np.arange(self.columns) * per_column, slope), axis=-1)


@lru_cache(maxsize=8)
def tables(beam: Beam) -> Tables:
    """The tables for one geometry."""
    degrees, columns, pitch, centre, size, voxel = beam
    radians = np.deg2rad(np.frombuffer(degrees, dtype=np.float64))
    order = np.argsort(np.mod(radians, np.pi), kind="stable")
    cosine, sine = np.cos(radians[order]), np.sin(radians[order])
    flat = np.abs(sine) > np.abs(cosine)
    major, minor = np.where(flat, sine, cosine), np.where(flat, cosine, sine)
    middle = (size - 1) / 2
    per_column = pitch / voxel / major
    start = (middle * minor) / major + middle - centre * per_column
    return Tables(
        size=size,
        columns=columns,
        order=order,
        rays=np.stack([start, per_column, -minor / major, flat.astype(np.float64), 1 / per_column], axis=1),
        lengths=(voxel / MM_PER_CM / np.abs(major)).astype(np.float32),
    )
