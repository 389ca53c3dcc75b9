"""Filters of scikit-image that need the whole slice, one slice at a time."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bonectl.learning.denoiser import Denoiser, Reach

Filter = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class Slicewise(Denoiser):
    """Applies a function of one slice to every slice.

    Parameters
    ----------
    function : callable
        (y, x) → (y, x) in float64.
    """

    def __init__(self, function: Filter) -> None:
        super().__init__(Reach(pixels=None))
        self.function = function

    def forward(self, volume: Tensor) -> Tensor:
        """Filter (b, z, y, x) slice by slice, on the CPU."""
        slices = volume.detach().double().cpu().numpy()
        answer = np.stack([[self.function(image) for image in run] for run in slices])
        return torch.from_numpy(answer).to(volume)
