"""Trabecular number without a model."""

from bonectl.core.table import Number
from bonectl.metrics import _local
from bonectl.morphology.specimen import Specimen

# What the register knows of it (core/kit.py).
USUAL = ""
PLACE = 27
BYTES = 24.0
KEEPS = ()
SYMBOLS = ()


def tbn_direct(specimen: Specimen, *, slope: float = 0.5, walls: str = "open") -> tuple[Number, ...]:
    """Tb.N: one over the mean distance between the mid-axes of the trabeculae, as Scanco's IPL.

    The mid-axes are the voxels from which the distance to the marrow grows nowhere steeply, at least 3/4 of the local
    radius deep (bumps of the surface have small axes of their own); their distance is the
    local thickness of all that is not mid-axis (Hildebrand et al., J. Bone Miner. Res. 14:1167, 1999), 2 x the
    distance to the nearest mid-axis voxel centre, of balls around every second (third ...) voxel where they are wide
    enough. Tb.N by the plate
    model is tbn; the two differ by tens of percent on rods.

    Plates of period a have 1/a. Rods have less, for the balls between their axes are wider: 1 / 1.414 a on squares,
    1 / 1.345 a in a cubic lattice. The spacing of such a lattice reads 4 % less than that where rods take a fifth or a
    quarter of the period, and 8 to 10 % less where they take a third: where rods meet, the ridge of the distance map is
    a patch and no line (95 % of it lies within 2 voxels of the axes for rods 6 voxels thick, within 4.8 for 12). With
    axes one voxel wide in its place the spacing is read within 1.2 %.

    Parameters
    ----------
    specimen : Specimen
        On cubic voxels.
    slope : float
        Growth of the distance per voxel, to the best of 26 neighbours, from which on a voxel is no mid-axis: 0 on
        the mid-plane of a plate, 1 beside it.
    walls : str
        Of the volume of interest. open: a ball is bounded by what the data show in it and beyond; closed: the walls
        bound it too, as in tools that blank what lies outside.

    Returns
    -------
    tbn_direct : 1/mm
    tbn_spacing, tbn_spacing_sd : mm
    """
    how = "1 / mean local thickness of the space between the mid-axes of the bone" + _local.check_walls(walls)
    spread, factor = _local.between_axes(specimen, slope, walls)
    grid = f", balls {factor} voxels apart" if factor > 1 else ""
    return (
        Number("tbn_direct", 1 / spread.mean, "1/mm", f"trabecular number: {how}{grid}"),
        Number("tbn_spacing", spread.mean, "mm", "mean distance between the mid-axes"),
        Number("tbn_spacing_sd", spread.deviation, "mm", "standard deviation of the distance between the mid-axes"),
    )
