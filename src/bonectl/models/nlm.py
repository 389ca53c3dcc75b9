"""Non-local means (Buades, Coll and Morel 2005; with integral images: Darbon et al. 2008)."""

from functools import partial

from bonectl.errors import UsageError
from bonectl.learning.denoiser import Denoiser
from bonectl.models._slicewise import Slicewise

# What the register knows of it (core/kit.py).
LEARNS = "nothing"


def nlm(*, sigma: float = 0.1, strength: float = 0.8, patch: int = 5, distance: int = 6) -> Denoiser:
    """Replace each pixel by the mean of those in its slice whose surroundings look alike.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise [normalised units].
    strength : float
        How unlike surroundings may be, in units of sigma.
    patch : int
        Side of the surroundings [pixels].
    distance : int
        How far to look [pixels].

    Returns
    -------
    Denoiser
        (b, z, y, x) → (b, z, y, x), normalised units. Slices are kept whole: sums over integral images
        round differently in tiles.

    Raises
    ------
    UsageError
        When a knob is not positive.
    """
    from skimage.restoration import denoise_nl_means

    if not (sigma > 0 and strength > 0 and patch > 0 and distance > 0):
        raise UsageError(
            f"nlm(sigma={sigma}, strength={strength}, patch={patch}, distance={distance}): all must be positive"
        )
    return Slicewise(
        partial(
            denoise_nl_means,
            patch_size=patch,
            patch_distance=distance,
            h=strength * sigma,
            sigma=sigma,
            fast_mode=True,
        )
    )
