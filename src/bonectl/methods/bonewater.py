"""Filtered back-projection behind a tube: beam hardening by bone and water taken out."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonectl.core import arrays, physics
from bonectl.core import spectrum as spectra
from bonectl.core.arrays import Values
from bonectl.core.spectrum import Spectrum
from bonectl.errors import UsageError
from bonectl.methods.fbp import fbp
from bonectl.methods.fdk import fdk

# What the register knows of it (core/kit.py).
BEAMS = ("parallel", "fan", "cone")
USUAL = ()
CLOSED = True
MOMENTS = ((2, 1, "back"), (3, 1, "project"), (4, 1, "collect"), (3, 1, ""))
# As those of fbp, beside the scan itself.
CUT_OFF = (2.1, 6.2)

Curve = NDArray[np.float64]

# Lengths of water [cm] and masses of mineral [g/cm²] of the table of line integrals: what a ray of these scanners
# meets, and below 0 what noise and too much mineral ask for.
WATER, MINERAL = (-10.0, 50.0, 3001), (12.0, 241)
# Line integrals of the table: first, last and how many.
LINES = (-0.5, 14.0, 581)


def bonewater(  # noqa: PLR0913 (its knobs are what the tube is)
    A: Any,
    y: Values,
    *,
    kv: float = 0.0,
    aluminium: float = 0.5,
    spectrum: str = "",
    kev: float = 30.0,
    threshold: float = 200.0,
    iterations: int = 3,
    window: str = "ram-lak",
    cutoff: float = 1.0,
) -> Values:
    """Filtered back-projection (fbp, or fdk) without the hardening of a tube's beam by bone and water.

    A tube's soft photons are stopped first, so that water bends (cupping), bone reads too low, and dark bands lie
    between bones. Rays are first taken as water of the length that the spectrum gives for them; a reconstruction shows
    where mineral is, and its projection how much of it each ray met; the length of water that the spectrum then asks
    for, and that mineral, are put together again as one energy would have read them (Joseph and Spital, J. Comput.
    Assist. Tomogr. 2, 100, 1978; Kijewski and Bjärngard, Med. Phys. 5, 209, 1978). Mineral and water share a voxel as
    in `bonectl.core.physics.mineral_law`. Needs the tube's voltage, or its spectrum (a spectrum that is not the
    tube's gives densities that are wrong by as much as hardening did); where neither is known, the preparation
    beamhardening takes coefficients of a wedge.

    Parameters
    ----------
    A : System or Projector
        The geometry of the scan.
    y : (..., row, view, col) array or tensor
        Line integrals, -ln of the transmission of the whole spectrum.
    kv : float
        The tube's voltage [kV]; its spectrum follows Kramers' law.
    aluminium : float
        Its filter, and what the tube's window amounts to [mm of aluminium].
    spectrum : str
        In place of these a text with an energy [keV] and what the detector feels there in each line, 8 to 150 keV.
    kev : float
        The energy at which the volume reads [keV]: --energy of mineral density is the same.
    threshold : float
        Density above which a voxel holds mineral; below it is water [mgHA/cm³].
    iterations : int
        How often mineral is looked for.
    window : str
        ``ram-lak`` (none), ``hann`` or ``sinc2``, of the last reconstruction.
    cutoff : float
        Its share of the detector's Nyquist frequency, 0 < cutoff <= 1.

    Returns
    -------
    (..., z, y, x) array or tensor
        Attenuation at that energy [1/cm].

    Raises
    ------
    UsageError
        When neither voltage nor spectrum is given, or a knob is out of range; as fbp and fdk.
    """
    if iterations < 1 or not threshold > 0:
        raise UsageError(
            f"bonewater(iterations={iterations}, threshold={threshold:g}); give at least 1 and a density above 0"
        )
    felt = _spectrum(kv, aluminium, spectrum)
    back = fbp if A.geometry.kind == "parallel" else fdk
    slope, intercept = physics.mineral_law(kev)
    lines = _at(y, arrays.space(y).zeros_like(y), felt, kev)
    for _ in range(iterations):
        density = back(A, lines, window="hann")
        density *= slope
        density += intercept
        density[density < threshold] = 0.0
        density /= 1000.0
        mineral = A(density)
        del density, lines  # or they would be held while the next are made
        lines = _at(y, mineral, felt, kev)
        del mineral
    return back(A, lines, window=window, cutoff=cutoff)


def spectrum_file(*, spectrum: str = "") -> Path | None:
    """Return the file of the spectrum, where there is one."""
    return Path(spectrum) if spectrum else None


def _spectrum(kv: float, aluminium: float, name: str) -> Spectrum:
    if bool(kv) == bool(name):
        raise UsageError("bonewater needs the tube's kv=, in kV, or a file spectrum=; give one of them")
    return spectra.listed(Path(name)) if name else spectra.of_tube(kv, aluminium)


def _at(lines: Values, mineral: Values, felt: Spectrum, kev: float) -> Values:
    """What one energy would have read of rays whose whole spectrum read `lines`, by their mineral [g/cm²]."""
    table = arrays.fitting(lines, _table(felt, kev)).reshape(-1)
    done = arrays.space(lines).empty_like(lines)
    rows = (values.reshape(-1, *lines.shape[-2:]) for values in (done, lines, mineral))
    for into, seen, mass in zip(*rows, strict=True):  # so that what is made on the way is small
        into[...] = _looked_up(table, seen, mass)
    return done


def _looked_up(corner: Values, lines: Values, mineral: Values) -> Values:
    """Read the table between its nodes, and on in straight lines beyond its ends."""
    first, last, down = LINES
    most, across = MINERAL
    row, column = (lines - first) * ((down - 1) / (last - first)), mineral * ((across - 1) / most)
    floor, number = arrays.space(lines).floor, arrays.space(lines).nan_to_num  # what is no number stays none below
    above, left = number(floor(row)).clip(0, down - 2), number(floor(column)).clip(0, across - 2)
    place, right = arrays.whole(above * across + left), column - left
    upper = corner[place] + right * (corner[place + 1] - corner[place])
    lower = corner[place + across] + right * (corner[place + across + 1] - corner[place + across])
    return upper + (row - above) * (lower - upper)


@lru_cache(maxsize=4)
def _table(felt: Spectrum, kev: float) -> NDArray[np.float32]:
    """Line integrals at one energy, by those of the spectrum (down) and the mineral that a ray met (across).

    -ln Σ s(E) exp(-w(E) L - h(E) M), with w of water and h of mineral in place of the water that it leaves no room for,
    rises with L: for each M it is read backwards.
    """
    water, mineral = _laws(felt)
    at_one = Spectrum((kev,), (1.0,))
    (water_there,), (mineral_there,) = _laws(at_one)
    lengths, wanted = np.linspace(*WATER), np.linspace(*LINES)
    soft = np.log(felt.weights)[:, None] - water[:, None] * lengths
    table = np.empty((LINES[2], MINERAL[1]), np.float32)
    for column, mass in enumerate(np.linspace(0.0, *MINERAL)):
        each = soft - mineral[:, None] * mass
        most = each.max(axis=0)
        seen = -(most + np.log(np.exp(each - most).sum(axis=0)))
        table[:, column] = water_there * _backwards(wanted, seen, lengths) + mineral_there * mass
    return table


def _backwards(wanted: Curve, seen: Curve, lengths: Curve) -> Curve:
    """The lengths at which `seen`, which rises with them, is what is wanted; beyond the ends in straight lines."""
    found: Curve = np.interp(wanted, seen, lengths)
    for end, beside, beyond in ((0, 1, wanted < seen[0]), (-1, -2, wanted > seen[-1])):
        slope = (lengths[end] - lengths[beside]) / (seen[end] - seen[beside])
        found[beyond] = lengths[end] + slope * (wanted[beyond] - seen[end])
    return found


def _laws(felt: Spectrum) -> tuple[Curve, Curve]:
    """Of water [1/cm], and of mineral that takes water's place [cm²/g], at each energy."""
    water = felt.attenuation("water") * physics.MATRICES["water"]
    return water, felt.attenuation("hydroxyapatite") - water / physics.HYDROXYAPATITE_DENSITY
