"""What a reconstruction is asked for and what it will do: one value each, checked before a row is read."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

from bonectl.core import kit, memory, progress, threads
from bonectl.core.arrays import Values
from bonectl.core.calibration import Calibration
from bonectl.core.cost import Cost
from bonectl.core.counted import counted
from bonectl.core.geometry import Angles, Geometry
from bonectl.core.header import SINOGRAMS, VOLUME, Fact, Header
from bonectl.core.spec import Spec, parse
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.methods._quadrature import check_arc
from bonectl.projection.system import check_backend
from bonectl.scanning import axis, duration, memory_need, on_device, overview
from bonectl.scanning.air import levelled
from bonectl.scanning.axis import Axis
from bonectl.scanning.beam import angles_over, check_size, geometry_as_told
from bonectl.scanning.lines import Fields, check_scan, geometry_of, line_integrals, sinograms
from bonectl.scanning.method import check_energy, files, method_for
from bonectl.stacks import view_order

if TYPE_CHECKING:
    import torch

UNITS = ("1/cm", "mgHA/cm3")
AUTO: Literal["auto"] = "auto"

Method = Callable[[Any, Values], Values]


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
        check_backend(self.backend)

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
        check_size(scan, geometry)
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """A reconstruction before it is run; `dataclasses.replace` varies it, and what follows from it follows.

    Parameters
    ----------
    scan : Header
        Of what arrives.
    lines : Header
        Of its line integrals in sinogram order.
    geometry : Geometry
        Where the rays ran.
    centre_from : {"given", "scan", "middle", "auto"}
        Who says at which column the rotation axis is: the request, the scan, nobody, or a search.
    axis : Axis, optional
        What the search found; None before, and where there is none.
    method : Spec
        As it was asked for.
    density : Calibration, optional
        What turns attenuation into the unit of the volume.
    calibration : Calibration, optional
        That of the volume.
    request : ReconstructRequest
        What was asked for: fields, air, memory, device and backend are taken from it.
    limit : int
        Bytes that the process may hold.
    """

    scan: Header
    lines: Header
    geometry: Geometry
    centre_from: str
    axis: Axis | None = None
    method: Spec
    density: Calibration | None
    calibration: Calibration | None
    request: ReconstructRequest
    limit: int

    @property
    def header(self) -> Header:
        """Of the volume."""
        g = self.geometry
        return self.lines.replace(
            shape=g.volume_shape,
            axes=VOLUME,
            spacing=(g.voxel if g.kind == "cone" else g.row_pitch, g.voxel, g.voxel),
            unit=self.request.unit,
            geometry=None,
            calibration=self.calibration,
            acquisition={**self.lines.acquisition, "views": g.views},
            answers=self.lines.answers if _same_extent(g, self.scan.geometry) else {},
        )

    @cached_property
    def block(self) -> int:
        """Slices that are worked on at a time, as many as fit.

        Raises
        ------
        MemoryShortageError
            When the fewest would not fit.
        """
        return memory_need.chosen_block(self.scan, self.geometry, str(self.method), self.limit)

    @cached_property
    def is_held(self) -> bool:
        """Whether projections are turned in memory, and not by way of a temporary file."""
        return memory_need.is_turned_in_memory(self.scan, self.geometry, str(self.method), self.limit)

    @property
    def is_closed(self) -> bool:
        """Whether the method is a closed form, which loses density with the rays that are missing."""
        return bool(kit.fact("methods", self.method.name, "CLOSED"))

    @property
    def is_axis_sought(self) -> bool:
        """Whether the scan must be looked at before it is reconstructed."""
        return self.centre_from == AUTO and self.axis is None

    @property
    def in_full(self) -> Spec:
        """The method with all its knobs."""
        return kit.in_full("methods", self.method)

    @property
    def run(self) -> Method:
        """The method, bound."""
        return cast(Method, kit.bind("methods", self.method))

    @property
    def where(self) -> "torch.device | None":
        """Where the method runs, see `bonectl.scanning.on_device.place`."""
        return on_device.place(self.request.device_name, self.request.backend)

    def projector(self) -> Any:
        """The projector of the geometry, for what lies there."""
        return on_device.projector(self.geometry, self.where, self.request.backend)

    def sinograms(self, scan: Stack, together: int = 1) -> Stack:
        """The scan's line integrals, some rows at a time; what the header told has been said already."""
        with progress.silence():
            rows = sinograms(scan, limit=self.limit, held=self.is_held)
            rows = line_integrals(replace(rows, slabs=rows.blocks(together)), self.request.fields)
        return levelled(rows, self.geometry, self.request.air) if self.request.air else rows

    def looked(self, scan: Stack) -> "Plan":
        """The plan with the rotation axis that a walk over the scan finds.

        Raises
        ------
        UsageError, DataError
            See `bonectl.scanning.overview.axis_of`.
        """
        assert self.block  # or there is no room for what comes after the search
        found = overview.axis_of(scan, self.geometry, self.request.fields, limit=self.limit)
        geometry = self.geometry.replace(centre=found.column)
        if self.request.size is None and self.scan.geometry is None:
            geometry = geometry.replace(size=geometry.seen)
        return replace(self, geometry=geometry, axis=found)

    def cost(self, *, kept: bool = False) -> Cost:
        """What it takes: memory, a temporary file, blocks and time.

        Parameters
        ----------
        kept : bool
            Whether the scan comes once and is kept while the axis is looked for.
        """
        text, block = str(self.method), self.block
        held = self.is_held or (self.scan.axes == SINOGRAMS and view_order.is_held(self.scan, self.limit))
        need, here = memory_need.needed(self.scan, self.geometry, text, block, held=held), memory.resident()
        if kept and held and self.scan.axes == SINOGRAMS:  # projections are counted, which are turned in memory
            here += self.scan.total_bytes
        count = threads.count()
        return Cost(
            memory_bytes=round(here + need.usual),
            memory_at_worst_bytes=round(here + need.at_worst) if need.at_worst > need.usual else None,
            memory_limit_bytes=self.limit,
            scratch_bytes=None if held or (self.scan.axes == SINOGRAMS and not kept) else self.scan.total_bytes,
            block=f"{counted(min(block, self.geometry.rows), 'row')} at a time",
            seconds=duration.seconds(self.geometry, text, count),
            threads=count,
        )

    def facts(self) -> dict[str, Fact]:
        """What the history says of it: the axis and whence, the method in full, where and with what it ran."""
        where = self.where
        told: dict[str, Fact] = {"centre": self.geometry.centre, "centre_from": self.centre_from}
        told |= {} if self.axis is None else self.axis.facts()
        told |= {"method": str(self.in_full), "device": str(where or "cpu")}
        told["projector"] = on_device.engine(where, self.request.backend)
        return told | files(self.method)


