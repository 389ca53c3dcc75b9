"""Line integrals whose air reads 0, where the beam changed between flats and projections."""

from collections.abc import Iterator

from bonectl.core import progress
from bonectl.core.geometry import Geometry
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.preparations.normalise import air_of
from bonectl.scanning.field_of_view import FieldOfView


def levelled(scan: Stack, geometry: Geometry, columns: int) -> Stack:
    """Line integrals (row, view, col) less what air reads in their row and view.

    See `bonectl.preparations.normalise`, which this is with a look at whether air is what is there.

    Parameters
    ----------
    scan : Stack
    geometry : Geometry
    columns : int
        At an end, that see only air in all views.

    Raises
    ------
    UsageError
        When there are not so many columns at both ends.
    """
    if not 1 <= columns <= geometry.columns // 2:
        raise UsageError(
            f"--air {columns}: give 1 to {geometry.columns // 2} of the {geometry.columns} columns, at each end"
        )
    return Stack(scan.header, _slabs(scan, geometry, columns))


def _slabs(scan: Stack, geometry: Geometry, columns: int) -> Iterator[Array]:
    view = FieldOfView(scan.header.shape[0])
    for slab in scan.slabs:
        view.look(geometry, slab)
        yield slab - air_of(slab, geometry, columns)
    if view.cut:
        progress.note(
            f"{view.cut} of {view.rows} rows show an object at an end of the detector, not air: --air took a part of "
            "it off, and densities are wrong"
        )
