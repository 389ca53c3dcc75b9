"""Trabecular separation."""

import numpy as np
from numpy.typing import NDArray

from bonectl.core.table import Number
from bonectl.errors import UsageError
from bonectl.metrics import _local
from bonectl.morphology.parted import Statistic
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.tapers import SubVolumes

# What the register knows of it (core/kit.py).
USUAL = "structure"
PLACE = 7
BYTES = 25.0
KEEPS = ()
MAP = "local thickness of the marrow"
SYMBOLS = (("tbsp", "Tb.Sp"), ("tbsp_sd", "Tb.Sp SD"))


def tbsp(
    specimen: Specimen, *, convention: str = "subvoxel", coarsen: int = 0, walls: str = "open"
) -> tuple[Number, ...]:
    """Tb.Sp: local thickness of the marrow inside the volume of interest.

    As tbth, of what is not bone. Voids are wide, so they are measured on means of `coarsen`³ voxels; the rule takes
    the largest factor that keeps the mean void above 20 voxels. From 20 voxels on all conventions use 2 x the
    distance to the nearest bone voxel centre: on real bone within 2 % of the full subvoxel grid, on plates up to 5 %
    above it where voids are 20 voxels wide, and 30 times faster; coarsen=1 is the full grid. Balls of voids that a
    face of the stack cuts go on beyond it: a whole stack of a few voids reads 5 to 10 % more than a region inside it.

    Parameters
    ----------
    specimen : Specimen
        On cubic voxels.
    convention : str
        subvoxel, bonej or ipl.
    coarsen : int
        Factor; 0 is by the rule, 1 is the full grid by the convention.
    walls : str
        Of the volume of interest. open: a ball is bounded by what the data show in it and beyond; closed: the walls
        bound it too, as in tools that blank what lies outside.

    Returns
    -------
    tbsp, tbsp_sd, tbsp_max : mm
    """
    how = _local.check_walls(walls)
    spread, rule = _local.marrow(specimen, _checked(specimen, convention, coarsen), coarsen, walls)
    return (
        Number("tbsp", spread.mean, "mm", f"mean local thickness of the marrow, {rule}{how}"),
        Number("tbsp_sd", spread.deviation, "mm", "standard deviation of the local thickness of the marrow"),
        Number("tbsp_max", spread.largest, "mm", "largest ball inside the marrow"),
    )


def thickness_map(specimen: Specimen, *, convention: str = "subvoxel", walls: str = "open") -> NDArray[np.float32]:
    """Local thickness at each marrow voxel [mm], on the full grid, 0 elsewhere; (z, y, x).

    Parameters
    ----------
    specimen : Specimen
        On cubic voxels.
    convention : str
        subvoxel, bonej or ipl.
    walls : str
        open or closed, as of `tbsp`.
    """
    _local.check(convention)
    _local.check_walls(walls)
    return _local.marrow_map(specimen, convention, walls)


def resampled(
    specimen: Specimen, seen: SubVolumes, *, convention: str = "subvoxel", coarsen: int = 0, walls: str = "open"
) -> Statistic:
    """The numbers of drawn sub-volumes (`bonectl.morphology.parted`)."""
    _local.check_walls(walls)
    values, _ = _local.marrow_grid(specimen, _checked(specimen, convention, coarsen), coarsen, walls)
    return _local.resampled("tbsp", values, seen)


def _checked(specimen: Specimen, convention: str, coarsen: int) -> str:
    """The convention; UsageError where a knob is out of range."""
    if coarsen < 0 or coarsen > min(specimen.labels.shape):
        raise UsageError(f"tbsp(coarsen={coarsen}); give 0 for the rule, or a factor from 1 on")
    _local.check(convention)
    return convention
