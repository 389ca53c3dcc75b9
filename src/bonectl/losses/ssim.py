"""Structural similarity (Wang, Bovik, Sheikh and Simoncelli 2004)."""

from torch import Tensor

from bonectl.errors import UsageError
from bonectl.learning.sample import Sample
from bonectl.losses._windowed import SIDE, similarity


def ssim(sample: Sample, *, dim: int = 2, span: float = 1.0, shift: float = 1.0) -> Tensor:
    """One minus the mean structural similarity.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units; z is the length of a run of slices.
    dim : int
        2: each slice on its own. 3: volumes, which takes runs of at least 11 slices.
    span : float
        Range of the values [normalised units], fixed: never that of the batch.
    shift : float
        Added to both first [normalised units]. The luminance term takes ratios of means, so near 0, which is marrow, it
        would amplify what hardly differs; 0 gives the index of the paper.

    Returns
    -------
    Tensor, ()

    Raises
    ------
    UsageError
        When dim is neither 2 nor 3, or patches or runs are smaller than the window.
    """
    if dim not in (2, 3):
        raise UsageError(f"ssim(dim={dim}): slices have 2 dimensions, volumes 3")
    if min(sample.estimate.shape[4 - dim :]) < SIDE:
        there = tuple(sample.estimate.shape[1:])
        raise UsageError(
            f"ssim(dim={dim}) looks at windows of {SIDE} voxels, samples have {there}; give a larger --patch or --run"
        )
    x, y = sample.estimate.unsqueeze(1) + shift, sample.target.unsqueeze(1) + shift
    luminance, structure = similarity(x, y, dim, span)
    return 1 - (luminance * structure).mean()
