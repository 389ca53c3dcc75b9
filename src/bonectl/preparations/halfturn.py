"""A full turn with the axis off the middle of the detector, as half a turn of a wider detector."""

from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import shift

from bonectl.core.geometry import Geometry
from bonectl.core.preparation import Plane, Setting, Step
from bonectl.errors import UsageError

WORKS = "sinograms"
READS = ("transmission", "line integral")
GIVES = ""
MOVES = True
ASKS = True
FRAMES = False
BESIDE = 0
BYTES = 10.0
PACE = 24.0

# Views half a turn apart may miss each other by this share of the step between views.
MISS = 0.1
# Nearer to a column than this, a mirrored view needs no interpolation [column].
ALIGNED = 1e-3


def halfturn(scan: Setting, *, centre: float | None = None) -> Step:
    """Sinograms of 180 degrees from those of 360, twice as wide less what both sides of the axis saw.

    A view and the mirror image of the one half a turn later are joined at the axis: in the columns that both saw, one
    goes over into the other along a straight line. Where the mirrored columns fall between those of the first view,
    they are read off cubic splines. Where neither the scan nor --centre says at which column the axis is, it is looked
    for, as --centre auto does: about which column views half a turn apart mirror each other best. How many columns both
    sides saw, and by how much they differ, is said; where the axis stays uncertain, the scan is refused. A tenth of the
    columns must have seen both sides for that. Reconstruction takes such scans as they are; this is for programs that
    do not, and for parts that want one view of the whole object.

    Parameters
    ----------
    scan : Setting
    centre : float, optional
        Detector column of the rotation axis (0-based, fractional); as the scan or --centre says, or else found.

    Raises
    ------
    UsageError
        When the scan carries no geometry, the beam is not parallel, views do not come in pairs half a turn apart, or
        the axis is not on the detector.
    """
    header = scan.header
    geometry = _checked(header.geometry, centre)
    pairs, columns = geometry.views // 2, geometry.columns
    flipped = 2 * geometry.centre < columns - 1  # else the longer side is on the left
    near_side = geometry.centre if flipped else columns - 1 - geometry.centre
    first = ceil(2 * near_side - (columns - 1) - ALIGNED)
    apart = first - (2 * near_side - (columns - 1))
    wide = columns - first
    share = np.clip((np.arange(first, columns) + 0.5) / (2 * near_side + 1), 0, 1).astype(np.float32)
    axis = near_side - first

    def work(plane: Plane, _: int) -> Plane:
        near, far = (half if flipped else half[:, ::-1] for half in (plane[:pairs], plane[pairs:]))
        mirrored = far[:, ::-1]
        if abs(apart) > ALIGNED:
            mirrored = shift(mirrored, (0, -apart), order=3, mode="nearest")
        done: NDArray[np.float32] = np.zeros((pairs, wide), np.float32)
        done[:, -first:] = near * share[-first:]
        done[:, :columns] += mirrored * (1 - share[:columns])
        return done if flipped else np.ascontiguousarray(done[:, ::-1])

    joined = geometry.replace(angles=geometry.angles[:pairs], columns=wide, centre=axis if flipped else wide - 1 - axis)
    shape = (header.shape[0], pairs, wide)
    return Step(header.replace(shape=shape, dtype="<f4", geometry=joined), work)


def _checked(geometry: Geometry | None, centre: float | None) -> Geometry:
    if geometry is None:
        raise UsageError("halfturn needs to know the angles and the axis; give --angles and --centre")
    geometry = geometry if centre is None else geometry.replace(centre=centre)
    if geometry.kind != "parallel":
        raise UsageError(f"halfturn is for a parallel beam; this one is a {geometry.kind}")
    degrees, pairs = geometry.angles.degrees, geometry.views // 2
    step = 360.0 / geometry.views
    away = np.abs(np.abs(degrees[pairs:] - degrees[:pairs]) - 180.0) if geometry.views == 2 * pairs else None
    if away is None or away.max() > MISS * step:
        raise UsageError("halfturn needs an even number of views over 360 degrees, each with one half a turn later")
    if not 0 <= geometry.centre <= geometry.columns - 1:
        raise UsageError(f"the axis is at column {geometry.centre:g}, off the {geometry.columns} columns")
    return geometry
