"""Mixed-scale dense network (Pelt and Sethian 2018, PNAS 115): few weights, for few training slices."""

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from bonectl.errors import UsageError
from bonectl.learning.denoiser import Denoiser, Reach
from bonectl.models._residual import initialise

# What the register knows of it (core/kit.py).
LEARNS = "volumes"


class _Network(nn.Module):
    """Each layer sees all before it, at its own dilation; the output is a weighted sum of all layers."""

    def __init__(self, depth: int, width: int, dilations: int) -> None:
        super().__init__()
        steps = [1 + k % dilations for k in range(depth)]
        self.layers = nn.ModuleList(
            nn.Conv2d(1 + k * width, width, 3, padding=step, dilation=step) for k, step in enumerate(steps)
        )
        self.last = nn.Conv2d(1 + depth * width, 1, 1)
        initialise(self, self.last)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 1 or torch.is_grad_enabled() or torch.onnx.is_in_onnx_export():
            for layer in self.layers:
                x = torch.cat((x, relu(layer(x))), dim=1)
        else:
            x = self._in_place(x)
        correction: Tensor = self.last(x)
        return correction

    def _in_place(self, x: Tensor) -> Tensor:
        """All layers of one picture in one array: joining them anew for every next one took a quarter of the time."""
        whole = x.new_empty(1, self.last.in_channels, *x.shape[2:])
        whole[:, :1] = x
        there = 1
        for layer in self.layers:
            made = relu(layer(whole[:, :there]))  # of one picture, its first channels lie together
            whole[:, there : there + made.shape[1]] = made
            there += made.shape[1]
        return whole


class _Dense(Denoiser):
    """Adds the correction to each slice.

    Memory stays channels first: with a layer of one channel after the other, torch picks channels-last kernels by the
    size of the picture, and a tile would differ from the whole slice in the last bits.
    """

    def __init__(self, network: nn.Module, reach: Reach) -> None:
        super().__init__(reach)
        self.network = network

    def forward(self, volume: Tensor) -> Tensor:
        """Estimate (b, z, y, x) from the same, slice by slice."""
        correction: Tensor = self.network(volume.flatten(0, 1).unsqueeze(1).contiguous())
        return volume + correction.to(volume.dtype).view(volume.shape)


def msd(*, depth: int = 30, width: int = 1, dilations: int = 10) -> Denoiser:
    """Correct each slice with many thin layers, dilated instead of pooled, each seeing all layers before it.

    Parameters
    ----------
    depth : int
        Layers. The paper has 100, which is ten times as slow.
    width : int
        Channels that each adds.
    dilations : int
        Layers have dilations 1, 2 ... dilations, 1, 2 ...

    Returns
    -------
    Denoiser
        (b, z, y, x) → (b, z, y, x), normalised units; at first the identity. Looks as far as the sum of the dilations.

    Raises
    ------
    UsageError
        When a knob is below 1.
    """
    if min(depth, width, dilations) < 1:
        raise UsageError(f"msd(depth={depth}, width={width}, dilations={dilations}): all must be at least 1")
    reach = sum(1 + k % dilations for k in range(depth))
    return _Dense(_Network(depth, width, dilations), Reach(pixels=reach))
