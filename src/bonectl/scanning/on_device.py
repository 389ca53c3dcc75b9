"""Blocks of slices worked on where a method shall run, in parts that its memory holds."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bonectl.core import arrays, progress
from bonectl.core.arrays import Values
from bonectl.core.counted import counted
from bonectl.core.geometry import Geometry
from bonectl.core.slabs import Array
from bonectl.errors import MemoryShortageError
from bonectl.projection.system import System

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def place(name: str, backend: str = "auto") -> "torch.device | None":
    """Where a step runs: None for arrays on the CPU, which need no torch.

    Parameters
    ----------
    name : str
        See `bonectl.learning.device.choose`, errors too.
    backend : str
        See `bonectl.projection.backends.engine`; another than ``auto`` takes tensors.
    """
    if name == "cpu" and backend == "auto":
        return None
    from bonectl.learning import device

    return device.choose(name)


def engine(where: "torch.device | None", backend: str) -> str:
    """What computes there, see `bonectl.projection.backends.engine`."""
    if where is None:
        return "numba"
    from bonectl.projection import backends

    return backends.engine(where, backend)


def projector(geometry: Geometry, where: "torch.device | None", backend: str = "auto") -> Any:
    """The projector of what lies there: a `System` of arrays, or a `bonectl.projection.projector.Projector`."""
    if where is None:
        return System(geometry)
    from bonectl.projection.projector import Projector

    return Projector(geometry, backend=backend)


class OnDevice:
    """Runs a step where it shall run, for blocks that are arrays; remembers what did not fit.

    Parameters
    ----------
    where : torch.device, optional
        As `place` gives it.
    divisible : bool
        Whether a block's first axis may be cut: slices of a parallel or fan beam, not the rows of a cone beam.
    """

    def __init__(self, where: "torch.device | None", *, divisible: bool) -> None:
        self.where = where
        self.divisible = divisible
        self._largest: int | None = None

    def __call__(self, run: Callable[[Values], Values], block: Array) -> Array:
        """The step's result for a block; in halves, quarters, ... when the device's memory is too small.

        Raises
        ------
        MemoryShortageError
            When it is too small for one slice, or for a block that cannot be cut.
        """
        if self.where is None:
            with np.errstate(all="ignore"):  # as tensors do: what is not finite is refused where it is written
                return np.asarray(run(block))
        while True:
            count = min(self._largest or len(block), len(block))
            done = self._parts(run, block, count)
            if done is not None:
                return done[0] if len(done) == 1 else np.concatenate(done)
            if count == 1 or not self.divisible:
                what = "one slice" if self.divisible else "this cone beam's scan and volume"
                raise MemoryShortageError(f"the memory of {self.where} does not hold {what}; use --device cpu")
            self._largest = count // 2
            progress.note(
                f"{self.where} has no memory for {counted(count, 'slice')} at a time; going on with {self._largest}"
            )

    def _parts(self, run: "Callable[[Tensor], Tensor]", block: Array, count: int) -> list[Array] | None:
        """Results of parts of `count` slices; None when the device's memory was too small."""
        import torch

        assert self.where is not None
        try:
            with torch.no_grad():
                parts = (arrays.tensor(block[low : low + count]) for low in range(0, len(block), count))
                return [run(part.to(self.where)).cpu().numpy() for part in parts]
        except torch.OutOfMemoryError:
            if self.where.type == "cuda":
                torch.cuda.empty_cache()
            return None
