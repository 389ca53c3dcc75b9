"""Euler number of the level sets of the grey values, window by window.

A set of grey values has an Euler number at every threshold: the Euler characteristic curve. Its mean over thresholds,
weighted by how steep the soft step is there, is the alternating sum over cells of the soft step of one voxel each: of
the largest value around a cell that is there when one of its voxels is bone, of the smallest where all have to be. So
it is what `euler` is with the smaller of two occupancies in place of their product, and counts no blur: all level sets
of a straight rod are rods, however wide its edge.
"""

import torch
from torch import Tensor

from bonectl.losses.euler import Euler, euler_density


class Ecc(Euler):
    """Mean over windows of the absolute difference of the mean Euler number of level sets, per voxel.

    The Euler characteristic curve around the threshold; the levels go from ``threshold - tau`` to ``threshold + tau``.
    The gradient is that of the one voxel of each cell that decides at which level the cell is there. As `euler`, it
    wants a network that is decent already (``@50%``), and ``bvtv`` beside it.

    Returns
    -------
    Tensor, ()
        [1/voxel]
    """

    def density(self, mask: Tensor) -> Tensor:
        """Return the contributions of the cells."""
        return euler_density(mask, self.connectivity, torch.minimum)
