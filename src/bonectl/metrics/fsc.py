"""Resolution by Fourier shell correlation (Harauz and van Heel, Optik 73:146, 1986)."""

from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, rfftfreq, rfftn

from bonectl.core import progress
from bonectl.core.table import Number
from bonectl.errors import UsageError
from bonectl.morphology.specimen import Specimen

# What the register knows of it (core/kit.py).
USUAL = "against"
PLACE = 17
BYTES = 44.0
KEEPS = ()
SYMBOLS = ()

# Correlation at which each criterion cuts; the half-bit curve depends on the number of coefficients of a shell.
CRITERIA = {"reference": 0.378, "halves": 0.143, "halfbit": None}

# Sides shorter than this have too few shells for a crossing.
FEWEST = 8

Curve = NDArray[np.float64]


def fsc(specimen: Specimen, reference: Specimen, *, criterion: str = "reference") -> tuple[Number, ...]:
    """Spatial frequency, and length, at which the volume ceases to agree with the reference.

    Both are tapered by a Hann window along each axis, their mean subtracted: without it the edges of the stack
    correlate, and the resolution reads a third too fine. The correlation of their Fourier coefficients over shells
    of equal frequency, FSC(f) = Re Σ F G* / sqrt(Σ |F|² Σ |G|²), falls from 1; the frequency is where it first falls
    below the cut, linear between shells. Noise lowers it; a blur alone does not. Where it never falls below the cut
    up to the Nyquist frequency, there is no number.

    Parameters
    ----------
    specimen, reference : Specimen
        Cubic voxels, over the whole stack: a volume of interest is not heeded. A mask has the values 0 and 1.
    criterion : str
        reference: 0.378, for a reference without noise, against which FSC is the square root of that of two halves;
        halves: 0.143, for two volumes of independent noise, such as those of odd and even views (Rosenthal and
        Henderson, J. Mol. Biol. 333:721, 2003); halfbit: the half-bit curve for those (van Heel and Schatz,
        J. Struct. Biol. 151:250, 2005). Halves that one network made measure its agreement with itself.

    Returns
    -------
    fsc_frequency : 1/mm
    fsc_resolution : mm
    """
    if criterion not in CRITERIA:
        raise UsageError(f"fsc(criterion={criterion}); there are {', '.join(CRITERIA)}")
    side = specimen.side("fsc")
    ours, theirs = (one.bone if one.grey is None else one.grey for one in (specimen, reference))
    if min(ours.shape[1:]) < FEWEST:
        raise UsageError(f"fsc needs slices of at least {FEWEST} × {FEWEST} voxels, these are {ours.shape[1:]}")
    correlation, coefficients = shells(ours, theirs)
    level = CRITERIA[criterion]
    cut = half_bit(coefficients) if level is None else np.full(correlation.size, level)
    share = crossing(correlation, cut)
    if share != share:
        side_of_it = "is below" if correlation[1] < cut[1] else "stays above"
        progress.note(f"fsc: no crossing, the correlation {side_of_it} the cut ({criterion}) at every frequency")
    frequency = share / (2 * side)
    rule = f"where the Fourier shell correlation first falls below {'the half-bit curve' if level is None else level}"
    return (
        Number("fsc_frequency", frequency, "1/mm", f"spatial frequency {rule} ({criterion}); none: it never does"),
        Number("fsc_resolution", 1 / frequency, "mm", f"period of the frequency {rule} ({criterion})"),
    )


def shells(a: NDArray[Any], b: NDArray[Any]) -> tuple[Curve, Curve]:
    """Correlation of two volumes in shells of equal width from frequency 0 to the Nyquist frequency.

    There are half as many shells as voxels along the shorter side of a slice; the first is frequency 0.

    Returns
    -------
    correlation, coefficients : (shells + 1,) float64
        The latter is how many independent coefficients a shell holds: those of the transform, less what the window
        ties together, (Σ w²)² / (N Σ w⁴).
    """
    count = min(a.shape[1:]) // 2
    windows = [np.hanning(length + 2)[1:-1] for length in a.shape]
    f, g = _spectrum(a, windows), _spectrum(b, windows)
    z, y, x = fftfreq(a.shape[0]), fftfreq(a.shape[1]), rfftfreq(a.shape[2])
    radius = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    shell = np.minimum(np.rint(radius * 2 * count), count + 1).astype(np.intp).ravel()
    # A real transform leaves out the twins of all coefficients but those of the first and the last column.
    twins = np.where((x == 0) | (x == 0.5), 1.0, 2.0) * np.ones(radius.shape)

    def total(part: NDArray[np.floating]) -> Curve:
        return np.bincount(shell, (twins * part).ravel(), count + 2)[: count + 1].astype(np.float64)

    scale = np.sqrt(total(np.abs(f) ** 2) * total(np.abs(g) ** 2))
    cross = total((f * g.conj()).real)
    free = np.prod([np.square(w).sum() ** 2 / (w.size * (w**4).sum()) for w in windows])
    correlation = np.divide(cross, scale, out=np.zeros_like(scale), where=scale > 0)
    return correlation, total(np.ones(radius.shape)) * float(free)


def half_bit(coefficients: Curve) -> Curve:
    """Correlation at which a shell of so many coefficients carries half a bit each (van Heel and Schatz 2005)."""
    root = np.sqrt(np.maximum(coefficients, 1))
    curve: Curve = (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root)
    return curve


def crossing(correlation: Curve, cut: Curve) -> float:
    """Share of the Nyquist frequency at which the correlation first falls below the cut; NaN where it does not.

    Frequency 0 does not count. A correlation that is below from the first shell on has no crossing either.
    """
    above = correlation - cut
    below = np.flatnonzero(above[1:] < 0)
    if not below.size or below[0] == 0:
        return nan
    first = int(below[0]) + 1
    high, low = above[first - 1], above[first]
    return float(first - 1 + high / (high - low)) / (correlation.size - 1)


def _spectrum(values: NDArray[Any], windows: list[Curve]) -> NDArray[np.complexfloating]:
    """Fourier transform of a tapered volume without its mean."""
    tapered = values.astype(np.float64) - values.mean(dtype=np.float64)
    for axis, window in enumerate(windows):
        tapered *= window.reshape([-1 if axis == other else 1 for other in range(3)])
    spectrum: NDArray[np.complexfloating] = rfftn(tapered)
    return spectrum
