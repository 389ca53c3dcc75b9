"""Bone surface, window by window."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from bonectl.losses._occupancy import OfWindows


class Surface(OfWindows):
    """Mean over windows of the absolute difference of the soft surface area, per voxel.

    Returns
    -------
    Tensor, ()
        [1/voxel]
    """

    def density(self, mask: Tensor) -> Tensor:
        """Return the area at each voxel."""
        return surface_density(mask)


def surface_density(mask: Tensor) -> Tensor:
    """Return the surface area between each voxel and its next neighbours along z, y and x [voxel²].

    Crofton's formula with the three axes: lines along an axis cross a surface of area S, all orientations alike,
    S/2 times per unit of their cross-section; so S is two thirds of the crossings along three axes. A crossing is
    a neighbour of the other kind, q (1 - q') + (1 - q) q' for occupancies q and q'.

    Parameters
    ----------
    mask : Tensor, (b, z, y, x)
        Occupancies, 0 to 1. The faces of the sample are no surface.

    Returns
    -------
    Tensor, (b, z, y, x)
        Its sum is the area; exact for a ball up to its voxels.
    """
    total = torch.zeros_like(mask)
    for axis in (1, 2, 3):
        here = mask.narrow(axis, 0, mask.shape[axis] - 1)
        there = mask.narrow(axis, 1, mask.shape[axis] - 1)
        behind = [0, 0] * (3 - axis) + [0, 1]
        total = total + pad(here * (1 - there) + (1 - here) * there, behind)
    return total * (2 / 3)
