"""The two terms of structural similarity, with a Gaussian window (Wang, Bovik, Sheikh and Simoncelli 2004)."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv3d

# Side and standard deviation of the Gaussian window [voxels], and the two constants, all of the paper.
SIDE = 11
SIGMA = 1.5
K1 = 0.01
K2 = 0.03


def similarity(x: Tensor, y: Tensor, dim: int, span: float) -> tuple[Tensor, Tensor]:
    """Return luminance, and contrast times structure, wherever the window fits.

    Parameters
    ----------
    x, y : Tensor, (b, 1, y, x) or (b, 1, z, y, x)
        What is compared.
    dim : int
        How many of the last axes the window has, 2 or 3.
    span : float
        Range of the values.
    """
    mean_x, mean_y = blurred(x, dim), blurred(y, dim)
    variance_x = blurred(x * x, dim) - mean_x.square()
    variance_y = blurred(y * y, dim) - mean_y.square()
    covariance = blurred(x * y, dim) - mean_x * mean_y
    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    return luminance, (2 * covariance + c2) / (variance_x + variance_y + c2)


def blurred(values: Tensor, dim: int) -> Tensor:
    """Return Gaussian means over the last ``dim`` axes, where the window fits."""
    offsets = torch.arange(SIDE, dtype=values.dtype, device=values.device) - SIDE // 2
    kernel = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    kernel = kernel / kernel.sum()
    convolve = conv2d if values.ndim == 4 else conv3d
    for axis in range(values.ndim - dim, values.ndim):
        shape = [1] * values.ndim
        shape[axis] = SIDE
        values = convolve(values, kernel.view(shape))
    return values
