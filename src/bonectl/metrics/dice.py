"""Overlap of two bone masks."""

from collections.abc import Mapping
from math import nan

import numpy as np

from bonectl.core.table import Number
from bonectl.morphology.parted import Statistic, Weights
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.tapers import SubVolumes

# What the register knows of it (core/kit.py).
USUAL = "against"
PLACE = 15
BYTES = 5.0
KEEPS = ()
SYMBOLS = ()


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


def resampled(specimen: Specimen, reference: Specimen, seen: SubVolumes) -> Statistic:
    """The number of drawn sub-volumes (`bonectl.morphology.parted`)."""
    common = seen.sums(specimen.bone & reference.bone)
    both = seen.sums(specimen.bone) + seen.sums(reference.bone)

    def drawn(weights: Weights) -> Mapping[str, float]:
        bone = float(weights @ both)
        return {"dice": 2 * float(weights @ common) / bone if bone else nan}

    return drawn
