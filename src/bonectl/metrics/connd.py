"""Connectivity density."""

from bonectl.core.table import Number
from bonectl.morphology.specimen import Specimen


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
    cells, volume = specimen.purified.cells, specimen.purified.total_volume
    inside = cells.euler_in_voi
    return (
        Number("chi_purified", cells.euler, "1", "Euler number of the purified mask: bone 26-, marrow 6-connected"),
        Number("dchi_purified", inside, "1", "Euler number of the purified mask, edge-corrected (Odgaard & Gundersen)"),
        Number("conn", 1 - inside, "1", "connectivity of the purified mask: 1 - dchi_purified"),
        Number("connd", (1 - inside) / volume, "1/mm3", "connectivity density: conn / TV"),
    )
