"""What the networks in the plane share: slices in, a correction to the middle one out; and how far a path looks."""

from collections.abc import Sequence

from torch import Tensor, nn

from bonectl.learning.denoiser import Denoiser, Reach, channels_last
from bonectl.models._unet import laid_out


class Residual(Denoiser):
    """Adds a network's correction to each slice.

    Parameters
    ----------
    network : Module
        (n, 1, y, x) → (n, 1, y, x).
    reach : Reach
        Of the network, in the plane.
    """

    def __init__(self, network: nn.Module, reach: Reach) -> None:
        super().__init__(reach)
        self.network = channels_last(network)

    def forward(self, volume: Tensor) -> Tensor:
        """Estimate (b, z, y, x) from the same, slice by slice."""
        correction: Tensor = self.network(laid_out(volume.flatten(0, 1).unsqueeze(1)))
        # Added in the precision of the input: under autocast only the correction is rounded.
        return volume + correction.to(volume.dtype).view(volume.shape)


def initialise(network: nn.Module, last: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Draw He-normal weights from torch's generator; biases, and the weights of the last layer, are zero."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    nn.init.zeros_(last.weight)


def pyramid_radius(down: Sequence[int], up: Sequence[int]) -> int:
    """Return how far an encoder and decoder with 2 × 2 strided convolutions look on either side [pixels].

    Parameters
    ----------
    down : sequence of int
        Radii of the convolutions at each scale on the way down, the coarsest last.
    up : sequence of int
        Those on the way up, the finest last; one fewer.

    Notes
    -----
    Walks the deepest path backwards from every position in a window of the coarsest scale: a convolution widens the
    interval of pixels, an up-sampling maps i to i // 2, a down-sampling i to 2i and 2i + 1.
    """
    grid = 2 ** (len(down) - 1)
    farthest = 0
    for position in range(grid):
        low = high = position
        for radius in reversed(up):
            low, high = (low - radius) // 2, (high + radius) // 2
        low, high = low - down[-1], high + down[-1]
        for radius in reversed(down[:-1]):
            low, high = 2 * low - radius, 2 * high + 1 + radius
        farthest = max(farthest, position - low, high - position)
    return farthest
