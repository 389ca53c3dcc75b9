"""From a volume to the scan that a detector would give: attenuation, projection, blur, noise."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from scipy.ndimage import correlate1d, gaussian_filter1d

from bonectl.calibrations.energy import energy as by_energy
from bonectl.core import physics, progress, threads
from bonectl.core.calibration import Calibration
from bonectl.core.cost import Cost
from bonectl.core.counted import counted
from bonectl.core.draws import generator
from bonectl.core.geometry import Geometry
from bonectl.core.header import PROJECTIONS, SINOGRAMS, Fact, Header
from bonectl.core.kit import bind, check
from bonectl.core.slabs import Array, windows
from bonectl.core.spec import Spec, parse, parse_sum, print_sum
from bonectl.core.stack import Stack, chain
from bonectl.errors import DataError, UsageError
from bonectl.learning import device
from bonectl.ops.calibrate import ORIGIN
from bonectl.projection.projector import Projector
from bonectl.scanning import duration
from bonectl.scanning.field_of_view import FieldOfView
from bonectl.scanning.on_device import OnDevice
from bonectl.stacks.form import single

UNITS = ("counts", "transmission", "line integral")

# Taken where a volume in mgHA/cm³ says nothing [keV]: usual for biopsies at a synchrotron.
USUAL_ENERGY = 25.0
# Poisson draws are exact integers, and float32 holds them, up to 2^24; beyond, rounding is below the noise.
MOST_PHOTONS = 1e12
# Beyond, there are no Poisson draws.
MOST_COUNTS = 2.0**62
# A Gaussian below is no sum of pixels any more [pixel].
LEAST_BLUR = 1e-3
# A Gaussian ends here [SD].
TAIL = 4.0
# Seconds for drawing, blurring and writing a reading.
READING = 150e-9
# Values of a block of fine sinograms: bounds the memory.
BLOCK_VALUES = 32 << 20

Noise = Callable[[Array, np.random.Generator], Array]


@dataclass(frozen=True, kw_only=True)
class Detector:
    """What turns intensity into readings.

    Parameters
    ----------
    photons : float
        Mean counts of a pixel in one view without the object.
    noise : str
        Weighted sum of parts of the kit of noises, e.g. ``poisson + electronic(sd=5)``.
    blur : float
        SD of the Gaussian point spread across columns and rows [pixel]; 0 is none.
    gain : float
        Relative SD of the pixels' fixed sensitivities; flats measure it.
    dark : float
        Counts that every reading has without beam.
    oversample : int
        Sub-pixels per voxel side and per detector column. With 1 the object is made of the very voxels, and the
        detector of the very pixels, that a reconstruction models (the inverse crime).

    Raises
    ------
    UsageError
        When a number makes no sense, or there is no such noise.
    """

    photons: float = 1e4
    noise: str = "poisson"
    blur: float = 0.5
    gain: float = 0.0
    dark: float = 0.0
    oversample: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.photons <= MOST_PHOTONS:
            raise UsageError(f"{self.photons:g} photons per pixel; give more than 0 and at most {MOST_PHOTONS:g}")
        if self.blur and not LEAST_BLUR <= self.blur <= 50:
            raise UsageError(f"a blur of {self.blur:g} pixels; give {LEAST_BLUR:g} to 50, or 0 for none")
        if not 0 <= self.gain <= 0.3:
            raise UsageError(f"sensitivities that vary by {self.gain:g} (relative); give 0 to 0.3")
        if not 0 <= self.dark <= MOST_PHOTONS:
            raise UsageError(f"{self.dark:g} counts in the dark; give 0 to {MOST_PHOTONS:g}")
        if not 1 <= self.oversample <= 8:
            raise UsageError(f"oversampling by {self.oversample}; give 1 (none) to 8")
        check("noises", parse_sum(self.noise))

    def sensitivity(self, seed: int, row: int, columns: int) -> Array:
        """Relative sensitivity of the pixels of a row, (columns,); always positive."""
        draws = generator(seed, "gain", row).standard_normal(columns) if self.gain else np.zeros(columns)
        return np.exp(self.gain * draws - self.gain**2 / 2)

    def noises(self) -> tuple[tuple[Spec, Noise], ...]:
        """The terms of the noise, bound."""
        return tuple((term, bind("noises", term)) for term in parse_sum(self.noise))

    def facts(self) -> dict[str, Fact]:
        """What the header of a scan says about it. The white level is there only when all pixels share it."""
        known: dict[str, Fact] = {
            "photons": self.photons,
            "noise": print_sum(parse_sum(self.noise)),
            "blur_px": self.blur,
            "gain_sd": self.gain,
            "dark": self.dark,
            "oversample": self.oversample,
        }
        return known if self.gain else known | {"white": self.photons}


def simulate(  # noqa: PLR0913 (one flows, the rest is what a scanner is set to)
    volume: Stack,
    *,
    geometry: str = "parallel",
    energy: float | None = None,
    matrix: str = "water",
    detector: Detector | None = None,
    unit: str = "counts",
    seed: int = 0,
    device_name: str = "cpu",
) -> Stack:
    """Scan a volume.

    Parameters
    ----------
    volume : Stack
        mgHA/cm³, or attenuation in 1/cm; cubic voxels of known size. Outside of it is air.
    geometry : str
        A part of the kit of geometries, e.g. ``parallel(views=720)``.
    energy : float, optional
        Photon energy [keV], which gives mineral its attenuation. Without it, the calibration in the header; where
        there is none, 25 keV, and a note says so. A volume in 1/cm needs none.
    matrix : {"water", "adipose", "pmma"}
        What reads 0 mgHA/cm³.
    detector : Detector, optional
        The default one when not given.
    unit : {"counts", "transmission", "line integral"}
        Of the readings. Counts hold the dark counts and each pixel's sensitivity; the other two are corrected for
        both with the true values.
    seed : int
        Of all noise.
    device_name : str
        Where the volume is projected, see `bonectl.learning.device.choose`. When a GPU has no memory for as many
        slices, fewer go to it at a time. Noise is drawn on the CPU: it is the same everywhere.

    Returns
    -------
    Stack
        (row, view, col), float32. No reading is ever NaN. Line integrals take readings below half a photon as half a
        photon; counts and transmissions keep them; a note says how many there were.

    Raises
    ------
    UsageError
        When the stack is a scan or of another unit, its voxels are not cubic or of unknown size, or there is no
        such geometry, energy or device.
    DataError
        From the slabs, when values are too large or too negative for anything to be counted.
    UnavailableError
        When the device is not there.

    Notes
    -----
    Voxels are refined in plane (`refined`), for a cone beam along the axis too, and projected onto sub-pixels: by
    the strip model in a parallel beam, along rays in others. Sub-pixels are averaged after the exponential, as
    intensities add up in a pixel, and blurred as intensities. A cone beam holds the whole volume and scan.
    """
    detector = detector or Detector()
    if unit not in UNITS:
        raise UsageError(f"no scan in {unit!r}; there are {', '.join(UNITS)}")
    assumed = energy is None and _lacks_law(volume.header)
    law, facts = _law(volume.header, USUAL_ENERGY if assumed else energy, matrix)
    layout = _layout(volume.header, geometry)
    header = Header(
        shape=layout.shape,
        axes=SINOGRAMS,
        spacing=(layout.row_pitch, None, layout.pitch),
        unit=unit,
        geometry=layout,
        calibration=law,
        acquisition={**facts, "views": layout.views, **detector.facts()},
        answers=volume.header.answers if volume.header.shape[1] == volume.header.shape[2] else {},
        region_of_interest=volume.header.region_of_interest,
        history=volume.header.history,
        forgotten=volume.header.forgotten,
    )
    worker = OnDevice(device.choose(device_name), divisible=layout.kind != "cone")
    attenuate = law.attenuation if law is not None and volume.header.unit == "mgHA/cm3" else None
    transmit = _cone_transmissions if layout.kind == "cone" else _transmissions
    beams = transmit(single(volume, "the volume"), attenuate, layout, detector, worker)
    if not layout.covers_grid:
        beams = _looked_at(beams, layout)
    readings = _readings(_blurred_rows(beams, layout.rows, detector.blur), header, detector, seed)
    if assumed:
        readings = _noted(readings, f"no --energy given: mineral attenuates as at {USUAL_ENERGY:g} keV")
    return chain(header, readings)


def flats(scan: Header, detector: Detector, *, frames: int = 20, seed: int = 0) -> Stack:
    """What the same detector reads without the object: frames (view, row, col) in counts.

    Parameters
    ----------
    scan : Header
        Of the scan that `simulate` made.
    detector : Detector
        With which it was made.
    frames : int
        How many.
    seed : int
        That of the scan, so that pixels have the same sensitivities; the noise is independent of the scan's.
    """
    noises = detector.noises()

    def frame(index: int, sensitivity: Array) -> Array:
        return _noisy(detector.photons * sensitivity, noises, seed, "flat", index) + detector.dark

    return _frames(scan, detector, frames, seed, frame)


def darks(scan: Header, detector: Detector, *, frames: int = 20, seed: int = 0) -> Stack:
    """What the same detector reads without beam: frames (view, row, col) in counts; parameters as for `flats`."""
    noises = detector.noises()

    def frame(index: int, sensitivity: Array) -> Array:
        return _noisy(0.0 * sensitivity, noises, seed, "dark", index) + detector.dark

    return _frames(scan, detector, frames, seed, frame)


def memory(volume: Header, scan: Header) -> int:
    """Bytes that `simulate` holds at a time for this volume and scan, about; only a cone's grow with the slices."""
    assert scan.geometry is not None
    factor = int(scan.acquisition["oversample"])
    project = Projector(_fine(scan.geometry, factor))
    if scan.geometry.kind == "cone":
        grid = 4 * factor * scan.geometry.volume_shape[0] * project.geometry.size**2
        return 3 * grid + 4 * scan.total_bytes + 12 * BLOCK_VALUES + (400 << 20)
    rows = min(_block(project), volume.shape[0])
    fine = 4 * rows * project.geometry.views * project.geometry.columns
    return 4 * fine + 12 * rows * project.geometry.size**2 + (400 << 20)


