"""A soft bone mask, and means over windows: what the losses on bone numbers share."""

from torch import Tensor
from torch.nn.functional import avg_pool3d

from bonectl.learning.sample import Sample


class OfWindows:
    """Mean over windows of the absolute difference of a number of the soft bone mask.

    Parameters
    ----------
    threshold : float
        Between marrow and bone [normalised units]: 0.4 is 480 mgHA/cm³.
    tau : float
        Half-width of the soft step around it [normalised units].
    window : int
        Side of the cubes that are compared [voxels].
    """

    def __init__(self, *, threshold: float = 0.4, tau: float = 0.15, window: int = 16) -> None:
        self.threshold = threshold
        self.tau = tau
        self.window = window

    def __call__(self, sample: Sample) -> Tensor:
        """Return the loss, ()."""
        estimate = self.density(occupancy(sample.estimate, self.threshold, self.tau))
        target = self.density(occupancy(sample.target, self.threshold, self.tau))
        return window_means(estimate - target, self.window).abs().mean()

    def density(self, mask: Tensor) -> Tensor:
        """Return the number's share of each voxel, (b, z', y', x'), for occupancies (b, z, y, x)."""
        raise NotImplementedError


def occupancy(values: Tensor, threshold: float, tau: float) -> Tensor:
    """Return how much each voxel is bone, 0 to 1.

    A smoothstep of compact support: exactly 0 below ``threshold - tau`` and exactly 1 above
    ``threshold + tau``. The tails of a sigmoid would turn empty background into thousands of fractional
    components of the Euler number.

    Parameters
    ----------
    values : Tensor
        Normalised units.
    threshold, tau : float
        Middle and half-width of the step [normalised units]; tau is positive.
    """
    share = ((values - threshold) / (2 * tau) + 0.5).clamp(0, 1)
    return share.square() * (3 - 2 * share)


def window_means(values: Tensor, window: int) -> Tensor:
    """Return the means over cubes of (b, z, y, x), (b, z', y', x').

    Cubes have ``window`` voxels on a side; the last along an axis holds what is left, and a shorter axis is one cube.
    """
    sides = [min(window, side) for side in values.shape[1:]]
    return avg_pool3d(values.unsqueeze(1), sides, ceil_mode=True, count_include_pad=False).squeeze(1)
