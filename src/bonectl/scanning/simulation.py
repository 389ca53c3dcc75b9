"""What a simulation is asked for and what it will do: one value each, checked before a slice is read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from bonectl.calibrations.energy import energy as by_energy
from bonectl.core import threads
from bonectl.core.calibration import ORIGIN, Calibration
from bonectl.core.cost import Cost
from bonectl.core.geometry import Geometry
from bonectl.core.header import SINOGRAMS, Fact, Header
from bonectl.core.kit import bind, check
from bonectl.core.slabs import Array
from bonectl.core.spec import parse
from bonectl.errors import UsageError
from bonectl.projection.system import System
from bonectl.scanning import duration, on_device
from bonectl.scanning.detector import Detector
from bonectl.scanning.exposure import BLOCK_VALUES, Exposure, block_of, finer
from bonectl.scanning.on_device import OnDevice

UNITS = ("counts", "transmission", "line integral")

# Taken where a volume in mgHA/cm³ says nothing [keV]: usual for biopsies at a synchrotron.
USUAL_ENERGY = 25.0
# Seconds for drawing, blurring and writing a reading.
READING = 150e-9


@dataclass(frozen=True, kw_only=True)
class SimulateRequest:
    """What a scanner is set to.

    Parameters
    ----------
    geometry : str
        A part of the kit of geometries, e.g. ``parallel(views=720)``.
    energy : float, optional
        Photon energy [keV], which gives mineral its attenuation. Without it, the calibration in the header; where
        there is none, 25 keV, and a note says so. A volume in 1/cm needs none.
    matrix : {"water", "adipose", "pmma"}
        What reads 0 mgHA/cm³.
    detector : Detector
    unit : {"counts", "transmission", "line integral"}
        Of the readings. Counts hold the dark counts and each pixel's sensitivity; the other two are corrected for
        both with the true values.
    seed : int
        Of all noise.
    device_name : str
        Where the volume is projected, see `bonectl.learning.device.choose`. When a GPU has no memory for as many
        slices, fewer go to it at a time. Noise is drawn on the CPU: it is the same everywhere.

    Raises
    ------
    UsageError
        When there is no such unit, geometry or knob.
    """

    geometry: str = "parallel"
    energy: float | None = None
    matrix: str = "water"
    detector: Detector = field(default_factory=Detector)
    unit: str = "counts"
    seed: int = 0
    device_name: str = "cpu"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise UsageError(f"no scan in {self.unit!r}; there are {', '.join(UNITS)}")
        check("geometries", [parse(self.geometry)])


@dataclass(frozen=True, eq=False, kw_only=True)
class SimulatePlan:
    """A simulation before it is run.

    Parameters
    ----------
    volume : Header
        Of what is scanned.
    geometry : Geometry
        Over the smallest square grid that holds the slices.
    law : Calibration, optional
        How density becomes attenuation.
    beam : dict
        What the header of the scan shall say about the beam.
    assumed : bool
        Whether nobody stated an energy, and the usual one is taken.
    request : SimulateRequest
    """

    volume: Header
    geometry: Geometry
    law: Calibration | None
    beam: dict[str, Fact]
    assumed: bool
    request: SimulateRequest

    @cached_property
    def header(self) -> Header:
        """Of the scan."""
        volume, g = self.volume, self.geometry
        return Header(
            shape=g.shape,
            axes=SINOGRAMS,
            spacing=(g.row_pitch, None, g.pitch),
            unit=self.request.unit,
            geometry=g,
            calibration=self.law,
            acquisition={**self.beam, "views": g.views, **self.request.detector.facts()},
            answers=volume.answers if volume.shape[1] == volume.shape[2] else {},
            region_of_interest=volume.region_of_interest,
            history=volume.history,
            forgotten=volume.forgotten,
        )

    @property
    def exposure(self) -> Exposure:
        """How the volume is projected."""
        dense = self.law is not None and self.volume.unit == "mgHA/cm3"
        attenuate: Callable[[Array], Array] | None = self.law.attenuation if self.law and dense else None
        worker = OnDevice(on_device.place(self.request.device_name), divisible=self.geometry.kind != "cone")
        detector = self.request.detector
        return Exposure(self.geometry, detector.oversample, detector.blur, attenuate, worker)

    @property
    def cost(self) -> Cost:
        """What it takes, about; only a cone's memory grows with the slices."""
        count, scan = threads.count(), self.header
        fine = finer(self.geometry, self.request.detector.oversample)
        return Cost(
            memory_bytes=self._memory(),
            seconds=duration.once(fine, "project") / count + READING * scan.total_bytes / scan.item_bytes,
            threads=count,
        )

    def _memory(self) -> int:
        factor = self.request.detector.oversample
        project = System(finer(self.geometry, factor))
        if self.geometry.kind == "cone":
            grid = 4 * factor * self.geometry.volume_shape[0] * project.geometry.size**2
            return 3 * grid + 4 * self.header.total_bytes + 12 * BLOCK_VALUES + (400 << 20)
        rows = min(block_of(project), self.volume.shape[0])
        fine = 4 * rows * project.geometry.views * project.geometry.columns
        return 4 * fine + 12 * rows * project.geometry.size**2 + (400 << 20)

    def facts(self) -> dict[str, Fact]:
        """What the history says of it: beam and noise in full, seed, where and with what it ran."""
        where = on_device.place(self.request.device_name)
        return {
            "seed": self.request.seed,
            "geometry": str(self.geometry),
            "noise": self.request.detector.noise_in_full,
            "device": str(where or "cpu"),
            "projector": on_device.engine(where, "auto"),
        }


