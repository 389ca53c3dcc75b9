"""Air that reads what air should, where the beam changed between flats and projections."""

import numpy as np

from bonectl.core.geometry import Geometry
from bonectl.core.preparation import Plane, Setting, Step
from bonectl.core.slabs import Array
from bonectl.errors import UsageError

WORKS = "either"
READS = ("transmission", "line integral")
GIVES = ""
MOVES = False
ASKS = True
FRAMES = False
BESIDE = 0
BYTES = 9.0
PACE = 0.5


def normalise(scan: Setting, *, air: int = 20) -> Step:
    """Every row of every view made to read 1 (a line integral of 0) where only air was in the beam.

    By the straight line, of line integrals, through the means of some columns at both ends of the detector; where the
    axis is off the middle, by the mean at the end of the longer side, because the shorter one may see the object.

    Parameters
    ----------
    scan : Setting
    air : int
        Columns at each end that see only air in all views.

    Raises
    ------
    UsageError
        When there are not so many columns at both ends.
    """
    columns = scan.lengths["col"]
    if not 1 <= air <= columns // 2:
        raise UsageError(f"normalise(air={air}): give 1 to {columns // 2} of the {columns} columns, at each end")
    geometry, lines = scan.header.geometry, scan.header.unit == "line integral"

    def work(plane: Plane, _: int) -> Plane:
        if lines:
            return np.asarray(plane - air_of(plane, geometry, air))
        least = np.float32(np.finfo(np.float32).tiny)
        left, right = (np.maximum(plane[:, end].mean(axis=-1, keepdims=True), least) for end in _ends(air))
        return np.asarray(plane / np.exp(_between(np.log(left), np.log(right), geometry, columns, air)))

    return Step(scan.header.replace(dtype="<f4"), work)


def air_of(lines: Array, geometry: Geometry | None, air: int) -> Array:
    """What air reads in line integrals (..., view or row, col), to be taken off."""
    left, right = (lines[..., end].mean(axis=-1, keepdims=True) for end in _ends(air))
    return _between(left, right, geometry, lines.shape[-1], air)


def _ends(air: int) -> tuple[slice, slice]:
    return slice(None, air), slice(-air, None)


def _between(left: Array, right: Array, geometry: Geometry | None, columns: int, air: int) -> Array:
    """A straight line between both ends, or the level of the end of the longer side."""
    if geometry is not None:
        longer = columns - 1 - 2 * geometry.centre  # to the right
        if abs(longer) >= 2:
            return np.asarray(right if longer > 0 else left)
    share = (np.arange(columns, dtype=np.float32) - (air - 1) / 2) / (columns - air)
    return np.asarray(left + (right - left) * share)
