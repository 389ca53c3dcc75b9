"""Trabecular number."""

from collections.abc import Mapping

from bonectl.core.table import Number
from bonectl.metrics import _local
from bonectl.morphology.parted import Statistic, Weights
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.tapers import SubVolumes

# What the register knows of it (core/kit.py).
USUAL = "structure"
PLACE = 8
BYTES = 18.0
KEEPS = ("thickness",)
SYMBOLS = (("tbn", "Tb.N"),)


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
    cells = specimen.sums.cells
    number = cells.bone_voxels / cells.total_voxels / _local.bone(specimen, convention, walls).mean
    return (Number("tbn", number, "1/mm", f"trabecular number by the plate model, BV/TV / Tb.Th ({convention})"),)


def resampled(specimen: Specimen, seen: SubVolumes, *, convention: str = "subvoxel", walls: str = "open") -> Statistic:
    """The number of drawn sub-volumes (`bonectl.morphology.parted`)."""
    thickness = _local.resampled("tbth", _local.bone_map(specimen, convention, walls), seen)
    bone, voi = (seen.sums(mask) for mask in (specimen.bone, specimen.voi))

    def drawn(weights: Weights) -> Mapping[str, float]:
        return {"tbn": float(weights @ bone / (weights @ voi)) / thickness(weights)["tbth"]}

    return drawn
