"""Cone beam: a point source and a flat detector, as in a desktop scanner."""

from math import ceil, sqrt

from bonectl.core.geometry import Angles, Geometry
from bonectl.core.lengths import check_lengths
from bonectl.errors import UsageError

# Half the cone's angle stays below 45 degrees, as tan: rays are followed from slice plane to slice plane.
STEEPEST = 1.0


def cone(  # noqa: PLR0913 (three flow, fourteen are knobs)
    size: int,
    slices: int,
    voxel: float,
    *,
    sod: float = 200.0,
    sdd: float = 400.0,
    views: int = 720,
    arc: float = 360.0,
    start: float = 0.0,
    rows: int = 0,
    columns: int = 0,
    centre: float = -1.0,
    pitch: float = 0.0,
    row_centre: float = -1.0,
    roll: float = 0.0,
    tilt: float = 0.0,
    slant: float = 0.0,
) -> Geometry:
    """Rays from a source that turns with a flat detector on a circle around the middle slice.

    The perpendicular from the source to an upright detector passes through the axis; it meets the detector at
    (`row_centre`, `centre`). A detector that is turned by `roll`, `tilt` and `slant` turns about that point
    (`bonectl.core.geometry.Geometry.detector_axes`; the angles called skew, tilt and slant by von Smekal et al.,
    Med. Phys. 31, 3242, 2004). Where the source lies d beside
    the perpendicular through the axis, towards higher columns, the detector has a `slant` of -asin(d / sod); sod and
    sdd are then measured along the ray through the axis.

    Parameters
    ----------
    size : int
        Side of the square (y, x) grid [voxel].
    slices : int
        Slices of the grid.
    voxel : float
        Side of a voxel [mm].
    sod, sdd : float
        Distance from the source to the rotation axis, and to the detector [mm].
    views : int
        Views, evenly spaced by ``arc / views``.
    arc : float
        Angle covered [degree]; the last view lies one step before its end. Negative turns the other way. Below
        360, at least 180 and the fan's own angle are needed.
    start : float
        Angle of the first view [degree]: at 0 columns count along x, at 90 along y.
    rows, columns : int
        Detector pixels along the axis, and across it; 0: enough for the corners of the grid.
    centre : float
        Detector column (0-based, fractional) of the rotation axis; -1: the middle of the detector.
    pitch : float
        Width and height of a detector pixel [mm]; 0: those of a voxel on the axis as the detector sees it.
    row_centre : float
        Detector row (0-based, fractional) in the plane of the orbit; -1: the middle of the detector.
    roll : float
        Turn of the detector in its plane [degree]; positive takes columns towards higher rows.
    tilt : float
        Turn about its rows' direction [degree]; positive takes higher rows away from the source.
    slant : float
        Turn about the direction of the axis [degree]; positive takes higher columns away from the source.

    Raises
    ------
    UsageError
        When there are no views, a length or a count is not positive, the source lies in the grid, the detector
        is seen from the source under half an angle of 45 degrees or more along the axis, or it is turned by 45
        degrees or more.
    """
    check_lengths(sod=sod, sdd=sdd, voxel=voxel)
    pitch = pitch or voxel * sdd / sod
    check_lengths(pitch=pitch)
    rim = size * voxel / sqrt(2.0)
    columns = columns or ceil(2 * rim * sdd / sqrt(max(sod**2 - rim**2, 1e-12)) / pitch) + 2
    rows = rows or ceil(slices * voxel * sdd / max(sod - rim, 1e-12) / pitch) + 2
    geometry = Geometry(
        kind="cone",
        angles=Angles(start, arc / max(views, 1), views),
        rows=rows,
        columns=columns,
        pitch=pitch,
        row_pitch=pitch,
        centre=(columns - 1) / 2 if centre == -1.0 else centre,
        size=size,
        voxel=voxel,
        sod=float(sod),
        sdd=float(sdd),
        slices=slices,
        row_centre=None if row_centre == -1.0 else row_centre,
        roll=roll,
        tilt=tilt,
        slant=slant,
    )
    if max(geometry.principal_row, rows - 1 - geometry.principal_row) * pitch >= STEEPEST * sdd:
        raise UsageError(f"{rows} rows of {pitch:g} mm at {sdd:g} mm: half the cone's angle must stay below 45 degrees")
    return geometry
