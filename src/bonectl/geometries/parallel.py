"""Parallel beam: a synchrotron, or a source far away."""

from math import ceil, sqrt

from bonectl.core.geometry import Angles, Geometry
from bonectl.core.lengths import check_lengths


def parallel(  # noqa: PLR0913 (three flow, six are knobs)
    size: int,
    rows: int,
    voxel: float,
    *,
    views: int = 720,
    arc: float = 180.0,
    start: float = 0.0,
    columns: int = 0,
    centre: float = -1.0,
    pitch: float = 0.0,
) -> Geometry:
    """Parallel rays, the sample turning about an axis along the detector's rows.

    Parameters
    ----------
    size : int
        Side of the square (y, x) grid [voxel].
    rows : int
        Detector rows, one per slice.
    voxel : float
        Side of a voxel [mm].
    views : int
        Views, evenly spaced by ``arc / views``.
    arc : float
        Angle covered [degree]; the last view lies one step before its end. Negative turns the other way.
    start : float
        Angle of the first view [degree]: at 0 columns count along x, at 90 along y.
    columns : int
        Detector columns; 0: enough for the diagonal of the grid.
    centre : float
        Detector column (0-based, fractional) of the rotation axis; -1: the middle of the detector.
    pitch : float
        Width of a detector pixel [mm]; 0: the voxel's.

    Raises
    ------
    UsageError
        When there are no views, or a length or a count is not positive.
    """
    pitch = pitch or voxel
    check_lengths(pitch=pitch, voxel=voxel)
    columns = columns or ceil(sqrt(2.0) * size * voxel / pitch) + 2
    return Geometry(
        kind="parallel",
        angles=Angles(start, arc / max(views, 1), views),
        rows=rows,
        columns=columns,
        pitch=pitch,
        row_pitch=voxel,
        centre=(columns - 1) / 2 if centre == -1.0 else centre,
        size=size,
        voxel=voxel,
    )
