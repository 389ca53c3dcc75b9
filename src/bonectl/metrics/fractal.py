"""Fractal dimension."""

from math import log, nan

import numpy as np
from numpy.typing import NDArray

from bonectl.core.table import Number
from bonectl.errors import UsageError
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.voi import bounding_box

# What the register knows of it (core/kit.py).
USUAL = ""
PLACE = 24
BYTES = 5.0
KEEPS = ()
SYMBOLS = ()


def fractal(specimen: Specimen, *, smallest: int = 6, factor: float = 1.2) -> tuple[Number, ...]:
    """Fractal dimension by box counting: minus the slope of log(boxes that hold bone) over log(side).

    Sides from a quarter of the longest axis down to `smallest`, each `factor` times shorter, as BoneJ chooses them;
    boxes start at the corner of the volume of interest. A solid has 3, a sheet 2, a line 1.

    Parameters
    ----------
    specimen : Specimen
        Boxes are counted in voxels, so on cubic voxels.
    smallest : int
        Shortest side of a box [voxel].
    factor : float
        Between two sides; above 1.

    Returns
    -------
    fd : 1
    """
    if smallest < 1 or not factor > 1:
        raise UsageError(f"fractal(smallest={smallest}, factor={factor:g}); a side from 1 on and a factor above 1")
    specimen.side("fractal")
    bone = specimen.bone[bounding_box(specimen.voi)]
    sides = box_sides(max(bone.shape) // 4, smallest, factor)
    if len(sides) < 3:
        raise UsageError(f"fractal finds {len(sides)} sizes of boxes in {bone.shape} voxels; 3 are needed")
    counts = [boxes(bone, side) for side in sides]
    slope = np.polyfit([log(side) for side in sides], [log(n) for n in counts], 1)[0] if min(counts) else nan
    rule = f"box counting, sides {sides[0]} to {sides[-1]} voxels"
    return (Number("fd", -float(slope), "1", f"fractal dimension: {rule}"),)


def box_sides(largest: int, smallest: int, factor: float) -> list[int]:
    """Whole sides from the largest down, each once."""
    sides, side = [], float(largest)
    while int(side) >= smallest:
        sides.append(int(side))
        side /= factor
    return sorted(set(sides), reverse=True)


def boxes(bone: NDArray[np.bool_], side: int) -> int:
    """How many boxes of that side hold bone."""
    filled = bone
    for axis in range(3):
        filled = np.logical_or.reduceat(filled, np.arange(0, bone.shape[axis], side), axis=axis)
    return int(np.count_nonzero(filled))
