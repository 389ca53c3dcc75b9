"""Distribution of the values: Wasserstein distance of two histograms."""

import torch
from torch import Tensor

from bonectl.errors import UsageError
from bonectl.learning.sample import Sample


def hist(sample: Sample, *, bins: int = 64, low: float = -0.25, high: float = 1.5) -> Tensor:
    """Area between the cumulative histograms of estimate and target: their 1-Wasserstein distance within a bin.

    For one-dimensional distributions W1 is the integral of the absolute difference of the distribution
    functions (Vallender 1974). Each value is shared linearly by its two nearest bins, so the histogram has a
    gradient. Keeps the distribution of density (BMD) that a loss by voxel narrows.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units; the whole batch is one distribution.
    bins : int
        Bins, at least 2.
    low, high : float
        Centres of the first and last bin [normalised units]: -300 and 1800 mgHA/cm³. Values beyond count there.

    Returns
    -------
    Tensor, ()
        [normalised units]

    Raises
    ------
    UsageError
        When there are fewer than two bins, or the range is empty.
    """
    if bins < 2 or not low < high:
        raise UsageError(f"hist(bins={bins}, low={low}, high={high}): give two bins or more, and low below high")
    width = (high - low) / (bins - 1)
    difference = _shares(sample.estimate, bins, low, width) - _shares(sample.target, bins, low, width)
    return difference.cumsum(0).abs().sum() * width


def _shares(values: Tensor, bins: int, low: float, width: float) -> Tensor:
    """Return the share of the values in each bin, (bins,)."""
    place = ((values.flatten() - low) / width).clamp(0, bins - 1)
    below = place.detach().floor().clamp(max=bins - 2)
    upper = place - below
    index = below.long()
    counts = torch.zeros(bins, dtype=values.dtype, device=values.device)
    return counts.index_add(0, index, 1 - upper).index_add(0, index + 1, upper) / place.numel()
