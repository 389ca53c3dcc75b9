"""Local mean density."""

from torch import Tensor

from bonectl.errors import UsageError
from bonectl.learning.sample import Sample
from bonectl.losses._occupancy import window_means


def lowpass(sample: Sample, *, window: int = 8) -> Tensor:
    """Mean absolute error of the means over cubes: pins local mineral density, whatever happens inside the cubes.

    The companion of perceptual and adversarial losses, which shift grey values.

    Parameters
    ----------
    sample : Sample
        With a target, (b, z, y, x), normalised units.
    window : int
        Side of the cubes [voxels].

    Returns
    -------
    Tensor, ()
        Every cube counts the same.

    Raises
    ------
    UsageError
        When the window is below 1.
    """
    if window < 1:
        raise UsageError(f"lowpass(window={window}): a cube has at least one voxel")
    return window_means(sample.estimate - sample.target, window).abs().mean()
