"""When two stacks show the same voxels in the same unit."""

from math import isclose

from bonectl.errors import UsageError
from bonectl.learning.sample import Volume

# Voxel sizes that differ by less than this are the same size, rounded somewhere.
TOLERANCE = 1e-3


def match(one: Volume, other: Volume) -> None:
    """Refuse two stacks whose voxels do not correspond.

    Raises
    ------
    UsageError
        Different shape, axes, voxel size or unit.
    """
    a, b = one.header, other.header
    if a.shape != b.shape:
        raise UsageError(f"{one.name} has shape {_by(a.shape)}, {other.name} {_by(b.shape)}; pairs need the same")
    if a.axes != b.axes:
        raise UsageError(
            f"{one.name} has axes {', '.join(a.axes)}, {other.name} {', '.join(b.axes)}; pairs need the same"
        )
    if a.unit != b.unit:
        raise UsageError(f"{one.name} is in {a.unit}, {other.name} in {b.unit}; pairs need the same unit")
    for axis, p, q in zip(a.axes, a.spacing, b.spacing, strict=True):
        if p is not None and q is not None and not isclose(p, q, rel_tol=TOLERANCE):
            raise UsageError(
                f"{one.name} has a step of {p:g} mm along {axis}, {other.name} of {q:g} mm; pairs need the same voxels"
            )


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
