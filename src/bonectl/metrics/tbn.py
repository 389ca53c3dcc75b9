"""Trabecular number."""

from bonectl.core.table import Number
from bonectl.metrics import _local
from bonectl.morphology.specimen import Specimen


def tbn(specimen: Specimen, *, convention: str = "subvoxel", walls: str = "open") -> tuple[Number, ...]:
    """Tb.N by the plate model: (BV/TV) / Tb.Th, as CTAn and ciclope report it.

    Parameters
    ----------
    specimen : Specimen
        On cubic voxels.
    convention : str
        Of Tb.Th: subvoxel, bonej or ipl.
    walls : str
        Of Tb.Th: open or closed.

    Returns
    -------
    tbn : 1/mm
    """
    _local.check(convention)
    _local.check_walls(walls)
    cells = specimen.tally.cells
    number = cells.bone_voxels / cells.total_voxels / _local.bone(specimen, convention, walls).mean
    return (Number("tbn", number, "1/mm", f"trabecular number by the plate model, BV/TV / Tb.Th ({convention})"),)
