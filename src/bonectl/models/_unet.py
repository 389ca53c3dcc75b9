"""The U-Net in the plane that ``unet2d`` and ``unet25d`` share (Ronneberger, Fischer and Brox 2015).

Without normalisation layers: their statistics would make a voxel depend on the tile it was computed in, and
absolute mineral density on the contrast of its neighbourhood. He initialisation (He et al. 2015); the last
convolution starts at zero, so that an untrained network returns its input.
"""

import torch
from torch import Tensor, nn

from bonectl.errors import UsageError
from bonectl.learning.denoiser import Denoiser, Reach, channels_last


def convolutions(inputs: int, outputs: int) -> nn.Sequential:
    """Return two 3 × 3 convolutions, each followed by a ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """Encoder and decoder with skip connections, (b, inputs, y, x) → (b, 1, y, x).

    Parameters
    ----------
    inputs : int
        Input channels.
    width : int
        Channels at full resolution; doubled at every coarser scale.
    scales : int
        Resolutions, full one included: 1 means no pooling.
    """

    def __init__(self, inputs: int, width: int, scales: int) -> None:
        super().__init__()
        widths = [width * 2**scale for scale in range(scales)]
        self.down = nn.ModuleList(
            convolutions(before, after) for before, after in zip([inputs, *widths[:-1]], widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * wide, wide, 2, stride=2) for wide in reversed(widths[:-1]))
        self.merge = nn.ModuleList(convolutions(2 * wide, wide) for wide in reversed(widths[:-1]))
        self.last = nn.Conv2d(width, 1, 1)
        self.initialise()

    def initialise(self) -> None:
        """Draw He-normal weights from torch's generator; biases and the last convolution are zero."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                # A pixel behind the transposed convolution sees one tap per input channel.
                if isinstance(layer, nn.ConvTranspose2d):
                    nn.init.normal_(layer.weight, std=(1 / layer.in_channels) ** 0.5)
                else:
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, inputs, y, x) to (b, 1, y, x); y and x are multiples of 2^(scales - 1)."""
        kept: list[Tensor] = []
        for down in self.down:
            x = down(self.pool(x) if kept else x)
            kept.append(x)
        kept.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat((kept.pop(), up(x)), dim=1))
        output: Tensor = self.last(x)
        return output


def radius(scales: int) -> int:
    """Return the receptive field of :class:`UNet` on either side [pixels].

    An output pixel's dependence is an interval of input pixels; walking the deepest path backwards, two 3 × 3
    convolutions widen it by two, the transposed convolution maps i to i // 2, pooling maps i to 2i and 2i + 1.
    The answer is the widest over all positions in a pooling window: 2, 9, 23, 51 for 1 to 4 scales.
    """
    grid = 2 ** (scales - 1)
    farthest = 0
    for position in range(grid):
        low = high = position
        for _ in range(scales - 1):
            low, high = (low - 2) // 2, (high + 2) // 2
        low, high = low - 2, high + 2
        for _ in range(scales - 1):
            low, high = 2 * low - 2, 2 * high + 1 + 2
        farthest = max(farthest, position - low, high - position)
    return farthest


def laid_out(images: Tensor) -> Tensor:
    """Copy (b, channels, y, x) into memory channels last, strides and all.

    With one channel, several strides mean the same layout and ``contiguous`` keeps any of them; torch then picks
    convolutions by them whose last bits differ, and a tile would differ from the whole slice. A graph that is being
    traced for other software has no memory yet.
    """
    if torch.onnx.is_in_onnx_export():
        return images
    channels, rows, columns = images.shape[1:]
    strides = (rows * columns * channels, 1, columns * channels, channels)
    return torch.empty_strided(images.shape, strides, dtype=images.dtype, device=images.device).copy_(images)


class SliceUNet(Denoiser):
    """Adds a U-Net's correction to each slice, given its neighbours as channels.

    Parameters
    ----------
    slices : int
        Slices the network sees, odd; the correction is for the middle one.
    width, scales : int
        See :class:`UNet`.

    Raises
    ------
    UsageError
        An even or non-positive number of slices, or a width or number of scales below 1.
    """

    def __init__(self, slices: int, width: int, scales: int) -> None:
        if slices < 1 or slices % 2 == 0:
            raise UsageError(
                f"slices={slices}: the middle slice needs as many neighbours above as below; give an odd number"
            )
        if width < 1 or not 1 <= scales <= 8:
            raise UsageError(f"width={width}, scales={scales}: width must be at least 1 and scales 1 to 8")
        super().__init__(Reach(slices=slices // 2, pixels=radius(scales), grid=2 ** (scales - 1)))
        self.slices = slices
        self.network = channels_last(UNet(slices, width, scales))

    def forward(self, volume: Tensor) -> Tensor:
        """Estimate the inner slices, (b, z + slices - 1, y, x) → (b, z, y, x)."""
        batch, depth, rows, columns = volume.shape
        depth = depth - (self.slices - 1)  # a new number: a graph that is traced must not change a size in place
        windows = volume.unfold(1, self.slices, 1)  # (b, z, y, x, slices): the neighbours already lie last
        windows = windows.reshape(batch * depth, rows, columns, self.slices).permute(0, 3, 1, 2)
        correction = self.network(laid_out(windows))
        middle = volume[:, self.reach.slices : self.reach.slices + depth]
        # Added in the precision of the input: under autocast only the correction is rounded.
        estimate: Tensor = middle + correction.to(volume.dtype).reshape(batch, depth, rows, columns)
        return estimate
