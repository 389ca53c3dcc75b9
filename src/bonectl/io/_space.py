"""Lengths in other units, and the way that the axes of a medical image run."""

from collections.abc import Mapping, Sequence

from bonectl.core.lengths import PartialSpacing, is_length

UNKNOWN: PartialSpacing = (None, None, None)

MILLIMETRES: Mapping[str, float] = {
    "nm": 1e-6, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "\\u00b5m": 1e-3, "micron": 1e-3, "microns": 1e-3,
    "micrometer": 1e-3, "micrometre": 1e-3, "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "cm": 10.0, "m": 1000.0,
    "inch": 25.4, "inches": 25.4,
}  # fmt: skip
"""Millimetres in a unit of length, by the words that programs write."""

OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "S": "I", "I": "S"}

# How far an axis may stand off before it is called oblique: 0.1 % of its length.
_OFF = 1e-3


def length(value: float, digits: int = 12) -> float | None:
    """A length [mm] without the noise of its last digits; None where it is none."""
    return float(f"{value:.{digits}g}") if is_length(value) else None


def orientation(axes: Sequence[Sequence[float]], space: str) -> str:
    """Where x, y and z run to in a body, such as ``LPS``: to its left, to the back, to the head; or ``oblique``.

    Parameters
    ----------
    axes : 3 vectors
        Steps along x, y and z, in the coordinates of the body.
    space : str
        Where these coordinates run to, in the same letters.
    """
    letters = ""
    for axis in axes:
        largest = max(map(abs, axis))
        along = [place for place, step in enumerate(axis) if abs(step) > _OFF * largest]
        if largest == 0 or len(along) != 1:
            return "oblique"
        letter = space[along[0]]
        letters += letter if axis[along[0]] > 0 else OPPOSITE[letter]
    return letters if len({*letters, *(OPPOSITE[letter] for letter in letters)}) == 6 else "oblique"
