"""What the regions of a whole bone share."""

import numpy as np
from numpy.typing import NDArray

from bonectl.core.lengths import Spacing
from bonectl.morphology.cortex import Compartments, compartments, said


class Compartment:
    """A compartment of a whole bone, after Buie et al. (Bone 41:505, 2007).

    Parameters
    ----------
    gap : float
        Widest opening of the cortex to the outside [mm].
    pore : float
        Widest pore of the cortex [mm].
    strut : float
        Thickest trabecula [mm].
    """

    def __init__(self, *, gap: float = 0.5, pore: float = 0.2, strut: float = 0.4) -> None:
        self.knobs = {"gap": gap, "pore": pore, "strut": strut}

    def __call__(self, bone: NDArray[np.bool_], spacing: Spacing) -> NDArray[np.bool_]:
        """Return the region of a bone (z, y, x) with these voxel sides [mm]."""
        return self.of(said(compartments(bone, spacing, **self.knobs)))

    def of(self, found: Compartments) -> NDArray[np.bool_]:
        """Return the region among all compartments."""
        raise NotImplementedError
