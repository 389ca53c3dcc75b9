"""Euler number of the mask as it is."""

from bonectl.core.table import Number
from bonectl.morphology.sums import Sums

# What the register knows of it (core/kit.py).
USUAL = "structure"
PLACE = 3
BYTES = 5.0
KEEPS = ()
SYMBOLS = (("dchi", "Δχ raw"),)


def euler(sums: Sums) -> tuple[Number, ...]:
    """Euler number χ of the bone mask as it is cut, and its edge-corrected form Δχ.

    χ = components + cavities - tunnels; bone 26-connected, marrow 6-connected, no bone beyond the volume of
    interest (Toriwaki & Yonekura 2002). Δχ leaves out what the border of the volume of interest adds: for a box as
    Odgaard & Gundersen (Bone 14:173, 1993), so that 1 - Δχ is BoneJ's Connectivity of an unpurified stack; at the
    steps of a ball, a cylinder or a ragged region by the mean of the inside. Of bone that fills a box of n³ voxels Δχ
    is ((n - 1) / n)³ of the true one, 0.97 at n = 100, and of other regions between that and 1.

    Parameters
    ----------
    sums : Sums

    Returns
    -------
    chi, dchi, conn_raw : 1
    connd_raw : 1/mm3
    """
    chi, inside = sums.cells.euler, sums.cells.euler_in_voi
    border = "edge-corrected (Odgaard & Gundersen)"
    return (
        Number("chi", chi, "1", "Euler number of the mask as it is cut: bone 26-, marrow 6-connected"),
        Number("dchi", inside, "1", f"Euler number of the mask as it is cut, {border}"),
        Number("conn_raw", 1 - inside, "1", "connectivity of the mask as it is cut: 1 - dchi"),
        Number("connd_raw", (1 - inside) / sums.total_volume, "1/mm3", "conn_raw / TV"),
    )
