"""Whether the values of two stacks mean the same, so that one network may see both."""

from math import isclose

from bonectl.core.header import Fact, Header
from bonectl.errors import UsageError
from bonectl.learning.checkpoint import BONE, Normalisation

# Numbers that differ by less than this are the same, rounded somewhere.
TOLERANCE = 1e-3


def agree(one: Header, one_name: str, other: Header, other_name: str, *, of_any_voxels: bool = False) -> None:
    """Refuse stacks of other units, voxels or laws between attenuation and mineral.

    What one of them does not say is taken to be as in the other.

    Parameters
    ----------
    one, other : Header
    one_name, other_name : str
        How messages call them.
    of_any_voxels : bool
        Whether voxels may differ.

    Raises
    ------
    UsageError
        Naming both, and what differs.
    """
    if one.unit != other.unit:
        raise UsageError(f"{one_name} is in {one.unit}, {other_name} in {other.unit}; give stacks of the same unit")
    for axis, p, q in () if of_any_voxels else zip(one.axes, one.spacing, other.spacing, strict=True):
        if p is not None and q is not None and not isclose(p, q, rel_tol=TOLERANCE):
            raise UsageError(
                f"{one_name} has a step of {p:g} mm along {axis}, {other_name} of {q:g} mm; give stacks of the same "
                "voxels"
            )
    if one.unit != "mgHA/cm3":  # density is density, whatever the law that it was made by
        _agree_on_law(one, one_name, other, other_name)


def _agree_on_law(one: Header, one_name: str, other: Header, other_name: str) -> None:
    advice = "bone reads otherwise in each: reconstruct both with --unit mgHA/cm3"
    if one.calibration is not None and other.calibration is not None:
        if not same_scale(scale(one), scale(other)):
            a, b = (f"{law.slope:g} × value + {law.intercept:g}" for law in (one.calibration, other.calibration))
            raise UsageError(f"mgHA/cm3 are {a} in {one_name}, but {b} in {other_name}; {advice}")
        return
    p, q = energy(one), energy(other)
    if p is not None and q is not None and not isclose(p, q, rel_tol=TOLERANCE):
        raise UsageError(f"{one_name} was taken at {p:g} keV, {other_name} at {q:g} keV; {advice}")


def scale(header: Header) -> Normalisation:
    """Return how the calibration of a stack in attenuation scales it."""
    assert header.calibration is not None
    offset = header.calibration.attenuation(0.0)
    return Normalisation(header.unit, offset, header.calibration.attenuation(BONE) - offset)


def same_scale(one: Normalisation, other: Normalisation) -> bool:
    """Return whether 0 and full mineral lie at the same values, to a thousandth of their difference."""
    most = TOLERANCE * one.scale
    return one.unit == other.unit and abs(one.offset - other.offset) <= most and abs(one.scale - other.scale) <= most


def energy(header: Header) -> float | None:
    """Return the photon energy [keV], where it is known."""
    known: Fact | None = header.acquisition.get("energy_kev")
    return float(known) if isinstance(known, float | int) else None
