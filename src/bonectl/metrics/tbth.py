"""Trabecular thickness."""

import numpy as np
from numpy.typing import NDArray

from bonectl.core.table import Number
from bonectl.metrics import _local
from bonectl.morphology.parted import Statistic
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.tapers import SubVolumes

# What the register knows of it (core/kit.py).
USUAL = "structure"
PLACE = 6
BYTES = 18.0
KEEPS = ("thickness",)
MAP = "local thickness of the bone"
SYMBOLS = (("tbth", "Tb.Th"), ("tbth_sd", "Tb.Th SD"))


def tbth(specimen: Specimen, *, convention: str = "subvoxel", walls: str = "open") -> tuple[Number, ...]:
    """Tb.Th: local thickness of the bone (Hildebrand & Rüegsegger, J. Microsc. 185:67, 1997).

    At each voxel the diameter of the largest ball inside the bone that contains it; mean, SD and maximum over the
    bone voxels. Tools differ by up to a voxel in how they measure a ball, so the convention is a knob: `subvoxel`
    is right within 0.2 voxel for plates and rods of at least 3 voxels; `bonej` and `ipl` are for comparison with
    those tools, and with each other differ by one voxel. Of a mask, whose voxels tell no place between them, that
    holds for the mean over pose and place; its surface is found by smoothing it.

    Where the volume of interest is a part of the stack, bone beyond its walls bounds the balls, and balls reach into
    it from there, up to the largest that is centred in it. Where nothing is known beyond (one value, or hardly any
    bone: air), the walls are as the faces of a stack: they bound no ball.

    Parameters
    ----------
    specimen : Specimen
        On cubic voxels.
    convention : str
        subvoxel, bonej or ipl.
    walls : str
        Of the volume of interest. open: a ball is bounded by what the data show in it and beyond; closed: the walls
        bound it too, as in tools that blank what lies outside.

    Returns
    -------
    tbth, tbth_sd, tbth_max : mm
    """
    smoothed = " of a smoothed mask" if specimen.is_mask and convention == "subvoxel" else ""
    rule = _local.check(convention) + smoothed + _local.check_walls(walls)
    spread = _local.bone(specimen, convention, walls)
    return (
        Number("tbth", spread.mean, "mm", f"mean local thickness of the bone, {convention}: {rule}"),
        Number("tbth_sd", spread.deviation, "mm", "standard deviation of the local thickness of the bone"),
        Number("tbth_max", spread.largest, "mm", "largest ball inside the bone"),
    )


def thickness_map(specimen: Specimen, *, convention: str = "subvoxel", walls: str = "open") -> NDArray[np.float32]:
    """Local thickness at each bone voxel [mm], 0 elsewhere; (z, y, x).

    Parameters
    ----------
    specimen : Specimen
        On cubic voxels.
    convention : str
        subvoxel, bonej or ipl.
    walls : str
        open or closed, as of `tbth`.
    """
    _local.check(convention)
    _local.check_walls(walls)
    return _local.bone_map(specimen, convention, walls)


def resampled(specimen: Specimen, seen: SubVolumes, *, convention: str = "subvoxel", walls: str = "open") -> Statistic:
    """The numbers of drawn sub-volumes (`bonectl.morphology.parted`)."""
    return _local.resampled("tbth", thickness_map(specimen, convention=convention, walls=walls), seen)
