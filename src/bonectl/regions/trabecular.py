"""The trabecular compartment of a whole bone."""

import numpy as np
from numpy.typing import NDArray

from bonectl.morphology.cortex import Compartments
from bonectl.regions._compartment import Compartment


class Trabecular(Compartment):
    """Marrow and trabeculae inside the endocortical surface of the largest bone, whose long axis lies along z.

    After Buie et al. (Bone 41:505, 2007), as the metric cortical.
    """

    def of(self, found: Compartments) -> NDArray[np.bool_]:
        """Return the region among all compartments."""
        return found.medulla
