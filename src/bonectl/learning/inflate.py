"""Weights of a network for another one that sees more: from slices to neighbouring slices, or to volumes.

A kernel that has no extent along z is put in the middle of one that has (Shan et al. 2018, IEEE TMI 37, CPCE); an input
of one slice becomes the middle one of several. All else is zero, so the larger network begins with the estimate of the
smaller one.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from bonectl.errors import UsageError

# Axes of the kernel of a convolution in the plane (out, in, y, x), and in space (out, in, z, y, x).
PLANE, SPACE = 4, 5


def inflated(weights: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights in the shapes of another network.

    Parameters
    ----------
    weights : mapping of Tensor
        Of the smaller network, by name.
    like : mapping of Tensor
        Of the larger one: the same names; shapes equal, or larger along z or in the number of slices that go in.

    Raises
    ------
    UsageError
        Other layers, or sizes that do not fit.
    """
    if odd := sorted(weights.keys() ^ like.keys()):
        raise UsageError(f"the networks have different layers ({odd[0]} is in one only)")
    return {name: _fitted(name, weights[name], like[name].shape) for name in like}


def _fitted(name: str, weight: Tensor, shape: torch.Size) -> Tensor:
    """Return one weight in the middle of zeros, where it must grow."""
    if weight.shape == shape:
        return weight
    if weight.ndim == PLANE and len(shape) == SPACE:
        weight = weight.unsqueeze(2)
    grown = torch.zeros(shape, dtype=weight.dtype)
    axis = 2 if len(shape) == SPACE else 1
    here, there = list(weight.shape), list(shape)
    extra = there.pop(axis) - here.pop(axis)
    if weight.ndim != len(shape) or here != there or extra < 0 or extra % 2:
        raise UsageError(f"{name} has shape {tuple(weight.shape)}, which does not fit into {tuple(shape)}")
    grown.narrow(axis, extra // 2, weight.shape[axis]).copy_(weight)
    return grown
