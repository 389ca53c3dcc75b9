"""Where the rays of a fan or cone beam run, in cells of the grid: what its projectors share.

Cells: the voxel with indices (y, x) lies at (x, y). At angle t the source lies at distance sod from the axis towards
(sin t, -cos t), the detector at sdd - sod on the other side, turned as `Geometry.detector_axes` says; the ray through
the axis, in the plane of the orbit, meets it at column `centre` and row `principal_row`. An upright detector's columns
count along (cos t, sin t): it sees a point at column centre + sdd / pitch * s / (sod + w), with s = X cos t + Y sin t
and w = -X sin t + Y cos t, and as sod and sdd grow, where the parallel beam sees it.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bonectl.core.geometry import Geometry
from bonectl.core.lengths import MM_PER_CM
from bonectl.core.slabs import Array

# Sides from which on caches hold fewer slices.
LARGE = 1024


def block(size: int) -> int:
    """Slices of a fan beam carried together for slices of this side: about what the caches hold."""
    return 64 if size < LARGE else 32


@dataclass(frozen=True, eq=False)
class Tables:
    """What all slices and views of one geometry share; made by `tables`, never changed.

    Attributes
    ----------
    size, columns, rows, slices : int
        Side of a slice, detector columns and rows, and slices. A fan has as many rows as come.
    views : (views, 6) float64
        (x, y) of the source and of the detector's column 0 in the plane of the orbit, and step from column to column
        [cell].
    seen : (views, 3, 3) float64
        ``[:, 0] @ (1, x, y)`` is a voxel's distance from the source along e_n, as a share of sod; ``[:, 1] @ (1, x,
        y)`` over that, plus ``[:, 2, 0]``, is its column on an upright detector.
    rays : (views, 4, 3) float64
        (x, y, z) of the source, and from it to the detector's pixel (0, 0); steps from column to column and from row
        to row [cell].
    lengths : (views, columns) float32
        Distance between two samples of the ray in the plane of the orbit, in units of 10 mm.
    axes : (2, 3) float64
        `Geometry.detector_axes`.
    voxel, sod, sdd, pitch, row_pitch, centre, row_centre : float
    """

    size: int
    columns: int
    rows: int
    slices: int
    views: NDArray[np.float64]
    seen: NDArray[np.float64]
    rays: NDArray[np.float64]
    lengths: Array
    axes: NDArray[np.float64]
    voxel: float
    sod: float
    sdd: float
    pitch: float
    row_pitch: float
    centre: float
    row_centre: float

    @property
    def zoom(self) -> float:
        """Distance between detector rows [voxel]."""
        return self.row_pitch / self.voxel

    @property
    def is_aligned(self) -> bool:
        """Whether detector columns are parallel to the axis, so that rays of a column run above each other."""
        return not (self.axes[0, 2] or self.axes[1, 0] or self.axes[1, 1])

    def crossings(self, first: int, last: int) -> NDArray[np.float64]:
        """How the rays of columns run through the lines of the grid, in views [first, last).

        Returns
        -------
        (views, columns, 5) float64
            1 where lines are columns of the grid (the ray runs closer to x), 0 where they are rows; start and slope:
            the ray crosses line i at cell ``start + i slope``; the line on which the source lies, and lines from there
            to the detector.
        """
        source, first_column, step = (self.views[first:last, None, k : k + 2] for k in (0, 2, 4))
        ray = first_column + np.arange(self.columns)[:, None] * step - source
        flat = np.abs(ray[..., 0]) > np.abs(ray[..., 1])
        minor, major = np.where(flat, ray[..., 1], ray[..., 0]), np.where(flat, ray[..., 0], ray[..., 1])
        beside, line = (np.where(flat, source[..., k], source[..., 1 - k]) for k in (1, 0))
        slope = minor / major
        return np.stack([flat, beside - line * slope, slope, line, major], axis=-1)

    def slants(self) -> NDArray[np.float64]:
        """Height over length in the plane of the orbit, of the rays to an aligned detector: (columns, rows)."""
        across = ((np.arange(self.columns) - self.centre) * self.pitch)[:, None] * self.axes[0, :2] + [0.0, self.sdd]
        height = (np.arange(self.rows) - self.row_centre) * self.row_pitch
        slants: NDArray[np.float64] = height / np.hypot(across[:, 0], across[:, 1])[:, None]
        return slants


def sizes_and_numbers(geometry: Geometry) -> tuple[list[int], list[float]]:
    """What `tables` wants to know of a geometry beside its angles."""
    assert geometry.sod is not None
    assert geometry.sdd is not None
    slices, size, _ = geometry.volume_shape
    sizes = [size, geometry.columns, geometry.rows, slices]
    lengths = [geometry.pitch, geometry.row_pitch, geometry.centre, geometry.voxel, geometry.sod, geometry.sdd]
    return sizes, [*lengths, geometry.principal_row, *geometry.detector_axes.ravel().tolist()]


def tables_of(geometry: Geometry) -> "Tables":
    """The tables for a geometry."""
    sizes, numbers = sizes_and_numbers(geometry)
    return tables(geometry.angles.degrees.tobytes(), (sizes[0], sizes[1], sizes[2], sizes[3]), tuple(numbers))


@lru_cache(maxsize=8)
def tables(degrees: bytes, sizes: tuple[int, int, int, int], numbers: tuple[float, ...]) -> Tables:
    """The tables for one geometry.

    Parameters
    ----------
    degrees : bytes
        Of the float64 angles.
    sizes : (4,) tuple of int
        Side of a slice, detector columns, rows, slices.
    numbers : (13,) tuple of float
        pitch, row pitch, centre [column], voxel, sod, sdd, principal row; lengths in mm. Then what
        `Geometry.detector_axes` holds.
    """
    size, columns, rows, slices = sizes
    pitch, row_pitch, centre, voxel, sod, sdd, row_centre = numbers[:7]
    across, down = np.array(numbers[7:]).reshape(2, 3)
    radians = np.deg2rad(np.frombuffer(degrees, dtype=np.float64))
    cosine, sine, none = np.cos(radians), np.sin(radians), np.zeros(radians.size)
    frame = np.stack(  # e_u, e_n, e_v of every view
        [np.stack([cosine, sine, none], -1), np.stack([-sine, cosine, none], -1), np.stack([none, none, none + 1], -1)],
        axis=1,
    )
    middle = (size - 1) / 2
    rays = np.empty((radians.size, 4, 3))
    rays[:, 0] = [middle, middle, (slices - 1) / 2] - frame[:, 1] * (sod / voxel)
    rays[:, 2] = across @ frame * (pitch / voxel)
    rays[:, 3] = down @ frame * (row_pitch / voxel)
    rays[:, 1] = frame[:, 1] * (sdd / voxel) - centre * rays[:, 2] - row_centre * rays[:, 3]
    # in the plane of the orbit, which is the way of all rows of an aligned detector
    flat = rays[:, 1, None, :2] + np.arange(columns)[None, :, None] * rays[:, 2, None, :2]
    flat = flat + row_centre * rays[:, 3, None, :2]
    seen = np.zeros((radians.size, 3, 3))
    seen[:, 0, 1:] = frame[:, 1, :2] * (voxel / sod)
    seen[:, 0, 0] = 1 - seen[:, 0, 1:].sum(axis=1) * middle
    seen[:, 1, 1:] = frame[:, 0, :2] * (voxel * sdd / sod / pitch)
    seen[:, 1, 0] = -seen[:, 1, 1:].sum(axis=1) * middle
    seen[:, 2, 0] = centre
    lengths = np.linalg.norm(flat, axis=-1) / np.abs(flat).max(axis=-1) * (voxel / MM_PER_CM)
    return Tables(
        size=size,
        columns=columns,
        rows=rows,
        slices=slices,
        views=np.concatenate([rays[:, 0, :2], rays[:, 0, :2] + flat[:, 0], rays[:, 2, :2]], axis=1),
        seen=seen,
        rays=rays,
        lengths=lengths.astype(np.float32),
        axes=np.stack([across, down]),
        voxel=voxel,
        sod=sod,
        sdd=sdd,
        pitch=pitch,
        row_pitch=row_pitch,
        centre=centre,
        row_centre=row_centre,
    )
