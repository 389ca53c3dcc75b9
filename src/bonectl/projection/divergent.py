"""Where the rays of a fan or cone beam run, in cells of the grid: what its projectors share.

Cells: the voxel with indices (y, x) lies at (x, y). At angle t the source lies at distance sod from the axis towards
(sin t, -cos t), the detector at sdd - sod on the other side, its columns along (cos t, sin t); the perpendicular from
the source meets it at column `centre`. A point is thus seen at column centre + sdd / pitch * s / (sod + w), with
s = X cos t + Y sin t and w = -X sin t + Y cos t, and as sod and sdd grow, where the parallel beam sees it.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bonectl.core.geometry import Geometry
from bonectl.projection.fsp import MM_PER_CM, Array


@dataclass(frozen=True, eq=False)
class Plan:
    """What all slices and views of one geometry share; made by `plan`, never changed.

    Attributes
    ----------
    size, columns, rows, slices : int
        Side of a slice, detector columns and rows, and slices. A fan has as many rows as come.
    views : (views, 6) float64
        (x, y) of the source and of the detector's column 0, and step from column to column [cell].
    seen : (views, 3, 3) float64
        ``[:, 0] @ (1, x, y)`` is a voxel's distance from the source along the perpendicular, as a share of sod;
        ``[:, 1] @ (1, x, y)`` over that, plus ``[:, 2, 0]``, is its column.
    lengths : (views, columns) float32
        Distance between two samples of the ray in the plane, in units of 10 mm.
    voxel, sod, sdd, pitch, row_pitch, centre : float
    """

    size: int
    columns: int
    rows: int
    slices: int
    views: NDArray[np.float64]
    seen: NDArray[np.float64]
    lengths: Array
    voxel: float
    sod: float
    sdd: float
    pitch: float
    row_pitch: float
    centre: float

    @property
    def zoom(self) -> float:
        """Distance between detector rows [voxel]."""
        return self.row_pitch / self.voxel

    def slants(self) -> NDArray[np.float64]:
        """Height over in-plane length of rays, (columns, rows)."""
        across = (np.arange(self.columns) - self.centre) * self.pitch
        height = (np.arange(self.rows) - (self.rows - 1) / 2) * self.row_pitch
        slants: NDArray[np.float64] = height / np.hypot(across, self.sdd)[:, None]
        return slants


def sizes_and_numbers(geometry: Geometry) -> tuple[list[int], list[float]]:
    """What `plan` wants to know of a geometry beside its angles."""
    assert geometry.sod is not None
    assert geometry.sdd is not None
    slices, size, _ = geometry.volume_shape
    sizes = [size, geometry.columns, geometry.rows, slices]
    lengths = [geometry.pitch, geometry.row_pitch, geometry.centre, geometry.voxel, geometry.sod, geometry.sdd]
    return sizes, lengths


def plan_of(geometry: Geometry) -> "Plan":
    """The plan for a geometry."""
    sizes, numbers = sizes_and_numbers(geometry)
    return plan(geometry.angles.degrees.tobytes(), (sizes[0], sizes[1], sizes[2], sizes[3]), tuple(numbers))


@lru_cache(maxsize=8)
def plan(degrees: bytes, sizes: tuple[int, int, int, int], numbers: tuple[float, ...]) -> Plan:
    """The plan for one geometry.

    Parameters
    ----------
    degrees : bytes
        Of the float64 angles.
    sizes : (4,) tuple of int
        Side of a slice, detector columns, rows, slices.
    numbers : (6,) tuple of float
        pitch, row pitch, centre [column], voxel, sod, sdd; lengths in mm.
    """
    size, columns, rows, slices = sizes
    pitch, row_pitch, centre, voxel, sod, sdd = numbers
    radians = np.deg2rad(np.frombuffer(degrees, dtype=np.float64))[:, None]
    along = np.concatenate([np.cos(radians), np.sin(radians)], axis=1)  # the way columns count
    beam = np.concatenate([-along[:, 1:], along[:, :1]], axis=1)  # the way the middle ray runs
    middle = (size - 1) / 2
    source = middle - beam * (sod / voxel)
    first = middle + (beam * (sdd - sod) - along * (centre * pitch)) / voxel
    step = along * (pitch / voxel)
    rays = first[:, None] + np.arange(columns)[None, :, None] * step[:, None] - source[:, None]
    seen = np.zeros((len(radians), 3, 3))
    seen[:, 0, 1:] = beam * (voxel / sod)
    seen[:, 0, 0] = 1 - seen[:, 0, 1:].sum(axis=1) * middle
    seen[:, 1, 1:] = along * (voxel * sdd / sod / pitch)
    seen[:, 1, 0] = -seen[:, 1, 1:].sum(axis=1) * middle
    seen[:, 2, 0] = centre
    lengths = np.linalg.norm(rays, axis=-1) / np.abs(rays).max(axis=-1) * (voxel / MM_PER_CM)
    return Plan(
        size=size,
        columns=columns,
        rows=rows,
        slices=slices,
        views=np.concatenate([source, first, step], axis=1),
        seen=seen,
        lengths=lengths.astype(np.float32),
        voxel=voxel,
        sod=sod,
        sdd=sdd,
        pitch=pitch,
        row_pitch=row_pitch,
        centre=centre,
    )
