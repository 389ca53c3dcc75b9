"""A detector whose columns are not parallel to the rotation axis, turned upright."""

from math import cos, radians, sin

import numpy as np
from scipy.ndimage import affine_transform

from bonectl.core.preparation import Plane, Setting, Step
from bonectl.errors import UsageError

WORKS = "projections"
READS = ("counts", "transmission", "line integral")
GIVES = ""
MOVES = False
ASKS = False
FRAMES = False
BESIDE = None
BYTES = 18.0
PACE = 57.0

# A detector that is turned by more was not mounted [degree].
MOST = 45.0


def rotate(scan: Setting, *, degrees: float = 0.0) -> Step:
    """Every projection turned about its middle, by cubic splines; beyond its ends the outermost pixel goes on.

    Parameters
    ----------
    scan : Setting
    degrees : float
        How far the detector is turned, from the direction in which columns count towards the one in which rows count:
        what the roll of a cone beam's detector is. Flats and darks are turned too, so that it may stand before or after
        flats.

    Raises
    ------
    UsageError
        When it is 45 or more either way, or pixels are not square.
    """
    if not abs(degrees) < MOST:
        raise UsageError(f"rotate(degrees={degrees:g}); a detector is turned by less than {MOST:g} either way")
    header, lengths = scan.header, scan.lengths
    high, wide = (header.spacing[header.axes.index(axis)] for axis in ("row", "col"))
    if high is not None and wide is not None and abs(high - wide) > 1e-3 * wide:
        raise UsageError(f"rotate needs square pixels; these are {high:g} × {wide:g} mm")
    turn = radians(degrees)
    # where in the old picture (row, column) each pixel of the new one comes from
    matrix = np.array([[cos(turn), -sin(turn)], [sin(turn), cos(turn)]])
    middle = np.array([(lengths["row"] - 1) / 2, (lengths["col"] - 1) / 2])

    def turned(plane: Plane) -> Plane:
        if degrees == 0:
            return plane
        return np.asarray(affine_transform(plane, matrix, middle - matrix @ middle, order=3, mode="nearest"))

    return Step(header.replace(dtype="<f4"), lambda plane, _: turned(plane), frames=turned)
