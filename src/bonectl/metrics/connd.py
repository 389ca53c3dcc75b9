"""Connectivity density."""

from collections.abc import Mapping

from bonectl.core.table import Number
from bonectl.morphology.parted import PartedSums, Statistic, Weights
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.sums import Sums
from bonectl.morphology.tapers import SubVolumes

# What the register knows of it (core/kit.py).
USUAL = "structure"
PLACE = 5
BYTES = 15.0
KEEPS = ("purified",)
SYMBOLS = (("connd", "Conn.D"),)


def connd(specimen: Specimen) -> tuple[Number, ...]:
    """Euler number, connectivity and connectivity density of the purified mask, as BoneJ.

    Purified: the largest 26-connected piece of bone, with its cavities filled. Conn = 1 - Δχ with the
    edge-corrected Euler number (Odgaard & Gundersen, Bone 14:173, 1993), Conn.D = Conn / TV. In a box of n³ voxels it
    is ((n - 1) / n)³ of the true one, as in BoneJ; in other regions, whose border is stairs, between that and 1.

    Parameters
    ----------
    specimen : Specimen

    Returns
    -------
    chi_purified, dchi_purified, conn : 1
    connd : 1/mm3
    """
    return _numbers(specimen.purified)


def resampled(specimen: Specimen, seen: SubVolumes) -> Statistic:
    """The numbers of drawn sub-volumes (`bonectl.morphology.parted`)."""
    sums = PartedSums.of(specimen.pieces.labels, None, specimen, seen)

    def drawn(weights: Weights) -> Mapping[str, float]:
        return {number.name: number.value for number in _numbers(sums.drawn(weights))}

    return drawn


def _numbers(purified: Sums) -> tuple[Number, ...]:
    cells, volume = purified.cells, purified.total_volume
    inside = cells.euler_in_voi
    return (
        Number("chi_purified", cells.euler, "1", "Euler number of the purified mask: bone 26-, marrow 6-connected"),
        Number("dchi_purified", inside, "1", "Euler number of the purified mask, edge-corrected (Odgaard & Gundersen)"),
        Number("conn", 1 - inside, "1", "connectivity of the purified mask: 1 - dchi_purified"),
        Number("connd", (1 - inside) / volume, "1/mm3", "connectivity density: conn / TV"),
    )
