"""U-Net that tells a slice from its neighbours alone: blind to the noise of the slice itself."""

import torch
from torch import Tensor

from bonectl.errors import UsageError
from bonectl.learning.denoiser import Denoiser, Reach, channels_last
from bonectl.models._unet import UNet, laid_out, radius

# What the register knows of it (core/kit.py).
LEARNS = "volumes"


class _Neighbours(Denoiser):
    """Adds a U-Net's correction to the mean of the two slices beside each."""

    def __init__(self, slices: int, width: int, scales: int) -> None:
        super().__init__(Reach(slices=slices, pixels=radius(scales), grid=2 ** (scales - 1), blind=True))
        self.network = channels_last(UNet(2 * slices, width, scales))

    def forward(self, volume: Tensor) -> Tensor:
        """Estimate the inner slices, (b, z + 2 * slices, y, x) → (b, z, y, x)."""
        batch, depth, rows, columns = volume.shape
        side = self.reach.slices
        depth = depth - 2 * side
        windows = volume.unfold(1, 2 * side + 1, 1)  # (b, z, y, x, slices)
        beside = torch.cat((windows[..., :side], windows[..., side + 1 :]), dim=-1)
        beside = beside.reshape(batch * depth, rows, columns, 2 * side).permute(0, 3, 1, 2)
        correction = self.network(laid_out(beside)).to(volume.dtype).reshape(batch, depth, rows, columns)
        mean = (volume[:, side - 1 : side - 1 + depth] + volume[:, side + 1 : side + 1 + depth]) / 2
        estimate: Tensor = mean + correction
        return estimate


def blind(*, slices: int = 2, width: int = 16, scales: int = 3) -> Denoiser:
    """Tell each slice from its neighbours alone, for --pairs noise2self: learned from one noisy volume.

    The slice itself is not looked at, in training as in use: what comes out holds none of its noise. What its
    neighbours do not tell is lost, so voxels must be small against what is to be kept.

    Parameters
    ----------
    slices : int
        Neighbours on either side. At the ends of a stack others of its slices stand in for those that are missing.
    width : int
        Channels at full resolution; doubled at every coarser scale.
    scales : int
        Resolutions, full one included.

    Returns
    -------
    Denoiser
        (b, z + 2 slices, y, x) → (b, z, y, x), normalised units; at first the mean of the two slices beside each.

    Raises
    ------
    UsageError
        When a knob is below 1, or scales is above 8.
    """
    if min(slices, width) < 1 or not 1 <= scales <= 8:
        raise UsageError(f"blind(slices={slices}, width={width}, scales={scales}): at least 1 each, scales up to 8")
    return _Neighbours(slices, width, scales)
