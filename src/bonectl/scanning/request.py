"""What shall be reconstructed, and how: checked before a row is read."""

from collections.abc import Callable

from torch import Tensor

from bonectl.core import kit
from bonectl.core.calibration import Calibration
from bonectl.core.counted import counted
from bonectl.core.geometry import Geometry
from bonectl.core.header import SINOGRAMS
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.projection.projector import Projector
from bonectl.scanning.lines import check_scan, geometry_of

UNITS = ("1/cm", "mgHA/cm3")


Method = Callable[[Projector, Tensor], Tensor]


def method_for(text: str | None, geometry: Geometry) -> tuple[str, Method]:
    """The method as it is written in full, and bound; the usual one for the beam where none is given.

    Raises
    ------
    UsageError
        When it is not for this beam, or there is no such method or knob.
    """
    usual = next(name for name in kit.names("methods") if geometry.kind in kit.fact("methods", name, "USUAL"))
    spec = parse(text or usual)
    if geometry.kind not in kit.fact("methods", spec.name, "BEAMS"):
        raise UsageError(f"{spec.name} is not for a {geometry.kind} beam; use {usual}")
    run: Method = kit.bind("methods", spec)
    return str(spec), run


def checked_geometry(scan: Stack, geometry: Geometry | None) -> Geometry:
    """The geometry of a scan, by its header when not given; it must fit the scan.

    Raises
    ------
    UsageError
        When the stack is a volume or carries no geometry, or the rotation axis is not on the detector.
    DataError
        When scan and geometry differ in size.
    """
    check_scan(scan.header)
    geometry = geometry or geometry_of(scan.header)
    lengths = dict(zip(scan.header.axes, scan.header.shape, strict=True))
    rows, views, columns = (lengths[axis] for axis in SINOGRAMS)
    if views != geometry.views:
        raise DataError(
            f"{counted(geometry.views, 'angle')} for {counted(views, 'view')}; one angle per view is needed"
        )
    if (rows, columns) != (geometry.rows, geometry.columns):
        raise DataError(
            f"the scan has {rows} rows × {columns} columns, its geometry {geometry.rows} × {geometry.columns}"
        )
    if not -0.5 < geometry.centre < columns - 0.5:
        raise UsageError(f"the rotation axis is at column {geometry.centre:g}, outside the {columns} columns")
    return geometry


def checked_density(unit: str, calibration: Calibration | None) -> Calibration | None:
    """What turns attenuation into the unit of a volume; None for attenuation itself.

    Raises
    ------
    UsageError
        When there is no such unit, or it needs a calibration.
    """
    if unit not in UNITS:
        raise UsageError(f"no volume in {unit!r}; there are {', '.join(UNITS)}")
    if unit == "mgHA/cm3" and calibration is None:
        raise UsageError("mineral density needs a calibration; give --energy, or stay in 1/cm")
    return calibration if unit == "mgHA/cm3" else None
