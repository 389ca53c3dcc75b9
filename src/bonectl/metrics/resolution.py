"""Resolution by Fourier shell correlation (Harauz and van Heel, Optik 73:146, 1986)."""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, rfftfreq, rfftn

from bonectl.core.specimen import Specimen
from bonectl.core.table import Number
from bonectl.errors import UsageError


def resolution(specimen: Specimen, reference: Specimen, *, level: float = 0.5) -> tuple[Number, ...]:
    """Spatial frequency at which the volume ceases to agree with the reference.

    Both are tapered by a Hann window along each axis, their mean subtracted. The correlation of their Fourier
    coefficients over shells of equal frequency, FSC(f) = Re sum F G* / sqrt(sum abs(F)² sum abs(G)²), falls from 1; the
    frequency is where it first falls below the level, linear between shells. Noise and blur both lower it.

    Parameters
    ----------
    specimen, reference : Specimen
        With grey values in the same unit, cubic voxels, over the whole stack: a volume of interest is not heeded.
    level : float
        Of the correlation, between 0 and 1: 0.5 is where signal and noise are alike strong against a clean reference.
    """
    if not 0 < level < 1:
        raise UsageError(f"resolution(level={level}); a correlation between 0 and 1 is needed")
    ours, theirs = specimen.values("resolution"), reference.values("resolution")
    if min(ours.shape[1:]) < 8:
        raise UsageError(f"resolution needs slices of at least 8 × 8 voxels, these are {ours.shape[1:]}")
    frequency = crossing(shell_correlation(ours, theirs), level)
    length = 2 * specimen.side("resolution") / frequency if frequency > 0 else float("inf")
    rule = f"where the Fourier shell correlation with the reference first falls below {level:g}"
    return (
        Number("fsc", frequency, "1", f"share of the Nyquist frequency {rule}; 1 when it never does"),
        Number("resolution", length, "mm", f"period of the frequency {rule}"),
    )


def shell_correlation(a: NDArray[np.number], b: NDArray[np.number]) -> NDArray[np.float64]:
    """Correlation of two volumes in shells of equal width from frequency 0 to the Nyquist frequency, (shells + 1,).

    There are half as many shells as voxels along the shorter side of a slice; the first is frequency 0.
    """
    shells = min(a.shape[1:]) // 2
    f, g = _spectrum(a), _spectrum(b)
    z, y, x = fftfreq(a.shape[0]), fftfreq(a.shape[1]), rfftfreq(a.shape[2])
    radius = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    shell = np.minimum(np.rint(radius * 2 * shells), shells + 1).astype(np.intp)
    # A real transform leaves out half of the coefficients; those of the first column have no twin.
    twins = np.where((x == 0) | (x == 0.5), 1.0, 2.0) * np.ones(radius.shape)
    sums = [
        np.bincount(shell.ravel(), (twins * part).ravel(), shells + 2)[: shells + 1]
        for part in ((f * g.conj()).real, np.abs(f) ** 2, np.abs(g) ** 2)
    ]
    scale = np.sqrt(sums[1] * sums[2])
    correlation: NDArray[np.float64] = np.divide(sums[0], scale, out=np.zeros_like(scale), where=scale > 0)
    return correlation


def crossing(correlation: NDArray[np.float64], level: float) -> float:
    """Share of the Nyquist frequency at which the correlation first falls below a level; frequency 0 does not count."""
    shells = correlation.size - 1
    below = np.flatnonzero(correlation[1:] < level)
    if not below.size:
        return 1.0
    first = int(below[0]) + 1
    if first == 1:
        return 0.0
    high, low = correlation[first - 1], correlation[first]
    return float(first - 1 + (high - level) / (high - low)) / shells


def _spectrum(values: NDArray[np.number]) -> NDArray[np.complexfloating]:
    """Fourier transform of a tapered volume without its mean."""
    tapered = values.astype(np.float64) - values.mean(dtype=np.float64)
    for axis, length in enumerate(values.shape):
        shape = [1, 1, 1]
        shape[axis] = length
        tapered *= np.hanning(length + 2)[1:-1].reshape(shape)
    spectrum: NDArray[np.complexfloating] = rfftn(tapered)
    return spectrum
