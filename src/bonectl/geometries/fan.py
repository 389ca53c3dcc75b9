"""Fan beam: a point source, and a line of pixels for every slice."""

from math import ceil, sqrt

from bonectl.core.geometry import Angles, Geometry
from bonectl.core.lengths import check_lengths


def fan(  # noqa: PLR0913 (three flow, nine are knobs)
    size: int,
    rows: int,
    voxel: float,
    *,
    sod: float = 200.0,
    sdd: float = 400.0,
    views: int = 720,
    arc: float = 360.0,
    start: float = 0.0,
    columns: int = 0,
    centre: float = -1.0,
    pitch: float = 0.0,
    slant: float = 0.0,
) -> Geometry:
    """Rays from a source that turns with a flat detector; every slice has a source and a row of its own.

    The source lies on the side where a parallel ray of the same angle comes from, and the perpendicular from the
    source to the detector passes through the axis. Where the source lies d beside the
    perpendicular through the axis, towards higher columns, the detector has a `slant` of -asin(d / sod); sod and sdd
    are then measured along the ray through the axis, which meets it at `centre`.

    Parameters
    ----------
    size : int
        Side of the square (y, x) grid [voxel].
    rows : int
        Detector rows, one per slice.
    voxel : float
        Side of a voxel, and distance between slices [mm].
    sod, sdd : float
        Distance from the source to the rotation axis, and to the detector [mm].
    views : int
        Views, evenly spaced by ``arc / views``.
    arc : float
        Angle covered [degree]; the last view lies one step before its end. Negative turns the other way. Below
        360, at least 180 and the fan's own angle are needed.
    start : float
        Angle of the first view [degree]: at 0 columns count along x, at 90 along y.
    columns : int
        Detector columns; 0: enough for the diagonal of the grid.
    centre : float
        Detector column (0-based, fractional) of the rotation axis; -1: the middle of the detector.
    pitch : float
        Width of a detector pixel [mm]; 0: that of a voxel on the axis as the detector sees it.
    slant : float
        Turn of the detector about its middle column, along the axis [degree]; positive takes higher columns away
        from the source (`bonectl.core.geometry.Geometry.detector_axes`).

    Raises
    ------
    UsageError
        When there are no views, a length or a count is not positive, the source lies in the grid, or slant is 45
        degrees or more.
    """
    check_lengths(sod=sod, sdd=sdd, voxel=voxel)
    pitch = pitch or voxel * sdd / sod
    check_lengths(pitch=pitch)
    rim = size * voxel / sqrt(2.0)
    columns = columns or ceil(2 * rim * sdd / sqrt(max(sod**2 - rim**2, 1e-12)) / pitch) + 2
    return Geometry(
        kind="fan",
        angles=Angles(start, arc / max(views, 1), views),
        rows=rows,
        columns=columns,
        pitch=pitch,
        row_pitch=voxel,
        centre=(columns - 1) / 2 if centre == -1.0 else centre,
        size=size,
        voxel=voxel,
        sod=float(sod),
        sdd=float(sdd),
        slant=slant,
    )
