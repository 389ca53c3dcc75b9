"""When two stacks show the same voxels in the same unit, at the same scale."""

from bonectl.errors import UsageError
from bonectl.learning.agreement import agree
from bonectl.learning.sample import Volume


def match(one: Volume, other: Volume) -> None:
    """Refuse two stacks whose voxels do not correspond.

    Raises
    ------
    UsageError
        Different shape, axes, geometry of the scan, or what `agree` refuses.
    """
    a, b = one.header, other.header
    if a.shape != b.shape:
        raise UsageError(f"{one.name} has shape {_by(a.shape)}, {other.name} {_by(b.shape)}; pairs need the same")
    if a.axes != b.axes:
        raise UsageError(
            f"{one.name} has axes {', '.join(a.axes)}, {other.name} {', '.join(b.axes)}; pairs need the same"
        )
    if a.geometry is not None and b.geometry is not None and a.geometry != b.geometry:
        raise UsageError(f"{one.name} and {other.name} were scanned in other geometries; pairs need the same")
    agree(a, one.name, b, other.name)


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
