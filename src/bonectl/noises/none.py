"""No noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def none(counts: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float64]:
    """No noise at all: the mean of all possible scans.

    Parameters
    ----------
    counts : array
        Mean counts [photons]; only the shape matters.
    rng : numpy.random.Generator
        Not used.

    Returns
    -------
    array
        Zeros.
    """
    return np.zeros(counts.shape)
