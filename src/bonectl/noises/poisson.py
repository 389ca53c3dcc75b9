"""Shot noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def poisson(counts: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float64]:
    """Shot noise: whole photons, whose variance is their mean.

    Parameters
    ----------
    counts : array
        Mean counts [photons], not negative.
    rng : numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    array
        Drawn minus mean counts.
    """
    return np.asarray(rng.poisson(counts) - counts, dtype=np.float64)
