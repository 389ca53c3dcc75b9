"""Residual U-Net that sees neighbouring slices as channels (Hendriksen et al. 2021, Sci Rep 11)."""

from bonectl.learning.denoiser import Denoiser
from bonectl.models._unet import SliceUNet

# What the register knows of it (core/kit.py).
LEARNS = "volumes"


def unet25d(*, slices: int = 5, width: int = 16, scales: int = 3) -> Denoiser:
    """Correct each slice with a U-Net that sees it between its neighbours.

    Parameters
    ----------
    slices : int
        Slices the network sees, odd; the correction is for the middle one. At the ends of a stack the
        last slice stands in for the missing ones.
    width : int
        Channels at full resolution; doubled at every coarser scale.
    scales : int
        Resolutions, full one included.

    Returns
    -------
    Denoiser
        (b, z + slices - 1, y, x) → (b, z, y, x), normalised units; at first the identity.
    """
    return SliceUNet(slices, width, scales)
