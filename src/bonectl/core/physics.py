"""How bone attenuates X-rays, and what a detector counts behind it.

Lengths in formulas are in cm where attenuation [1/cm] meets them; spacings elsewhere are in mm.
"""

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources
from math import exp, log
from types import MappingProxyType

import numpy as np

from bonectl.core.slabs import Array
from bonectl.core.spline import Spline
from bonectl.errors import DataError, UsageError

# Hydroxyapatite Ca10(PO4)6(OH)2, 1004.6 g/mol: one formula per hexagonal unit cell of a = 9.42 Å, c = 6.88 Å
# gives 3.16 g/cm³.
HYDROXYAPATITE_DENSITY = 3.16

# What fills the rest of the tissue, and its density [g/cm³]: water also stands for collagen and red marrow;
# adipose (yellow marrow) by ICRU Report 44; PMMA (embedded biopsies) by the NIST compound list.
MATRICES = MappingProxyType({"water": 1.0, "adipose": 0.95, "pmma": 1.19})

# No detector reading may be taken as darker than this: half a photon. A logarithm of an empty pixel then is
# large but finite, and lies above that of one photon as an empty pixel must.
LEAST_PHOTONS = 0.5

# Readings whose open beam is below this are no counts of photons but were divided by the exposure: there, half a step
# of a camera of 16 bits is the least share of the open beam that can have been read.
NORMALISED = 10.0
LEAST_SHARE = 0.5 / 65535


def mass_attenuation(material: str, kev: float) -> float:
    """Total mass attenuation coefficient μ/ρ (with coherent scattering) [cm²/g].

    Parameters
    ----------
    material : {"hydroxyapatite", "water", "adipose", "pmma"}
        Adipose is ICRP adipose tissue, PMMA is acrylic glass.
    kev : float
        Photon energy [keV], 8 to 150.

    Raises
    ------
    UsageError
        For another material, or an energy outside the table.

    Notes
    -----
    Table: xraylib 4.3.0 (Schoonjans et al., Spectrochim. Acta B 66:776, 2011), which agrees with NIST XCOM to
    four digits; nodes every 1 keV, interpolated by a cubic spline of log μ/ρ over log E. Between nodes this is
    within 1e-5 of xraylib (adipose 1e-3, below the K edge of its trace of zinc at 9.66 keV).
    """
    splines, lowest, highest = _table()
    if material not in splines:
        raise UsageError(f"no attenuation table for {material!r}; there are {', '.join(splines)}")
    if not lowest <= kev <= highest:
        raise UsageError(f"energy {kev:g} keV is outside the attenuation table; give {lowest:g} to {highest:g} keV")
    return exp(splines[material](log(kev)))


@cache
def _table() -> tuple[dict[str, Spline], float, float]:
    """A spline of log μ/ρ over log E per material, and the energies [keV] at which the table begins and ends."""
    text = resources.files("bonectl.core").joinpath("attenuation.csv").read_text("ascii")
    names, *rows = csv.reader(text.splitlines())
    energies, *columns = np.array(rows, dtype=np.float64).T
    splines = {n: Spline.through(np.log(energies), np.log(c)) for n, c in zip(names[1:], columns, strict=True)}
    return splines, float(energies[0]), float(energies[-1])


def matrix_attenuation(kev: float, matrix: str = "water") -> float:
    """Linear attenuation [1/cm] of what surrounds the mineral: water, adipose or pmma.

    Raises
    ------
    UsageError
        For another matrix, or an energy outside the table.
    """
    if matrix not in MATRICES:
        raise UsageError(f"no matrix {matrix!r}; there are {', '.join(MATRICES)}")
    return MATRICES[matrix] * mass_attenuation(matrix, kev)


def mineral_law(kev: float, matrix: str = "water") -> tuple[float, float]:
    """Slope [mgHA/cm³ per 1/cm] and intercept [mgHA/cm³] of density = slope · attenuation + intercept.

    Parameters
    ----------
    kev : float
        Photon energy [keV].
    matrix : {"water", "adipose", "pmma"}
        What fills the volume that hydroxyapatite leaves; it reads 0 mgHA/cm³.

    Notes
    -----
    Two components that share the volume: μ(C) = μ_m + C · [(μ/ρ)_HA − μ_m/ρ_HA] with C in g/cm³ of tissue,
    the linear law of Nuzzo et al., Med. Phys. 29:2672 (2002).
    """
    background = matrix_attenuation(kev, matrix)
    per_gram = mass_attenuation("hydroxyapatite", kev) - background / HYDROXYAPATITE_DENSITY
    slope = 1000.0 / per_gram
    return slope, -slope * background


def transmission(line_integrals: Array) -> Array:
    """Fraction of the beam that passes, exp(−p) (Beer and Lambert); any shape."""
    with np.errstate(over="ignore"):  # a beam that no attenuation could make is infinite
        return np.exp(-line_integrals)


def line_integrals(readings: Array, white: float | Array, least: float = LEAST_PHOTONS) -> tuple[Array, int]:
    """Line integrals p = −ln(readings / white), and how many readings had to be raised to `least`.

    Parameters
    ----------
    readings : array
        Detector readings without dark current: counts, or transmissions.
    white : float or array
        What an unattenuated pixel reads, in the same unit; broadcast against `readings`.
    least : float
        Readings below are taken as this: half a photon in counts, half a photon over `white` in transmission.

    Returns
    -------
    line_integrals : float32 array
        Finite wherever the readings are; NaN where they are NaN.
    clamped : int
        How many readings lay below `least`.
    """
    dark = readings < least
    clamped = int(np.count_nonzero(dark))
    seen = np.where(dark, readings.dtype.type(least), readings) if clamped else readings
    return (-np.log(seen / white)).astype(np.float32), clamped


def least_reading(white: float, photons: float | None = None, *, whole: bool = False) -> float:
    """What the darkest reading is taken as, in the unit of the readings: a logarithm needs something.

    Parameters
    ----------
    white : float
        What the open beam reads.
    photons : float, optional
        How many photons that are, where it is known: half of one then.
    whole : bool
        Whether readings are whole numbers: half a count then.

    Returns
    -------
    float
        Where nothing is known, half a count, or `LEAST_SHARE` of an open beam below `NORMALISED`.
    """
    if photons is not None and photons > 0:
        return LEAST_PHOTONS / photons * white
    return LEAST_PHOTONS if whole or white > NORMALISED else LEAST_SHARE * white


def least_transmission(acquisition: Mapping[str, float | int | str]) -> float | None:
    """The least share of the open beam that can have been read, by the facts of an exposure; None: nobody knows."""
    photons, least = acquisition.get("photons"), acquisition.get("least_transmission")
    if isinstance(photons, int | float) and photons > 0:
        return least_reading(1.0, float(photons))
    return float(least) if isinstance(least, int | float) and least > 0 else None


def row_of_lines(row: Array, index: int, least: float | None) -> tuple[Array, int]:
    """Line integrals of the transmissions of one detector row, and how many had to be raised to the least one.

    Parameters
    ----------
    row : (view, col) array
    index : int
        Which one it is, for the message.
    least : float, optional
        The least transmission; the smallest positive one of the row where that is not known.

    Raises
    ------
    DataError
        When none is positive.
    """
    if least is None:
        positive = row[row > 0]
        if positive.size == 0:
            raise DataError(f"row {index} has no positive transmission; these are not transmissions")
        least = float(positive.min())
    return line_integrals(row, 1.0, least)
