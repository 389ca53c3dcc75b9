"""Structural similarity (Wang, Bovik, Sheikh and Simoncelli 2004)."""

import torch
from torch import Tensor
from torch.nn.functional import conv3d

from bonectl.core.sample import Sample
from bonectl.errors import UsageError

# Side and standard deviation of the Gaussian window [voxels], and the two constants, all of the paper.
SIDE = 11
SIGMA = 1.5
K1 = 0.01
K2 = 0.03


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
        Another dim, or patches or runs smaller than the window.
    """
    if dim not in (2, 3):
        raise UsageError(f"ssim(dim={dim}): slices have 2 dimensions, volumes 3")
    if min(sample.estimate.shape[4 - dim :]) < SIDE:
        there = tuple(sample.estimate.shape[1:])
        raise UsageError(
            f"ssim(dim={dim}) looks at windows of {SIDE} voxels, samples have {there}; give a larger --patch or --run"
        )
    x, y = sample.estimate.unsqueeze(1) + shift, sample.target.unsqueeze(1) + shift
    mean_x, mean_y = _blurred(x, dim), _blurred(y, dim)
    variance_x = _blurred(x * x, dim) - mean_x.square()
    variance_y = _blurred(y * y, dim) - mean_y.square()
    covariance = _blurred(x * y, dim) - mean_x * mean_y
    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return 1 - (luminance * structure).mean()


def _blurred(volume: Tensor, dim: int) -> Tensor:
    """Return Gaussian means of (b, 1, z, y, x) over the last ``dim`` axes, where the window fits."""
    offsets = torch.arange(SIDE, dtype=volume.dtype, device=volume.device) - SIDE // 2
    kernel = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    kernel = kernel / kernel.sum()
    for axis in range(5 - dim, 5):
        shape = [1] * 5
        shape[axis] = SIDE
        volume = conv3d(volume, kernel.view(shape))
    return volume
