"""Read-out noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def electronic(counts: NDArray[Any], rng: np.random.Generator, *, sd: float = 5.0) -> NDArray[np.float64]:
    """Read-out noise: normal, the same whether photons come or not.

    Parameters
    ----------
    counts : array
        Mean counts [photons]; only the shape matters.
    rng : numpy.random.Generator
        Where the draws come from.
    sd : float
        Standard deviation [photons].

    Returns
    -------
    array
        The deviation.
    """
    return rng.standard_normal(counts.shape) * sd
