"""Find the detector column on which the rotation axis projects, from the scan itself."""

from math import ceil

import numpy as np
import torch

from bonectl.core import progress
from bonectl.core.geometry import Angles, Geometry
from bonectl.core.slabs import Array
from bonectl.errors import DataError
from bonectl.methods.fbp import fbp
from bonectl.ops import opposite_rays
from bonectl.ops.opposite_rays import AIR, lowest, share_of_squares
from bonectl.projection.projector import Projector

# Rows that are looked at; one is enough, a few spare a ring or an empty row from deciding.
ROWS = 4
# Two views are taken for opposite when they are this near to half a turn apart [degree].
OPPOSITE = 3.0
# The mirror image of a view must overlap the opposite one by this share of the detector.
OVERLAP = 0.25
# How far from the first guess the slices are tried, and at which steps [column].
REACH = 6.0
STEPS = (1.0, 0.25)


def check(geometry: Geometry) -> None:
    """Refuse a geometry whose scans do not tell where the axis is.

    Raises
    ------
    UsageError
        For a fan or cone beam that measures no ray from both ends, and a detector that is rolled or tilted.
    """
    if geometry.kind != "parallel":
        opposite_rays.check(geometry)


def found_centre(geometry: Geometry, rows: Array) -> float:
    """The rotation axis' column (0-based, fractional), to about a quarter of a column.

    In a parallel beam a first guess makes opposite views mirror images of each other. Then slices are reconstructed
    with axes around it: the one with the least negative attenuation wins (after Donath, Beckmann and Schreyer, J. Opt.
    Soc. Am. A 23, 1048, 2006), between steps by the parabola through the three best. A scan without opposite views
    gives slices that are no judges; there it is the constant of the sinusoid that the centres of mass follow, which
    is exact for an object that is never cut off. In a fan or cone beam, rays and the same rays measured from the
    other side must agree (`bonectl.ops.opposite_rays`).

    Parameters
    ----------
    geometry : Geometry
        Of the scan; its centre is not used.
    rows : (row, view, col) float32 array
        Line integrals of some rows; of all rows in a cone beam.

    Raises
    ------
    UsageError
        See `check`.
    DataError
        When the rows are empty of any object.
    """
    check(geometry)
    parallel = geometry.kind == "parallel"
    lines = some(rows) if parallel else opposite_rays.orbit_line(geometry, rows)
    if not lines.mean(dtype=np.float64) > 0:
        raise DataError("the rotation axis cannot be found: the rows looked at hold no object; give --centre COLUMN")
    centre = (_of_parallel if parallel else opposite_rays.axis_of)(geometry, lines)
    progress.note(f"the rotation axis was found at column {centre:.2f} of {geometry.columns}")
    return centre


def some(rows: Array) -> Array:
    """Rows (row, view, col) of a parallel beam that are looked at."""
    return rows[:: max(1, len(rows) // ROWS)][:ROWS]


def _of_parallel(geometry: Geometry, rows: Array) -> float:
    best = _mirrored(geometry, rows)
    if best is None:
        return _of_masses(geometry, rows)
    geometry, rows = half_turn(geometry, rows)
    reach = REACH
    for step in STEPS:
        count = ceil(reach / step)
        tried = best + step * np.arange(-count, count + 1, dtype=np.float64)
        best = lowest(tried, np.array([negative(geometry, rows, centre) for centre in tried]))
        reach = step
    return best


def _mirrored(geometry: Geometry, rows: Array) -> float | None:
    """The column about which a view is the mirror image of the opposite one; None without opposite views."""
    degrees = geometry.angles.degrees
    apart = np.abs((degrees[None] - degrees[:, None]) % 360.0 - 180.0)
    one, other = np.unravel_index(int(apart.argmin()), apart.shape)
    if apart[one, other] > OPPOSITE:
        return None
    view, mirror = rows[:, one], rows[:, other, ::-1]
    columns = geometry.columns
    most = int(columns * (1 - OVERLAP))
    # the mirror image of column c lies at columns - 1 - c, shifted by twice the distance of the axis to the middle
    shifts = np.arange(-most, most + 1)
    errors = [_difference(view, mirror, int(shift)) for shift in shifts]
    return (columns - 1 + int(shifts[int(np.argmin(errors))])) / 2


def _difference(view: Array, mirror: Array, shift: int) -> float:
    """How unlike two views are where the second, moved by some columns, overlaps the first; 0 when equal."""
    columns = view.shape[-1]
    low, high = max(0, shift), min(columns, columns + shift)
    air = AIR * float(np.square(view, dtype=np.float64).sum() + np.square(mirror, dtype=np.float64).sum())
    return share_of_squares(view[:, low:high], mirror[:, low - shift : high - shift], air)


def half_turn(geometry: Geometry, rows: Array) -> tuple[Geometry, Array]:
    """The views of the first half turn: over a full one, a wrong axis blurs both ways, which lowers the score."""
    degrees = geometry.angles.degrees
    first = np.abs(degrees - degrees[0]) < 180.0 - 1e-6
    return geometry.replace(angles=Angles.of(degrees[first])), rows[:, first]


def _of_masses(geometry: Geometry, rows: Array) -> float:
    """The constant of the sinusoid through the centres of mass of the views, which an untruncated object follows."""
    total = rows.sum(axis=0, dtype=np.float64)
    masses = total @ np.arange(geometry.columns) / total.sum(axis=1)
    angles = geometry.angles.radians
    model = np.stack([np.ones_like(angles), np.cos(angles), np.sin(angles)], axis=1)
    return float(np.linalg.lstsq(model, masses, rcond=None)[0][0])


def negative(geometry: Geometry, rows: Array, centre: float) -> float:
    """Mean, over the circle that the detector covers, of how far attenuation lies below 0 [1/cm]."""
    g = geometry.replace(rows=len(rows), centre=float(centre))
    with torch.no_grad():
        volume = fbp(Projector(g), torch.from_numpy(np.ascontiguousarray(rows)), window="hann").numpy()
    row, column = np.mgrid[: g.size, : g.size] - (g.size - 1) / 2
    inside = np.hypot(row, column) < 0.45 * g.size
    return 0.0 - float(np.minimum(volume, 0)[:, inside].mean(dtype=np.float64))  # never -0.0
