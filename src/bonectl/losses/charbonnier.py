"""Smooth absolute error (Charbonnier et al. 1994)."""

from torch import Tensor

from bonectl.learning.sample import Sample


def charbonnier(sample: Sample, *, eps: float = 1e-3) -> Tensor:
    """Mean of sqrt((estimate - target)² + eps²): ``l1`` without its corner.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units.
    eps : float
        Where the corner is rounded [normalised units].

    Returns
    -------
    Tensor, ()
    """
    return ((sample.estimate - sample.target).square() + eps**2).sqrt().mean()
