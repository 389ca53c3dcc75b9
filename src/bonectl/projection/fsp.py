"""Parallel-beam projection through the Fourier-slice theorem, and its exact transpose.

The spectrum of a projection is a line through the spectrum of the slice (Bracewell 1956; Natterer, *The
Mathematics of Computerized Tomography*, 1986, theorem II.1.1). The slice, divided by the gridding kernel's
transform, is transformed on a grid `OVERSAMPLING` times its size; the lines are interpolated on it with a
Kaiser-Bessel kernel `TAPS` wide, its shape parameter after Beatty, Nishimura and Pauly (IEEE Trans. Med. Imaging
24, 799, 2005, eq. 5); a transform back along each line gives the detector. Weights are shared by all slices.

Pixel models, as factors of the line's spectrum at frequency k [1/mm] in direction (c, s), voxel v, pitch p:

* ``bandlimited``: the slice has no frequency above 1/(2 v) in x or y, the detector samples points:
  the factor is 1 below min(1/(2 p), 1/(2 v max(\\|c\\|, \\|s\\|))) and 0 above.
* ``strip``: square voxels of constant attenuation, detector pixels that average over their width:
  ``sinc(v k c) sinc(v k s) sinc(p k)``, up to k = 1/p; what lies above 1/(2 p) folds back as sampling folds it.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonectl.core.lengths import MM_PER_CM
from bonectl.core.slabs import Array
from bonectl.projection.joseph import Beam

OVERSAMPLING = 1.25
# Slices are packed by multiples of GRAIN: four complex pairs fill the FFT's vectors.
GRAIN = 8
# Slices carried together: a cell of all of them is a line of the cache.
BLOCK = 16
# Cells along an axis that the gridding kernel covers.
TAPS = 5
HALF = TAPS / 2
# Cells that are repeated behind the last, so that a kernel at the end need not wrap.
HALO = TAPS - 1
# Of the polynomials that stand for the gridding kernel over one cell.
DEGREE = 8


@dataclass(frozen=True, eq=False)
class Tables:
    """What all slices of one geometry share; made by `tables`, never changed.

    Attributes
    ----------
    size, columns : int
        Side of the slice, and detector columns.
    cells : int
        Side of the oversampled grid.
    length : int
        Frequencies of a line: long enough that no ray of the slice wraps around into the detector.
    order : (views,) int64
        Views by direction, so that neighbours in memory are neighbours in the plane.
    steps : (views, 2) float64
        Step (x, y) of a line per frequency [cells], in that order.
    weights : (views, frequencies, 2) float32
        Complex factor of frequency 0, 1, ... of a line: pixel model, positions of the two centres, scale.
    spread_out : (size,) float32
        1 / transform of the gridding kernel along an axis of the slice.
    coefficients : (DEGREE + 1, 8) float32
        Polynomials of the kernel's taps, highest power first, signs alternating.
    """

    size: int
    columns: int
    cells: int
    length: int
    order: NDArray[np.int64]
    steps: NDArray[np.float64]
    weights: Array
    spread_out: Array
    coefficients: Array

    @property
    def origin(self) -> int:
        """The grid's row and column of the slice's first pixel."""
        return self.cells // 2 - self.size // 2


@dataclass(frozen=True)
class Filter:
    """What the lines are multiplied with: one factor per frequency, one per view; a filtered projector.

    Attributes
    ----------
    response : bytes
        float32 values at the frequencies 0, 1, ... of a real transform of `length` samples.
    shares : bytes
        float32 value per view.
    """

    response: bytes
    shares: bytes

    @property
    def length(self) -> int:
        """Samples of a line."""
        return 2 * (len(self.response) // 4 - 1)


@lru_cache(maxsize=8)
def tables(beam: Beam, model: str, filter_: Filter | None = None) -> Tables:
    """The tables for one geometry and pixel model."""
    degrees, columns, pitch, centre, size, voxel = beam
    radians = np.deg2rad(np.frombuffer(degrees, dtype=np.float64))
    order = np.argsort(np.mod(radians, pi), kind="stable")
    direction = np.stack([np.cos(radians[order]), np.sin(radians[order])], axis=1)
    cells = _even_fast_length(max(ceil(OVERSAMPLING * size), size + TAPS + 1))
    length = filter_.length if filter_ else _line_length(columns, centre, size * voxel / pitch)
    frequency = np.arange(length if model == "strip" else (length + 1) // 2) / (length * pitch)
    phase = np.multiply.outer(direction.sum(axis=1), frequency) * voxel * (size // 2 - (size - 1) / 2)
    phase += np.arange(frequency.size) * (centre / length)
    factor = PIXELS[model](direction[:, :1] * frequency, direction[:, 1:] * frequency, frequency, voxel, pitch)
    factor *= voxel**2 / (length * pitch * MM_PER_CM)
    if filter_:
        index = np.arange(frequency.size)
        factor *= np.frombuffer(filter_.response, dtype=np.float32)[np.minimum(index, length - index)]
        factor *= np.frombuffer(filter_.shares, dtype=np.float32)[order, None]
    return Tables(
        size=size,
        columns=columns,
        cells=cells,
        length=length,
        order=order,
        steps=direction * (cells * voxel / (length * pitch)),
        weights=np.stack([factor * np.cos(2 * pi * phase), -factor * np.sin(2 * pi * phase)], axis=-1).astype(
            np.float32
        ),
        spread_out=_spread_out(size, cells),
        coefficients=_tap_polynomials(size / cells),
    )


def _even_fast_length(least: int) -> int:
    from scipy.fft import next_fast_len

    length = next_fast_len(least)
    while length % 2:
        length = next_fast_len(length + 1)
    return int(length)


def _line_length(columns: int, centre: float, side: float) -> int:
    """Frequencies per line: its period must hold the slice's half diagonal and the farther detector end.

    The margin lets the ringing of a sharp pixel at the corner die down before it wraps.
    """
    from scipy.fft import next_fast_len

    reach = max(abs(centre), abs(columns - 1 - centre))
    return int(next_fast_len(max(ceil(side / sqrt(2) + reach) + 16, columns)))


def _bandlimited(kx: Any, ky: Any, _k: Any, voxel: float, _pitch: float) -> NDArray[np.float64]:
    edge = 0.5 * (1 + 1e-12)
    inside: NDArray[np.float64] = ((np.abs(kx) * voxel <= edge) & (np.abs(ky) * voxel <= edge)).astype(np.float64)
    return inside


def _strip(kx: Any, ky: Any, k: Any, voxel: float, pitch: float) -> NDArray[np.float64]:
    product: NDArray[np.float64] = np.sinc(voxel * kx) * np.sinc(voxel * ky) * np.sinc(pitch * k)
    return product


PIXELS = {"bandlimited": _bandlimited, "strip": _strip}


def _shape(fill: float) -> float:
    """Beatty's shape parameter of the Kaiser-Bessel kernel for slices that fill this fraction of the grid."""
    return pi * sqrt((TAPS * fill) ** 2 * (1 / fill - 0.5) ** 2 - 0.8)


