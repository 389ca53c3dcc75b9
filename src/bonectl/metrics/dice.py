"""Overlap of two bone masks."""

import numpy as np

from bonectl.core.table import Number
from bonectl.morphology.specimen import Specimen


def dice(specimen: Specimen, reference: Specimen) -> tuple[Number, ...]:
    """Dice coefficient 2 |A ∩ B| / (|A| + |B|) of the bone masks (Dice, Ecology 26:297, 1945).

    Parameters
    ----------
    specimen, reference : Specimen

    Returns
    -------
    dice : 1
    """
    both = np.count_nonzero(specimen.bone & reference.bone)
    sizes = np.count_nonzero(specimen.bone) + np.count_nonzero(reference.bone)
    return (Number("dice", 2 * both / sizes, "1", "2 |A ∩ B| / (|A| + |B|) of the bone masks"),)
