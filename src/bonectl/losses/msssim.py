"""Structural similarity over several scales (Wang, Simoncelli and Bovik 2003)."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from bonectl.errors import UsageError
from bonectl.learning.sample import Sample
from bonectl.losses._windowed import SIDE, similarity

# Exponents of the scales, finest first, of the paper.
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
# Means of the contrast term may be negative at first; a power of them has no value there.
LEAST = 1e-4


def msssim(sample: Sample, *, scales: int = 3, span: float = 1.0, shift: float = 1.0) -> Tensor:
    """One minus the mean structural similarity over slices halved again and again.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units; each slice on its own.
    scales : int
        1 to 5; their exponents are the paper's first ones, scaled to sum to 1. Patches have at least
        11 · 2^(scales - 1) pixels.
    span : float
        Range of the values [normalised units], fixed: never that of the batch.
    shift : float
        Added to both first [normalised units]; see ``ssim``.

    Returns
    -------
    Tensor, ()

    Raises
    ------
    UsageError
        When there is no such number of scales, or patches are too small for it.
    """
    if not 1 <= scales <= len(EXPONENTS):
        raise UsageError(f"msssim(scales={scales}): there are 1 to {len(EXPONENTS)} scales")
    side, least = min(sample.estimate.shape[2:]), SIDE * 2 ** (scales - 1)
    if side < least:
        raise UsageError(f"msssim(scales={scales}) needs patches of {least} pixels, not {side}; give a larger --patch")
    x, y = ((values + shift).flatten(0, 1).unsqueeze(1) for values in (sample.estimate, sample.target))
    total = sum(EXPONENTS[:scales])
    index = torch.ones(len(x), dtype=x.dtype, device=x.device)
    for scale, exponent in enumerate(EXPONENTS[:scales]):
        luminance, structure = similarity(x, y, 2, span)
        here = luminance * structure if scale == scales - 1 else structure
        index = index * here.mean(dim=(1, 2, 3)).clamp(min=LEAST) ** (exponent / total)
        x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
    return 1 - index.mean()
