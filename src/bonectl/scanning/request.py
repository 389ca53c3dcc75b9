"""What a reconstruction is asked for: one value, checked when it is made, and against a scan before a row is read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from bonectl.core import kit
from bonectl.core.angles import looks_like_radians
from bonectl.core.calibration import Calibration
from bonectl.core.counted import counted
from bonectl.core.geometry import MOST_DEGREES, Angles, Geometry
from bonectl.core.header import SINOGRAMS, Header
from bonectl.core.spec import Spec, parse
from bonectl.errors import DataError, UsageError
from bonectl.projection import backends
from bonectl.projection.projector import Projector
from bonectl.scanning.beam import geometry_as_told
from bonectl.scanning.lines import Fields, check_scan, geometry_of

UNITS = ("1/cm", "mgHA/cm3")
AUTO: Literal["auto"] = "auto"

Method = Callable[[Projector, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class ReconstructRequest:
    """What a volume is made by, in the words of who asks; what a scan says by itself is left out.

    Parameters
    ----------
    method : str, optional
        Part of the kit `bonectl.methods`, such as ``fbp(window=hann)``; when not given, ``fbp`` for a parallel beam
        and ``fdk`` for others.
    geometry : Geometry or str, optional
        Where the rays ran, in place of the header's; a text, such as ``cone(sod=200, sdd=400, arc=360)``, is
        completed by the scan (`bonectl.scanning.beam.geometry_as_told`).
    angles : Angles or float, optional
        Of the views; a number is the arc that they divide evenly, its end no view [degree].
    centre : float or "auto", optional
        Detector column of the rotation axis (0-based, fractional); "auto" has it looked for.
    size : int, optional
        Side of the slices [voxel].
    fields : Fields, optional
        Detector readings without a sample, for counts.
    unit : {"1/cm", "mgHA/cm3"}
        Of the result.
    calibration : Calibration, optional
        Attenuation to mineral density; the header's when not given.
    air : int
        Columns at each end that see only air: what they read is taken off (`bonectl.scanning.air.levelled`). 0:
        nothing is.
    max_memory : int, optional
        Bytes that the process may hold: slices are worked on by as many at a time as fit, which changes no value.
        What is available now when not given.
    device_name : str
        Where methods run, see `bonectl.learning.device.choose`. When a GPU has no memory for as many slices, fewer go
        there at a time.
    backend : str
        Whose projectors they use, see `bonectl.projection.backends.engine`.

    Raises
    ------
    UsageError
        When there is no such method, knob, unit or backend.
    """

    method: str | None = None
    geometry: Geometry | str | None = None
    angles: Angles | float | None = None
    centre: float | Literal["auto"] | None = None
    size: int | None = None
    fields: Fields | None = None
    unit: str = "1/cm"
    calibration: Calibration | None = None
    air: int = 0
    max_memory: int | None = None
    device_name: str = "cpu"
    backend: str = "auto"

    def __post_init__(self) -> None:
        if self.method is not None:
            kit.check("methods", [parse(self.method)])
        if self.unit not in UNITS:
            raise UsageError(f"no volume in {self.unit!r}; there are {', '.join(UNITS)}")
        if self.centre == AUTO and self.stated_centre is not None:
            raise UsageError(
                f"--geometry says centre={self.stated_centre}, and --centre auto is given; give one of them"
            )
        backends.check(self.backend)

    @property
    def told(self) -> Spec | None:
        """The part of the kit of geometries that completes the scan's; None where there is none."""
        return parse(self.geometry) if isinstance(self.geometry, str) else None

    @property
    def stated_centre(self) -> object:
        """The column that a geometry in words names; None where it names none."""
        there = -1 if self.told is None else self.told.knobs.get("centre", -1)
        return None if there == -1 else there

    def geometry_for(self, scan: Header) -> Geometry:
        """The geometry of a scan: by what it carries and what is asked; the axis is not looked for yet.

        Raises
        ------
        UsageError
            When the stack is a volume, something that is needed is said by nobody, or by two in different ways, or the
            rotation axis is not on the detector.
        DataError
            When scan and geometry differ in size.
        """
        check_scan(scan)
        views = scan.shape[scan.axes.index("view")]
        angles, centre = angles_over(self.angles, views), None if self.centre == AUTO else self.centre
        if isinstance(self.geometry, Geometry):
            changed = {"angles": angles, "centre": centre, "size": self.size}
            geometry = self.geometry.replace(**{k: v for k, v in changed.items() if v is not None})
        elif self.told is not None:
            geometry = geometry_as_told(scan, self.told, angles=angles, centre=centre, size=self.size)
        else:
            geometry = geometry_of(scan, angles=angles, centre=centre, size=self.size)
        _check_size(scan, geometry)
        return geometry

    def density(self, scan: Header) -> Calibration | None:
        """What turns attenuation into the unit of the volume; None for attenuation itself.

        Raises
        ------
        UsageError
            When it needs a calibration, and there is none.
        """
        law = self.calibration or scan.calibration
        if self.unit == "mgHA/cm3" and law is None:
            raise UsageError("mineral density needs a calibration; give --energy, or stay in 1/cm")
        return law if self.unit == "mgHA/cm3" else None


def angles_over(told: Angles | float | None, views: int) -> Angles | None:
    """Angles as they are told; a number is the arc that some views divide evenly, its end no view [degree].

    Raises
    ------
    UsageError
        When it is no arc in degrees.
    """
    if told is None or isinstance(told, Angles):
        return told
    if not 0 < abs(told) <= MOST_DEGREES:
        raise UsageError(f"--angles {told:g}; give the arc that the views divide, such as 180, or a file of angles")
    if looks_like_radians(told / views * np.arange(views)):
        raise UsageError(f"--angles {told:g} for {views} views: that looks like radians; give degrees, such as 180")
    return Angles(0.0, told / views, views)


def method_for(text: str | None, geometry: Geometry) -> Spec:
    """The method; the usual one for the beam where none is given.

    Raises
    ------
    UsageError
        When it is not for this beam, or there is no such method or knob.
    """
    usual = next(name for name in kit.names("methods") if geometry.kind in kit.fact("methods", name, "USUAL"))
    spec = parse(text or usual)
    if geometry.kind not in kit.fact("methods", spec.name, "BEAMS"):
        raise UsageError(f"{spec.name} is not for a {geometry.kind} beam; use {usual}")
    kit.check("methods", [spec])
    return spec


def _check_size(scan: Header, geometry: Geometry) -> None:
    """Refuse a geometry of another scan."""
    lengths = dict(zip(scan.axes, scan.shape, strict=True))
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
