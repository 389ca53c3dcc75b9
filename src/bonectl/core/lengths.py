"""Lengths: their types, and which numbers can be one in a scanner."""

from collections.abc import Iterable

from bonectl.errors import UsageError

MM_PER_CM = 10.0
"""Lengths are in mm, attenuation is per cm."""

Spacing = tuple[float, float, float]
"""Sides of a voxel along the axes of a stack [mm]."""

PartialSpacing = tuple[float | None, float | None, float | None]
"""The same where some are not known."""

# A picometre and a thousand kilometres [mm]: within, squares and cubes are floats of single precision's exponents.
LEAST, MOST = 1e-9, 1e9


def is_length(value: float) -> bool:
    """Whether a value [mm] can be a voxel, a pitch or a distance; NaN and infinity cannot."""
    return LEAST <= value <= MOST


SPOKEN = f"a length from {LEAST:g} to {MOST:g} mm"
"""How messages call what `is_length` takes."""


def check_lengths(**lengths: float) -> None:
    """Refuse what is no length, by its name.

    Raises
    ------
    UsageError
        Naming the first.
    """
    for name, value in lengths.items():
        if not is_length(value):
            raise UsageError(f"{name} = {value} mm; it must be {SPOKEN}")


# Voxel sizes that differ by less than this share are the same: files round them.
ROUNDED = 1e-3


def same(side: float, other: float) -> bool:
    """Whether two voxel sizes are one, within 0.1 %."""
    return abs(other - side) <= ROUNDED * abs(side)


def is_cubic(sides: Iterable[float]) -> bool:
    """Whether the sides of a voxel are the same, within 0.1 %."""
    known = list(sides)
    return max(known) <= min(known) * (1 + ROUNDED)
