"""Residual U-Net in three dimensions (Çiçek et al. 2016), pooled in the plane."""

import torch
from torch import Tensor, nn

from bonectl.errors import UsageError
from bonectl.learning.denoiser import Denoiser, Reach, channels_last
from bonectl.models._unet import radius

# What the register knows of it (core/kit.py).
LEARNS = "volumes"

# Slices that two convolutions take from either end of a run.
TAKEN = 2


def _convolutions(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3 × 3 × 3 convolutions with ReLU, padded in the plane and not along z."""
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 3, padding=(0, 1, 1)),
        nn.ReLU(inplace=True),
        nn.Conv3d(outputs, outputs, 3, padding=(0, 1, 1)),
        nn.ReLU(inplace=True),
    )


class _Network(nn.Module):
    """The layers of ``bonectl.models._unet.UNet``, by the same names, with kernels of three slices."""

    def __init__(self, width: int, scales: int) -> None:
        super().__init__()
        widths = [width * 2**scale for scale in range(scales)]
        self.down = nn.ModuleList(
            _convolutions(before, after) for before, after in zip([1, *widths[:-1]], widths, strict=True)
        )
        self.pool = nn.MaxPool3d((1, 2, 2))
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(2 * wide, wide, (1, 2, 2), stride=(1, 2, 2)) for wide in reversed(widths[:-1])
        )
        self.merge = nn.ModuleList(_convolutions(2 * wide, wide) for wide in reversed(widths[:-1]))
        self.last = nn.Conv3d(width, 1, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d):
                # A voxel behind the transposed convolution sees one tap per input channel.
                taps = layer.in_channels if isinstance(layer, nn.ConvTranspose3d) else layer.weight[0].numel()
                gain = 1 if isinstance(layer, nn.ConvTranspose3d) else 2
                nn.init.normal_(layer.weight, std=(gain / taps) ** 0.5)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        kept: list[Tensor] = []
        for down in self.down:
            x = down(self.pool(x) if kept else x)
            kept.append(x)
        kept.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = up(x)
            beside = kept.pop()
            cut = (beside.shape[2] - x.shape[2]) // 2
            x = merge(torch.cat((beside[:, :, cut : cut + x.shape[2]], x), dim=1))
        output: Tensor = self.last(x)
        return output


class _Volumetric(Denoiser):
    """Adds the network's correction to the inner slices."""

    def __init__(self, width: int, scales: int) -> None:
        super().__init__(Reach(slices=TAKEN * (2 * scales - 1), pixels=radius(scales), grid=2 ** (scales - 1)))
        self.network = channels_last(_Network(width, scales))

    def forward(self, volume: Tensor) -> Tensor:
        """Estimate the inner slices, (b, z + 2 * reach.slices, y, x) → (b, z, y, x)."""
        correction: Tensor = self.network(volume.unsqueeze(1)).squeeze(1)
        context = self.reach.slices
        return volume[:, context : context + correction.shape[1]] + correction.to(volume.dtype)


def unet3d(*, width: int = 8, scales: int = 3) -> Denoiser:
    """Correct volumes with a U-Net whose kernels span three slices.

    Pooling is in the plane only, and no convolution is padded along z: so every slice is computed alike, wherever a
    stack is cut, and the weights of a ``unet2d`` of the same width and scales, put into the middle slice of each
    kernel (``bonectl train --init-from``), give the same estimate as that network did.

    Parameters
    ----------
    width : int
        Channels at full resolution; doubled at every coarser scale.
    scales : int
        Resolutions, full one included; each slice depends on 4 · scales - 2 neighbours on either side.

    Returns
    -------
    Denoiser
        (b, z + 2 · (4 · scales - 2), y, x) → (b, z, y, x), normalised units; at first the identity.

    Raises
    ------
    UsageError
        When the width is below 1, or scales outside 1 to 8.
    """
    if width < 1 or not 1 <= scales <= 8:
        raise UsageError(f"unet3d(width={width}, scales={scales}): width must be at least 1 and scales 1 to 8")
    return _Volumetric(width, scales)
