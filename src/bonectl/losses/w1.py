"""Distribution of the values: exact Wasserstein distance."""

from torch import Tensor

from bonectl.learning.sample import Sample


def w1(sample: Sample) -> Tensor:
    """1-Wasserstein distance of the values of estimate and target: mean absolute difference of the sorted values.

    Exact in one dimension (Vallender 1974), with no range and no bins; ``hist`` is its cheaper approximation.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units; the whole batch is one distribution.

    Returns
    -------
    Tensor, ()
        [normalised units]
    """
    estimate = sample.estimate.flatten().sort().values
    target = sample.target.flatten().sort().values
    return (estimate - target).abs().mean()
