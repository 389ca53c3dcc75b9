"""What the projectors in torch share: how much they hold at a time, sums that repeat, and where kernels start."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

# Temporary memory that a step may take [byte].
BUDGET = 256 << 20


def accumulate(sums: Tensor, index: Tensor, values: Tensor) -> None:
    """Add rows of values (n, lanes) to the rows `index` (n,) of sums, in place and in an order that repeats.

    On a CPU `index_add_` goes through the rows one after another. On CUDA it uses atomic additions, in any order;
    `index_put_` sorts the rows first.
    """
    if sums.device.type == "cpu":
        sums.index_add_(0, index, values)
    else:
        sums.index_put_((index,), values, accumulate=True)


def on(device: torch.device) -> AbstractContextManager[object]:
    """Makes a CUDA device the one that kernels are started on, for a while; other devices need nothing."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