def cost(volume: Header, scan: Header) -> Cost:
    """What `simulate` takes for this volume and scan, about.

    Raises
    ------
    AssertionError
        When the scan has no geometry.
    """
    assert scan.geometry is not None
    count = threads.count()
    fine = _fine(scan.geometry, int(scan.acquisition["oversample"]))
    return Cost(
        memory_bytes=memory(volume, scan),
        seconds=duration.once(fine, "project") / count + READING * scan.total_bytes / scan.item_bytes,
        threads=count,
    )


def refined(slices: Array, factor: int) -> Array:
    """Slices (z, y, x) on a grid `factor` times finer in plane; the mean over each voxel stays what it was.

    A voxel holds the mean over its square, so the finer object must keep it: it is linear inside each voxel, with
    the smaller of the two slopes towards its neighbours along each axis (minmod; none where they disagree in sign).
    So nothing overshoots, mineral is neither lost nor made, and steps stay sharp; interpolation by cubic or linear
    kernels would blur or ring.
    """
    if factor == 1:
        return slices
    place = (np.arange(factor, dtype=np.float32) + 0.5) / factor - 0.5
    fine = np.repeat(np.repeat(slices, factor, axis=1), factor, axis=2)
    down = np.repeat(np.repeat(_slope(slices, 1), factor, axis=1), factor, axis=2)
    across = np.repeat(np.repeat(_slope(slices, 2), factor, axis=1), factor, axis=2)
    fine += down * np.tile(place, slices.shape[1])[:, None]
    fine += across * np.tile(place, slices.shape[2])
    return fine


