"""The cortical compartment of a whole bone."""

import numpy as np
from numpy.typing import NDArray

from bonectl.core.lengths import Spacing
from bonectl.morphology.cortex import compartments, said


def cortical(
    bone: NDArray[np.bool_], spacing: Spacing, *, gap: float = 0.5, pore: float = 0.2, strut: float = 0.4
) -> NDArray[np.bool_]:
    """Cortical bone and its pores, between the surfaces of the largest bone, whose long axis lies along z.

    After Buie et al. (Bone 41:505, 2007), as the metric cortical.

    Parameters
    ----------
    bone : (z, y, x) bool
    spacing : tuple of float
        Voxel side along z, y, x [mm].
    gap : float
        Widest opening of the cortex to the outside [mm].
    pore : float
        Widest pore of the cortex [mm].
    strut : float
        Thickest trabecula [mm].
    """
    return said(compartments(bone, spacing, gap=gap, pore=pore, strut=strut)).cortex
