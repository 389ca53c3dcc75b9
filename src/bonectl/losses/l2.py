"""Mean squared error."""

from torch import Tensor

from bonectl.learning.sample import Sample


def l2(sample: Sample) -> Tensor:
    """Mean of (estimate - target)²: drives every voxel to the mean of what it may be.

    The one to use where the target is itself noisy (Noise2Noise, Noise2Inverse): its minimum is unbiased for any noise
    of zero mean, that of ``l1`` only for symmetric noise.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units.

    Returns
    -------
    Tensor, ()
    """
    return (sample.estimate - sample.target).square().mean()