def _slope(slices: Array, axis: int) -> Array:
    """The minmod slope along an axis [per voxel]; 0 at the ends."""
    step = np.diff(slices, axis=axis)
    none = np.zeros_like(np.take(slices, [0], axis=axis))
    back, ahead = np.concatenate([none, step], axis=axis), np.concatenate([step, none], axis=axis)
    return np.where(back * ahead > 0, np.where(np.abs(back) < np.abs(ahead), back, ahead), np.float32(0))


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


def _noted(slabs: Iterator[Array], message: str) -> Iterator[Array]:
    """Say something once work begins."""
    progress.note(message)
    yield from slabs


def _looked_at(beams: Iterator[Array], layout: Geometry) -> Iterator[Array]:
    """The same transmissions; at the end it is said whether the object reaches beyond the detector."""
    view = FieldOfView(layout.rows)
    for beam in beams:
        view.look(layout, -np.log(np.maximum(beam, np.finfo(np.float32).tiny)).astype(np.float32))
        yield beam
    view.tell(layout)


def _layout(header: Header, geometry: str) -> Geometry:
    """The geometry over the smallest square grid that holds the slices."""
    depth, height, width = header.shape
    layout = bind("geometries", parse(geometry))(max(height, width), depth, header.voxel)
    assert isinstance(layout, Geometry)
    return layout


