"""Beam hardening, by the polynomial of a measured wedge."""

import numpy as np

from bonectl.core.preparation import Plane, Setting, Step
from bonectl.errors import UsageError

WORKS = "either"
READS = ("line integral",)
GIVES = ""
MOVES = False
ASKS = False
FRAMES = False
BESIDE = 0
BYTES = 9.0
PACE = 0.6


def beamhardening(scan: Setting, *, coefficients: tuple[float, ...] = (1.0,)) -> Step:
    """Line integrals of one energy from those of a spectrum, p' = a₁ p + a₂ p² + a₃ p³ ...

    Soft photons are stopped first, so that thick bone seems to attenuate less than it does and the middle of a slice
    reads low; a₂ above 0 gives it back (Herman, Phys. Med. Biol. 24, 81, 1979). The coefficients come from a wedge or
    stairs of known thickness that were scanned with the same tube and filter; they hold for one material. Where the
    tube is known, "bonectl reconstruct --method bonewater" tells bone from water.

    Parameters
    ----------
    scan : Setting
    coefficients : list of float
        a₁, a₂, a₃ ...

    Raises
    ------
    UsageError
        When there are none, or they are no numbers.
    """
    if not coefficients or not all(isinstance(a, int | float) and not isinstance(a, bool) for a in coefficients):
        raise UsageError("beamhardening(coefficients=[a1, a2, ...]) takes numbers, one at least")
    powers = [np.float32(a) for a in coefficients]

    def work(plane: Plane, _: int) -> Plane:
        done = np.full_like(plane, powers[-1])
        for a in powers[-2::-1]:
            done *= plane
            done += a
        return np.asarray(done * plane)

    return Step(scan.header.replace(dtype="<f4"), work)