def planned(volume: Header, request: SimulateRequest) -> SimulatePlan:
    """Decide what a simulation will do, and refuse what cannot be done; nothing is read.

    Raises
    ------
    UsageError
        When the stack is a scan or of another unit, its voxels are not cubic or of unknown size, or there is no
        such energy or device.
    UnavailableError
        When the device is not there.
    """
    assumed = request.energy is None and _lacks_law(volume)
    law, beam = _law(volume, USUAL_ENERGY if assumed else request.energy, request.matrix)
    geometry = _layout(volume, request.geometry)
    on_device.place(request.device_name)
    return SimulatePlan(volume=volume, geometry=geometry, law=law, beam=beam, assumed=assumed, request=request)


def _law(header: Header, energy: float | None, matrix: str) -> tuple[Calibration | None, dict[str, Fact]]:
    """How density becomes attenuation, and what the header shall say about the beam."""
    if header.is_scan:
        raise UsageError("this is a scan already; `bonectl simulate` takes a volume")
    if header.unit not in ("mgHA/cm3", "1/cm"):
        raise UsageError(
            f"values in {header.unit} have no attenuation; give a volume in mgHA/cm3 or 1/cm "
            "(`bonectl convert --calibrate peaks` makes a pseudo-calibrated one)"
        )
    own = header.calibration
    kept = {key: value for key, value in header.acquisition.items() if key != ORIGIN}
    if energy is None:
        return own, kept
    law = by_energy(kev=energy, matrix=matrix)
    if own is not None and own.pseudo:
        law = Calibration(law.slope, law.intercept, f"{law.source}, of densities {own.source}", pseudo=True)
    return law, {**kept, "energy_kev": float(energy), "matrix": matrix}


def _lacks_law(header: Header) -> bool:
    """Whether densities come without a law that gives them an attenuation."""
    return header.unit == "mgHA/cm3" and (header.calibration is None or header.acquisition.get(ORIGIN) == "grey")


def _layout(header: Header, geometry: str) -> Geometry:
    """The geometry over the smallest square grid that holds the slices."""
    depth, height, width = header.shape
    layout = bind("geometries", parse(geometry))(max(height, width), depth, header.voxel)
    assert isinstance(layout, Geometry)
    return layout