def _fine(layout: Geometry, factor: int) -> Geometry:
    """The same scan with voxels and detector columns cut into `factor`; in a cone beam, slices and rows too."""
    if layout.kind == "cone":
        layout = layout.replace(
            rows=layout.rows * factor,
            row_pitch=layout.row_pitch / factor,
            slices=layout.volume_shape[0] * factor,
            row_centre=(layout.principal_row + 0.5) * factor - 0.5,
        )
    return layout.replace(
        columns=layout.columns * factor,
        pitch=layout.pitch / factor,
        centre=(layout.centre + 0.5) * factor - 0.5,
        size=layout.size * factor,
        voxel=layout.voxel / factor,
    )


def _transmissions(
    volume: Stack,
    attenuate: Callable[[Array], Array] | None,
    layout: Geometry,
    detector: Detector,
    worker: OnDevice,
) -> Iterator[Array]:
    """Blocks (row, view, col) of the fraction of the beam that reaches each pixel, blurred across columns."""
    factor = detector.oversample
    project = Projector(_fine(layout, factor))
    with progress.task("simulate", layout.rows) as advance, torch.no_grad():
        for block in volume.blocks(_block(project)):
            values = block.astype(np.float32, copy=False)
            mu = np.asarray(attenuate(values) if attenuate else values, dtype=np.float32)
            slices = torch.from_numpy(_squared(refined(mu, factor), layout.size, factor))
            beam = _passing(worker(project, slices))
            if detector.blur:
                gaussian_filter1d(beam, detector.blur * factor, axis=-1, mode="nearest", truncate=TAIL, output=beam)
            pixels = sum(beam[..., k::factor] for k in range(factor)) / np.float32(factor)
            yield np.ascontiguousarray(pixels)
            advance(len(block))


