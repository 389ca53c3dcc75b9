"""Open and closed pores."""

import numpy as np

from bonectl.core.table import Number
from bonectl.morphology.components import enclosed_marrow
from bonectl.morphology.specimen import Specimen

# What the register knows of it (core/kit.py).
USUAL = ""
PLACE = 26
BYTES = 8.0
KEEPS = ()
SYMBOLS = ()


def porosity(specimen: Specimen) -> tuple[Number, ...]:
    """Total, open and closed porosity, as CTAn defines them.

    A pore is closed where bone encloses it: its 6-connected marrow does not reach the border of the volume of
    interest.

    Parameters
    ----------
    specimen : Specimen

    Returns
    -------
    po_total, po_open, po_closed : 1
    """
    bone, total = specimen.sums.cells.bone_voxels, specimen.sums.cells.total_voxels
    closed = int(np.count_nonzero(enclosed_marrow(specimen.labels)))
    return (
        Number("po_total", 1 - bone / total, "1", "(TV - BV) / TV"),
        Number("po_open", (total - bone - closed) / total, "1", "volume of pores that reach the border / TV"),
        Number("po_closed", closed / (closed + bone), "1", "volume of enclosed pores / (that + BV)"),
    )
