"""Total-variation denoising by the dual projection of Chambolle (2004, J Math Imaging Vis 20)."""

from functools import partial

from bonectl.errors import UsageError
from bonectl.learning.denoiser import Denoiser
from bonectl.models._slicewise import Slicewise

# What the register knows of it (core/kit.py).
LEARNS = "nothing"


def tv(*, weight: float = 0.1, eps: float = 2e-4, steps: int = 200) -> Denoiser:
    """Smooth each slice where that lowers its total variation more than it changes its values.

    Parameters
    ----------
    weight : float
        How much smoothing [normalised units]; about the standard deviation of the noise.
    eps : float
        Relative change of the objective at which the iteration ends.
    steps : int
        Most iterations.

    Returns
    -------
    Denoiser
        (b, z, y, x) → (b, z, y, x), normalised units; every pixel may depend on its whole slice.

    Raises
    ------
    UsageError
        When a knob is not positive.
    """
    from skimage.restoration import denoise_tv_chambolle

    if not (weight > 0 and eps > 0 and steps > 0):
        raise UsageError(f"tv(weight={weight}, eps={eps}, steps={steps}): all must be positive")
    return Slicewise(partial(denoise_tv_chambolle, weight=weight, eps=eps, max_num_iter=steps))