def _cone_transmissions(
    volume: Stack,
    attenuate: Callable[[Array], Array] | None,
    layout: Geometry,
    detector: Detector,
    worker: OnDevice,
) -> Iterator[Array]:
    """One block (row, view, col) of the fraction of the beam that reaches each pixel, blurred across columns."""
    factor = detector.oversample
    fine = _fine(layout, factor)
    values = volume.collect().astype(np.float32, copy=False)
    mu = np.asarray(attenuate(values) if attenuate else values, dtype=np.float32)
    grid = torch.from_numpy(_thinner(_squared(refined(mu, factor), layout.size, factor), factor))
    beams = np.empty(layout.shape, dtype=np.float32)
    step = max(1, BLOCK_VALUES // (fine.rows * fine.columns))
    with progress.task("simulate", layout.views, "view") as advance, torch.no_grad():
        for low in range(0, layout.views, step):
            part = fine[low : low + step]
            beam = _passing(worker(Projector(part), grid))
            if detector.blur:
                gaussian_filter1d(beam, detector.blur * factor, axis=-1, mode="nearest", truncate=TAIL, output=beam)
            pixels = beam.reshape(layout.rows, factor, part.views, layout.columns, factor).mean(axis=(1, 4))
            beams[:, low : low + step] = pixels
            advance(part.views)
    yield beams


def _passing(line_integrals: torch.Tensor) -> Array:
    """Fraction of the beam that passes; infinite where a sum is far too negative, which `_readings` refuses."""
    with np.errstate(over="ignore"):
        return physics.transmission(line_integrals.numpy())


def _thinner(slices: Array, factor: int) -> Array:
    """Slices cut into `factor` along z as `refined` cuts them in plane."""
    if factor == 1:
        return slices
    place = (np.arange(factor, dtype=np.float32) + 0.5) / factor - 0.5
    fine = np.repeat(slices, factor, axis=0)
    fine += np.repeat(_slope(slices, 0), factor, axis=0) * np.tile(place, len(slices))[:, None, None]
    return fine


def _block(project: Projector) -> int:
    """Slices projected at a time: the projector's own block, or fewer eights where fine sinograms are large."""
    row = project.geometry.views * project.geometry.columns
    return min(project.block, max(8, BLOCK_VALUES // row // 8 * 8))


def _squared(slices: Array, side: int, factor: int) -> Array:
    """Slices, refined by `factor`, in the middle of a square of air.

    The air is whole voxels of the `side` of the grid, so that refinement moves nothing: where one side has one
    more than the other, it is the far one.
    """
    high, wide = (side - length // factor for length in slices.shape[1:])
    if not (high or wide):
        return slices
    ends = [(factor * (air // 2), factor * (air - air // 2)) for air in (high, wide)]
    return np.pad(slices, ((0, 0), *ends))


def _blurred_rows(beams: Iterator[Array], rows: int, blur: float) -> Iterator[Array]:
    """Blocks blurred across rows with a Gaussian; beyond the ends, the outermost row goes on."""
    if not blur:
        yield from beams
        return
    halo = ceil(TAIL * blur)
    place = np.arange(-halo, halo + 1)
    kernel = np.exp(-0.5 * (place / blur) ** 2)
    kernel /= kernel.sum()
    size = max(8, halo)
    for window, lo, hi in windows(beams, rows, size, halo):
        whole = np.pad(window, ((halo - lo, halo - (len(window) - hi)), (0, 0), (0, 0)), mode="edge")
        smooth = correlate1d(whole, kernel, axis=0, mode="nearest")
        yield np.ascontiguousarray(smooth[halo : halo + hi - lo])


def _readings(beams: Iterator[Array], header: Header, detector: Detector, seed: int) -> Iterator[Array]:
    """Blocks of noisy readings in the header's unit; each row has its own draws."""
    noises = detector.noises()
    read = {"counts": _as_counts, "transmission": _as_transmission, "line integral": _as_line_integral}[header.unit]
    row = empty = 0
    for block in beams:
        done = np.empty_like(block)
        for beam, out in zip(block, done, strict=True):
            white = detector.photons * detector.sensitivity(seed, row, beam.shape[-1])
            mean = white * np.maximum(beam, 0.0)
            if not mean.max() <= MOST_COUNTS:  # nor NaN
                raise DataError(f"row {row}: attenuation is so large, or so negative, that no photons can be counted")
            counts = _noisy(mean, noises, seed, "scan", row)
            empty += int(np.count_nonzero(counts < physics.LEAST_PHOTONS))
            out[:] = read(counts, white, detector.dark)
            row += 1
        yield done
    if empty:
        share = empty / np.prod(header.shape, dtype=float)
        what = counted(empty, "reading is", "readings are")
        progress.note(f"{what} below half a photon ({share:.2g} of all); a logarithm takes half a photon")


def _noisy(mean: Array, noises: tuple[tuple[Spec, Noise], ...], seed: int, *key: int | str) -> Array:
    """Mean counts and what each noise adds."""
    counts = mean.astype(np.float64)
    for place, (term, noise) in enumerate(noises):
        counts = counts + term.weight * noise(mean, generator(seed, term.name, place, *key))
    return counts


def _as_counts(counts: Array, white: Array, dark: float) -> Array:
    return counts + dark


def _as_transmission(counts: Array, white: Array, dark: float) -> Array:
    return counts / white


def _as_line_integral(counts: Array, white: Array, dark: float) -> Array:
    return physics.line_integrals(counts, white)[0]


def _frames(scan: Header, detector: Detector, frames: int, seed: int, frame: Callable[[int, Array], Array]) -> Stack:
    if frames < 1:
        raise UsageError(f"{frames} frames; give at least 1")
    if scan.axes != SINOGRAMS:
        raise UsageError("flats and darks belong to a scan in sinogram order")
    rows, _, columns = scan.shape
    facts = {key: value for key, value in detector.facts().items() if key != "white"}
    header = Header(
        shape=(frames, rows, columns),
        axes=PROJECTIONS,
        spacing=(None, scan.spacing[0], scan.spacing[2]),
        unit="counts",
        acquisition=facts,
    )

    def slabs() -> Iterator[Array]:
        sensitivity = np.stack([detector.sensitivity(seed, row, columns) for row in range(rows)])
        for index in range(frames):
            yield frame(index, sensitivity).astype(np.float32)[None]

    return chain(header, slabs())