def _kaiser_bessel(distance: Any, shape: float) -> NDArray[np.float64]:
    """The kernel at a distance [cells] from its middle, 1 there."""
    from scipy.special import i0

    inside = np.maximum(0.0, 1 - (np.asarray(distance) / HALF) ** 2)
    kernel: NDArray[np.float64] = i0(shape * np.sqrt(inside)) / i0(shape)
    return kernel


def _tap_polynomials(fill: float) -> Array:
    """Chebyshev fits of the kernel over each of its cells: error below 1e-7 of its maximum."""
    shape = _shape(fill)
    rows = np.zeros((DEGREE + 1, 8), dtype=np.float32)
    for tap in range(TAPS):
        fit = np.polynomial.Chebyshev.interpolate(_tap, DEGREE, domain=[0.0, 1.0], args=(tap, shape))
        power = fit.convert(kind=np.polynomial.Polynomial).coef
        rows[DEGREE + 1 - power.size :, tap] = (-1) ** tap * power[::-1]
    return rows


def _tap(cell: NDArray[np.float64], tap: int, shape: float) -> NDArray[np.float64]:
    return _kaiser_bessel(cell - HALF + tap, shape)


def _spread_out(size: int, cells: int) -> Array:
    nodes, quadrature = np.polynomial.legendre.leggauss(64)
    kernel = _kaiser_bessel(nodes * HALF, _shape(size / cells)) * quadrature * HALF
    position = (np.arange(size) - size // 2) / cells
    transform = np.cos(2 * pi * np.multiply.outer(position, nodes * HALF)) @ kernel
    reciprocal: Array = (1 / transform).astype(np.float32)
    return reciprocal
