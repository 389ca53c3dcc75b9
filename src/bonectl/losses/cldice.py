"""Centreline Dice (Shit et al. 2021, CVPR): skeletons inside masks, both ways."""

import torch
from torch import Tensor
from torch.nn.functional import max_pool3d, relu

from bonectl.errors import UsageError
from bonectl.learning.sample import Sample
from bonectl.losses._occupancy import occupancy

# Keeps 0 / 0 of samples without bone finite [voxels].
SMALL = 1e-6


def cldice(sample: Sample, *, threshold: float = 0.4, tau: float = 0.15, iterations: int = 3) -> Tensor:
    """One minus the harmonic mean of two shares: each soft skeleton inside the other's soft mask.

    Costs some ten times ``euler``.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units.
    threshold : float
        Between marrow and bone [normalised units]: 0.4 is 480 mgHA/cm³.
    tau : float
        Half-width of the soft step around it [normalised units].
    iterations : int
        Erosions: at least the largest radius of a trabecula [voxels].

    Returns
    -------
    Tensor, ()
        0 for equal masks of zeros and ones.

    Raises
    ------
    UsageError
        When iterations is below 1.
    """
    if iterations < 1:
        raise UsageError(f"cldice(iterations={iterations}): a skeleton takes at least one erosion")
    estimate = occupancy(sample.estimate, threshold, tau).unsqueeze(1)
    target = occupancy(sample.target, threshold, tau).unsqueeze(1)
    precision = _share(soft_skeleton(estimate, iterations), target)
    recall = _share(soft_skeleton(target, iterations), estimate)
    return 1 - 2 * precision * recall / (precision + recall)


def soft_skeleton(mask: Tensor, iterations: int) -> Tensor:
    """Return what openings take away at each erosion of (b, 1, z, y, x), united; 0 to 1."""
    skeleton = relu(mask - _opened(mask))
    for _ in range(iterations):
        mask = _eroded(mask)
        lost = relu(mask - _opened(mask))
        skeleton = skeleton + relu(lost - skeleton * lost)
    return skeleton


def _share(skeleton: Tensor, mask: Tensor) -> Tensor:
    """Share of a soft skeleton inside a soft mask."""
    return ((skeleton * mask).sum() + SMALL) / (skeleton.sum() + SMALL)


def _eroded(mask: Tensor) -> Tensor:
    """Minimum over a voxel and its six neighbours."""
    sides = ((3, 1, 1), (1, 3, 1), (1, 1, 3))
    minima = [-max_pool3d(-mask, side, 1, [s // 2 for s in side]) for side in sides]
    return torch.minimum(torch.minimum(minima[0], minima[1]), minima[2])


def _opened(mask: Tensor) -> Tensor:
    """Erosion, then maximum over 3 × 3 × 3."""
    return max_pool3d(_eroded(mask), 3, 1, 1)