def planned(scan: Header, request: ReconstructRequest) -> Plan:
    """Decide what a reconstruction will do, and refuse what cannot be done; nothing is read.

    Raises
    ------
    UsageError
        When the stack is a volume or of a unit that has no line integrals, carries no geometry, or density is
        asked for without a calibration; when the method is not for the beam, or the views cover too little for it.
    DataError
        When scan, geometry and fields differ in size.
    UnavailableError
        When the device is not there, or the backend does not run on it.
    """
    geometry = request.geometry_for(scan)
    limit = request.max_memory or memory.available()
    lines = line_integrals(sinograms(Stack(scan, iter(())), limit=limit), request.fields).header
    density = request.density(scan)
    spec = method_for(request.method, geometry)
    check_energy(spec, density)
    if kit.fact("methods", spec.name, "CLOSED"):
        check_arc(geometry)
    on_device.engine(on_device.place(request.device_name, request.backend), request.backend)
    if request.centre == AUTO:
        axis.check(geometry)
    return Plan(
        scan=scan,
        lines=lines,
        geometry=geometry,
        centre_from=_origin(scan, request),
        method=spec,
        density=density,
        calibration=request.calibration or scan.calibration,
        request=request,
        limit=limit,
    )


def _origin(scan: Header, request: ReconstructRequest) -> str:
    if request.centre == AUTO:
        return AUTO
    if request.centre is not None or request.stated_centre is not None or isinstance(request.geometry, Geometry):
        return "given"
    return "scan" if scan.geometry is not None else "middle"


def _same_extent(geometry: Geometry, scanned: Geometry | None) -> bool:
    """Whether a volume is as large as the one that was scanned, so that what is known of that one holds for it."""
    return scanned is None or (geometry.size, geometry.voxel) == (scanned.size, scanned.voxel)
