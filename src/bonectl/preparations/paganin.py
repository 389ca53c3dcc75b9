"""Phase retrieval of one distance, for an object of one material."""

from math import pi

import numpy as np
from scipy.fft import dctn, idctn

from bonectl.core import physics
from bonectl.core.counted import counted
from bonectl.core.preparation import Plane, Setting, Step
from bonectl.core.total import Total
from bonectl.errors import UsageError

WORKS = "projections"
READS = ("transmission",)
GIVES = "line integral"
MOVES = False
ASKS = False
FRAMES = False
BESIDE = None
BYTES = 14.0
PACE = 12.0

# Planck's constant times the speed of light [keV mm].
KEV_MM = 1.239841984e-6


def paganin(
    scan: Setting, *, delta_beta: float = 300.0, distance: float | None = None, energy: float | None = None
) -> Step:
    """Line integrals from the transmission of a beam that ran on behind the object, which bright and dark fringes mark.

    p = -ln F⁻¹{ F{I} / (1 + π λ z (δ/β) (f_x² + f_y²)) }, for a parallel beam and an object of one material with a
    refractive index of 1 - δ + iβ (Paganin, Mayo, Gureyev, Miller and Wilkins, J. Microsc. 206, 33, 2002, eq. 12, with
    μ = 4πβ/λ). It takes the place of the logarithm. Beyond the ends the projection is mirrored, so that F is the cosine
    transform and no end meets another one. Noise falls with 1 + π λ z (δ/β) f², and so does the sharpness of what is of
    another material than the one that δ/β is for.

    Parameters
    ----------
    scan : Setting
    delta_beta : float
        δ/β of the material against what surrounds it; 0 takes the logarithm alone.
    distance : float, optional
        From the object to the detector [mm]; the scan's own where it says it.
    energy : float, optional
        Of the photons [keV]; the scan's own where it says it.

    Raises
    ------
    UsageError
        When distance, energy or pitch are not known or not positive, δ/β is negative, or the beam is not parallel.
    """
    header = scan.header
    if header.geometry is not None and header.geometry.kind != "parallel":
        raise UsageError(f"paganin is for a parallel beam; this one is a {header.geometry.kind}")
    away = scan.number(distance, "distance_mm", "paganin")
    kev = scan.number(energy, "energy_kev", "paganin")
    if not (away > 0 and kev > 0 and delta_beta >= 0):
        raise UsageError(f"paganin(delta_beta={delta_beta:g}, distance={away:g}, energy={kev:g}); give positive ones")
    lengths = scan.lengths
    down, across = (
        (np.arange(lengths[axis]) / (2 * lengths[axis] * scan.pitch(axis, "paganin"))) ** 2 for axis in ("row", "col")
    )
    kept = (1 / (1 + pi * (KEV_MM / kev) * away * delta_beta * (down[:, None] + across))).astype(np.float32)
    least = physics.least_transmission(header.acquisition) or physics.LEAST_SHARE
    clamped = Total()

    def work(plane: Plane, _: int) -> Plane:
        smooth = idctn(dctn(plane, type=2, norm="ortho") * kept, type=2, norm="ortho")
        lines, count = physics.line_integrals(smooth, 1.0, least)
        clamped.add(count)
        return lines

    def told() -> str | None:
        what = counted(clamped.count, "reading was", "readings were")
        return f"paganin: {what} reached by no photon and set to the least one" if clamped.count else None

    return Step(header.replace(unit="line integral", dtype="<f4"), work, told=told)
