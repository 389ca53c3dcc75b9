"""The cone beam of a scanner whose files give distances, and the grid that its detector sees."""

from dataclasses import dataclass
from math import asin, atan2, ceil, degrees, sqrt

import numpy as np
from numpy.typing import NDArray

from bonectl.core.geometry import NEAREST, Angles, Geometry

# Turns of the detector below this are rounding [degree].
UPRIGHT = 1e-5

Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A flat detector as a scanner describes it: rows × columns pixels of some height and width [mm]."""

    rows: int
    columns: int
    pitch: float
    row_pitch: float


def upright(
    camera: Camera, angles: Angles, sod: float, sdd: float, *, centre: float | None = None, row: float | None = None
) -> Geometry:
    """A detector that faces the source.

    Parameters
    ----------
    camera : Camera
    angles : Angles
    sod, sdd : float
        Distance from the source to the axis, and to the detector [mm].
    centre, row : float, optional
        Column of the axis and row of the central beam; the middle of the detector where they are not known.
    """
    return _on_grid(
        Geometry(
            kind="cone",
            angles=angles,
            rows=camera.rows,
            columns=camera.columns,
            pitch=camera.pitch,
            row_pitch=camera.row_pitch,
            centre=(camera.columns - 1) / 2 if centre is None else centre,
            size=1,
            voxel=camera.pitch * sod / sdd,
            sod=sod,
            sdd=sdd,
            slices=1,
            row_centre=row,
        )
    )


def leaning(camera: Camera, angles: Angles, sdd: float, point: Vector, axis: Vector) -> Geometry:
    """An axis anywhere before a detector that is met at its middle by the perpendicular from the source.

    In the detector's own frame, with the source at the origin: (along columns, along the beam, along rows), which is
    right-handed. `Geometry` has the axis upright instead, and the detector turned: its plane of the orbit is through
    the source and perpendicular to the axis, e_n runs from the source to the nearest point of the axis, and meets the
    detector at (`row_centre`, `centre`).

    Parameters
    ----------
    camera : Camera
    angles : Angles
        Of an axis that is straight before the source; the others' frames are turned by what they lie beside it.
    sdd : float
        Distance from the source to the detector [mm].
    point, axis : (3,) array
        A point of the axis [mm], and its unit vector towards higher rows.
    """
    foot = point - (point @ axis) * axis
    sod = float(np.linalg.norm(foot))
    e_n = foot / sod
    e_u = np.cross(e_n, axis)
    turned = np.stack([e_u, e_n, axis], axis=1)  # of the detector's columns, normal and rows in the axis' frame
    (c_u, c_n, c_v), (r_u, r_n, r_v) = turned[0], turned[2]
    normal = np.cross((c_u, c_n, c_v), (r_u, r_n, r_v))
    met = e_n * (sdd / e_n[1])
    beside = degrees(atan2(e_n[0], e_n[1]))
    shifted = angles.degrees - beside
    turns = {
        "slant": degrees(atan2(normal[0], -normal[1])),
        "tilt": degrees(asin(normal[2])),
        "roll": degrees(atan2(c_v, r_v)),
    }
    return _on_grid(
        Geometry(
            kind="cone",
            angles=Angles(angles.start - beside, angles.step, angles.count)
            if angles.listed is None
            else Angles.of(shifted),
            rows=camera.rows,
            columns=camera.columns,
            pitch=camera.pitch,
            row_pitch=camera.row_pitch,
            centre=(camera.columns - 1) / 2 + float(met[0]) / camera.pitch,
            size=1,
            voxel=camera.pitch * sod / sdd,
            sod=sod,
            sdd=sdd / float(e_n[1]),
            slices=1,
            row_centre=(camera.rows - 1) / 2 + float(met[2]) / camera.row_pitch,
            **{name: turn for name, turn in turns.items() if abs(turn) > UPRIGHT},
        )
    )


def _on_grid(geometry: Geometry) -> Geometry:
    """With the voxels that the detector sees, and no corner of the grid as far from the axis as the source."""
    sod = float(geometry.sod or 0)
    widest = int((sod / geometry.voxel - NEAREST) * sqrt(2)) - 1
    row = geometry.principal_row
    higher = max(row + 0.5, geometry.rows - 0.5 - row) * geometry.row_pitch / geometry.pitch
    return geometry.replace(size=max(1, min(geometry.seen, widest)), slices=max(1, ceil(2 * higher - 1e-6)))
