"""Residual U-Net on single slices (Ronneberger, Fischer and Brox 2015; Jin et al. 2017)."""

from bonectl.learning.denoiser import Denoiser
from bonectl.models._unet import SliceUNet

# What the register knows of it (core/kit.py).
LEARNS = "volumes"


def unet2d(*, width: int = 16, scales: int = 3) -> Denoiser:
    """Correct each slice on its own.

    Parameters
    ----------
    width : int
        Channels at full resolution; doubled at every coarser scale.
    scales : int
        Resolutions, full one included.

    Returns
    -------
    Denoiser
        (b, z, y, x) → (b, z, y, x), normalised units; at first the identity.
    """
    return SliceUNet(1, width, scales)
