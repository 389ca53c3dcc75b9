"""Squared error near zero, absolute error far from it (Huber 1964)."""

from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from bonectl.errors import UsageError
from bonectl.learning.sample import Sample


def huber(sample: Sample, *, beta: float = 0.1) -> Tensor:
    """Mean of e²/(2 beta) where abs(e) < beta, abs(e) - beta/2 elsewhere, with e = estimate - target.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units.
    beta : float
        Where the parabola ends [normalised units].

    Returns
    -------
    Tensor, ()

    Raises
    ------
    UsageError
        When beta is not positive.
    """
    if not beta > 0:
        raise UsageError(f"huber(beta={beta}): beta must be positive; without the parabola it is l1")
    return smooth_l1_loss(sample.estimate, sample.target, beta=beta)
