"""The Laplace-Hamming filter and a threshold that is given, as in Scanco's evaluation of HR-pQCT."""

from math import isfinite

from bonectl.core.lengths import Spacing
from bonectl.errors import UsageError
from bonectl.morphology.threshold import LaplaceHamming, Threshold


def laplace_hamming(
    unit: str,
    spacing: Spacing,
    *,
    value: float = 490.0,
    epsilon: float = 0.45,
    cutoff: float = 0.3,
    amplitude: float = 1.0,
) -> Threshold:
    """Cut at a given value after a filter that raises thin bone and cuts noise (Laib & Rüegsegger, Bone 24:35, 1999).

    The filter is that of Scanco's IPL, ((1 - epsilon) + epsilon |k|²) times a Hamming window (k in cycles/mm),
    divided by 1 - epsilon, so that wide structures keep their value and the threshold is in the unit of the volume.
    It is meant for voxels of 60 to 82 µm; at 20 µm it raises noise a hundredfold.

    Parameters
    ----------
    unit : str
        Of the volume.
    spacing : tuple of float
        Voxel side along z, y, x [mm].
    value : float
        Bone is what lies above it, in the unit of the volume. IPL's t permille are t 200 / (8192 (2π)² (1 - epsilon))
        1/cm; its 475 on an XtremeCT II 0.534 1/cm, which that scanner's calibration makes 490 mgHA/cm3.
    epsilon : float
        Weight of the Laplacian [mm²], from 0 to less than 1; 0.45 on an XtremeCT II, 0.5 on an XtremeCT I.
    cutoff : float
        End of the Hamming window [cycles/voxel of the shortest side]; 0.3 on an XtremeCT II, 0.4 on an XtremeCT I.
    amplitude : float
        Of the Hamming window, 0 to 1: 1 falls to 0 at the cutoff, 0 is a sharp cutoff.
    """
    if not isfinite(value):
        raise UsageError(f"a threshold of {value}; it must be a finite number")
    if not 0 <= epsilon < 1:
        raise UsageError(f"laplace_hamming(epsilon={epsilon:g}); it lies between 0 and 1, 1 excluded")
    if not 0 < cutoff < float("inf"):
        raise UsageError(f"laplace_hamming(cutoff={cutoff:g}); it must be positive")
    if not 0 <= amplitude <= 1:
        raise UsageError(f"laplace_hamming(amplitude={amplitude:g}); it lies between 0 and 1")
    before = LaplaceHamming(epsilon, cutoff, amplitude, spacing)
    return Threshold(float(value), unit, "laplace_hamming", before)
