"""From the share of the beam that reaches a pixel to what a detector reads: photons, noise, sensitivity, dark."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bonectl.core import physics, progress
from bonectl.core.counted import counted
from bonectl.core.draws import generator
from bonectl.core.header import PROJECTIONS, SINOGRAMS, Fact, Header
from bonectl.core.kit import bind, check, in_full
from bonectl.core.slabs import Array
from bonectl.core.spec import Spec, parse_sum, print_sum
from bonectl.core.stack import Stack, chain
from bonectl.errors import DataError, UsageError

# Poisson draws are exact integers, and float32 holds them, up to 2^24; beyond, rounding is below the noise.
MOST_PHOTONS = 1e12
# Beyond, there are no Poisson draws.
MOST_COUNTS = 2.0**62
# A Gaussian below is no sum of pixels any more [pixel].
LEAST_BLUR = 1e-3

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

    @property
    def noise_in_full(self) -> str:
        """The noise with all its knobs."""
        terms = parse_sum(self.noise)
        return print_sum(tuple(in_full("noises", term) for term in terms))

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


def readings(beams: Iterator[Array], header: Header, detector: Detector, seed: int) -> Iterator[Array]:
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
            counts = noisy(mean, noises, seed, "scan", row)
            empty += int(np.count_nonzero(counts < physics.LEAST_PHOTONS))
            out[:] = read(counts, white, detector.dark)
            row += 1
        yield done
    if empty:
        share = empty / np.prod(header.shape, dtype=float)
        what = counted(empty, "reading is", "readings are")
        progress.note(f"{what} below half a photon ({share:.2g} of all); a logarithm takes half a photon")


def noisy(mean: Array, noises: tuple[tuple[Spec, Noise], ...], seed: int, *key: int | str) -> Array:
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


def framed(scan: Header, detector: Detector, count: int, seed: int, frame: Callable[[int, Array], Array]) -> Stack:
    """Frames (view, row, col) in counts, without an object: `frame` makes one from its number and sensitivities.

    Raises
    ------
    UsageError
        When there are none, or the scan is not in sinogram order.
    """
    if count < 1:
        raise UsageError(f"{count} frames; give at least 1")
    if scan.axes != SINOGRAMS:
        raise UsageError("flats and darks belong to a scan in sinogram order")
    rows, _, columns = scan.shape
    facts = {key: value for key, value in detector.facts().items() if key != "white"}
    header = Header(
        shape=(count, rows, columns),
        axes=PROJECTIONS,
        spacing=(None, scan.spacing[0], scan.spacing[2]),
        unit="counts",
        acquisition=facts,
    )

    def slabs() -> Iterator[Array]:
        sensitivity = np.stack([detector.sensitivity(seed, row, columns) for row in range(rows)])
        for index in range(count):
            yield frame(index, sensitivity).astype(np.float32)[None]

    return chain(header, slabs())
