"""What of a tube's photons a detector feels at each energy."""

from dataclasses import dataclass
from math import exp, log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bonectl.core import physics, reading
from bonectl.core.lengths import MM_PER_CM
from bonectl.core.spline import Spline
from bonectl.errors import DataError, UsageError

# Mass attenuation of aluminium [cm²/g] at energies [keV], and its density [g/cm³]: Hubbell and Seltzer, NIST XAAMDI.
ALUMINIUM = {
    8: 50.33, 10: 26.23, 15: 7.955, 20: 3.441, 30: 1.128, 40: 0.5685, 50: 0.3681, 60: 0.2778, 80: 0.2018, 100: 0.1704,
    150: 0.1378,
}  # fmt: skip
ALUMINIUM_DENSITY = 2.699
# Energies between which attenuation is tabulated, and the step at which a tube's photons are counted [keV].
LOWEST, HIGHEST, STEP = 8.0, 150.0, 1.0


@dataclass(frozen=True)
class Spectrum:
    """Shares of what the detector feels without an object, by photon energy.

    Parameters
    ----------
    kev : tuple of float
        Energies [keV].
    weights : tuple of float
        Their shares; the sum is 1.
    """

    kev: tuple[float, ...]
    weights: tuple[float, ...]

    def attenuation(self, material: str) -> NDArray[np.float64]:
        """Mass attenuation at the energies [cm²/g]."""
        return np.array([physics.mass_attenuation(material, kev) for kev in self.kev])


def of_tube(kv: float, aluminium: float) -> Spectrum:
    """A tungsten tube's spectrum behind a filter, felt by a detector that adds up energy.

    Kramers' law for a thick target, photons in proportion to (kv - E) / E, each of which counts as E (Kramers, Phil.
    Mag. 46, 836, 1923). Lines of the anode, and what it holds back of its own photons, are left out: a thickness of
    aluminium that a calibration with known objects gives makes up for them.

    Parameters
    ----------
    kv : float
        Voltage [kV].
    aluminium : float
        Filter, and what the tube's window amounts to [mm of aluminium].

    Raises
    ------
    UsageError
        When it is no voltage of a tube within the tables, or the filter is negative.
    """
    if not (LOWEST + STEP < kv <= HIGHEST and aluminium >= 0):
        raise UsageError(
            f"a tube of {kv:g} kV behind {aluminium:g} mm of aluminium; give up to {HIGHEST:g} kV, and 0 mm or more"
        )
    table = Spline.through(np.log(list(ALUMINIUM)), np.log(list(ALUMINIUM.values())))
    energies = np.arange(LOWEST + STEP / 2, kv, STEP)
    passed = [exp(-exp(table(log(kev))) * ALUMINIUM_DENSITY * aluminium / MM_PER_CM) for kev in energies]
    return _shares(energies, (kv - energies) * np.array(passed))


def listed(path: Path) -> Spectrum:
    """The spectrum of a text: a line for each energy [keV] with how much the detector feels there.

    Raises
    ------
    MissingInputError, PermissionDeniedError, WriteError
        When it is not there, may not be read, or reading fails.
    DataError
        When it holds no such table.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise reading.failure(path, error) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no spectrum: not a text in UTF-8") from error
    rows = [line.partition("#")[0].replace(",", " ").split() for line in lines]
    try:
        pairs = [(float(kev), float(weight)) for kev, weight in (row for row in rows if row)]
    except ValueError:
        raise DataError(f"{path}: is no spectrum: give an energy [keV] and a weight in each line") from None
    table = np.array(pairs).reshape(-1, 2)
    energies, weights = table.T
    if not (np.isfinite(table).all() and (weights >= 0).all() and weights.sum() > 0):
        raise DataError(f"{path}: is no spectrum: weights are numbers from 0, and not all 0")
    if energies.min() < LOWEST or energies.max() > HIGHEST:
        raise DataError(
            f"{path}: energies from {energies.min():g} to {energies.max():g} keV; give {LOWEST:g} to {HIGHEST:g}"
        )
    return _shares(energies, weights)


def _shares(energies: NDArray[np.float64], weights: NDArray[np.float64]) -> Spectrum:
    felt = weights > 0
    return Spectrum(tuple(energies[felt].tolist()), tuple((weights[felt] / weights.sum()).tolist()))
