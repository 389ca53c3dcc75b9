"""All of a bone inside its outer surface."""

import numpy as np
from numpy.typing import NDArray

from bonectl.morphology.cortex import Compartments
from bonectl.regions._compartment import Compartment


class Total(Compartment):
    """All inside the periosteal surface of the largest bone, whose long axis lies along z.

    After Buie et al. (Bone 41:505, 2007), as the metric cortical: the union of the regions cortical and trabecular.
    """

    def of(self, found: Compartments) -> NDArray[np.bool_]:
        """Return the region among all compartments."""
        return found.total
