"""Areas and porosity of the cortex."""

import numpy as np

from bonectl.core.table import Doubt, Finding, Number
from bonectl.morphology import cortex
from bonectl.morphology.specimen import Specimen

# What the register knows of it (core/kit.py).
USUAL = ""
PLACE = 20
BYTES = 27.0
KEEPS = ()
SYMBOLS = (("ctar", "Ct.Ar"), ("ctpo", "Ct.Po"))


def cortical(specimen: Specimen, *, gap: float = 0.5, pore: float = 0.2, strut: float = 0.4) -> tuple[Finding, ...]:
    """Tt.Ar, Ct.Ar, Ma.Ar, Ct.Ar/Tt.Ar and Ct.Po of a bone whose long axis lies along z (Bouxsein et al., 2010).

    Areas are of cross-sections normal to z: volume over the length of bone in the stack. The cortex is what lies
    between the periosteal and the endocortical surface, pores included; both surfaces are found as by Buie et al.
    (Bone 41:505, 2007), with one threshold. Of several bones the largest counts. Fillets where trabeculae meet the
    cortex, narrower than `pore`, are cortex.

    Parameters
    ----------
    specimen : Specimen
    gap : float
        Widest opening of the cortex to the outside [mm]. Bones that are nearer to each other are taken as one, with a
        warning.
    pore : float
        Widest pore of the cortex [mm]; wider ones near the marrow are taken as marrow, with a warning.
        0.2 and 0.4 suit human bone; a mouse's wants 0.03 and 0.1.
    strut : float
        Thickest trabecula [mm].

    Returns
    -------
    ttar, ctar, maar : mm2
    ctar_ttar, ctpo : 1
    """
    parts = cortex.of(specimen, gap=gap, pore=pore, strut=strut)
    shell = parts.cortex
    slices = int(parts.total.any((1, 2)).sum())
    area = specimen.spacing[1] * specimen.spacing[2] / slices
    total, compact = int(np.count_nonzero(parts.total)), int(np.count_nonzero(shell))
    pores = int(np.count_nonzero(shell & ~specimen.bone))
    rule = f"gap {gap:g}, pore {pore:g}, strut {strut:g} mm"
    return (
        Number("ttar", total * area, "mm2", f"mean total area inside the periosteal surface; {rule}"),
        Number("ctar", compact * area, "mm2", "mean cortical area, pores included: cortical volume / length"),
        Number("maar", (total - compact) * area, "mm2", "mean medullary area, trabeculae included: Tt.Ar - Ct.Ar"),
        Number("ctar_ttar", compact / total, "1", "cortical area fraction Ct.Ar/Tt.Ar"),
        Number("ctpo", pores / compact, "1", "cortical porosity: volume of pores / cortical volume"),
        *(Doubt(f"cortical: {text}") for text in parts.doubts),
    )
