"""Read-out noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonectl.errors import UsageError

# As many photons as a pixel may count.
MOST = 1e12


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

    Raises
    ------
    UsageError
        When sd is negative, or larger than any detector counts.
    """
    if not 0 <= sd <= MOST:
        raise UsageError(f"electronic(sd={sd:g}); give 0 to {MOST:g} photons")
    return rng.standard_normal(counts.shape) * sd
