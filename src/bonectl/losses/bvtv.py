"""Bone volume fraction, window by window."""

from torch import Tensor

from bonectl.learning.sample import Sample
from bonectl.losses._occupancy import occupancy, window_means


def bvtv(sample: Sample, *, threshold: float = 0.4, tau: float = 0.15, window: int = 16) -> Tensor:
    """Mean over windows of the absolute difference of the soft bone volume fraction.

    The companion of ``euler``, which alone is met more cheaply by thicker bone.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units.
    threshold : float
        Between marrow and bone [normalised units]: 0.4 is 480 mgHA/cm³.
    tau : float
        Half-width of the soft step around it [normalised units].
    window : int
        Side of the cubes that are compared [voxels].

    Returns
    -------
    Tensor, ()
    """
    estimate = occupancy(sample.estimate, threshold, tau)
    target = occupancy(sample.target, threshold, tau)
    return window_means(estimate - target, window).abs().mean()
