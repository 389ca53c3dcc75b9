"""Cortical thickness."""

from bonectl.core.table import Doubt, Finding, Number
from bonectl.metrics import _local
from bonectl.morphology import cortex
from bonectl.morphology.specimen import Specimen

# What the register knows of it (core/kit.py).
USUAL = ""
PLACE = 21
BYTES = 27.0
KEEPS = ()
SYMBOLS = (("ctth", "Ct.Th"),)


def ctth(
    specimen: Specimen, *, convention: str = "subvoxel", gap: float = 0.5, pore: float = 0.2, strut: float = 0.4
) -> tuple[Finding, ...]:
    """Ct.Th: local thickness of the cortex, its pores filled (Bouxsein et al., 2010).

    As tbth, of the space between the periosteal and the endocortical surface, which are found as by cortical.

    Parameters
    ----------
    specimen : Specimen
        On cubic voxels.
    convention : str
        subvoxel, bonej or ipl.
    gap : float
        Widest opening of the cortex to the outside [mm].
    pore : float
        Widest pore of the cortex [mm].
    strut : float
        Thickest trabecula [mm].

    Returns
    -------
    ctth, ctth_sd, ctth_max : mm
    """
    rule = _local.check(convention)
    specimen.side("local thickness")
    parts = cortex.of(specimen, gap=gap, pore=pore, strut=strut)
    shell = parts.cortex
    spread = specimen.once(
        ("cortical thickness", convention, gap, pore, strut), lambda: _local.within(specimen, shell, convention)
    )
    return (
        Number("ctth", spread.mean, "mm", f"mean local thickness of the cortex, pores filled, {convention}: {rule}"),
        Number("ctth_sd", spread.deviation, "mm", "standard deviation of the local thickness of the cortex"),
        Number("ctth_max", spread.largest, "mm", "largest ball inside the cortex"),
        *(Doubt(f"cortical: {text}") for text in parts.doubts),
    )
