"""Edges: differences between neighbouring voxels."""

import torch
from torch import Tensor

from bonectl.errors import UsageError
from bonectl.learning.sample import Sample


def grad(sample: Sample, *, order: int = 1) -> Tensor:
    """Mean absolute error of the differences between neighbours, along z, y and x.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units. An axis too short for the difference is left out.
    order : int
        1: forward differences, v[i+1] - v[i]. 2: second differences, v[i+1] - 2 v[i] + v[i-1].

    Returns
    -------
    Tensor, ()
        Mean over the axes of the mean over the voxels.

    Raises
    ------
    UsageError
        When the order is neither 1 nor 2, or no axis is long enough.
    """
    if order not in (1, 2):
        raise UsageError(f"grad(order={order}): differences are of order 1 or 2")
    error = sample.estimate - sample.target
    axes = [axis for axis in (1, 2, 3) if error.shape[axis] > order]
    if not axes:
        raise UsageError(f"grad(order={order}) needs {order + 1} voxels along an axis; give a larger --patch")
    return torch.stack([error.diff(n=order, dim=axis).abs().mean() for axis in axes]).mean()
