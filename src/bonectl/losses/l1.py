"""Mean absolute error."""

from torch import Tensor

from bonectl.learning.sample import Sample


def l1(sample: Sample) -> Tensor:
    """Mean of abs(estimate - target): drives every voxel to the median of what it may be.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units.

    Returns
    -------
    Tensor, ()
    """
    return (sample.estimate - sample.target).abs().mean()
