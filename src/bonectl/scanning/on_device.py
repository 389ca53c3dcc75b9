"""Blocks of slices worked on where a method shall run, in parts that its memory holds."""

from collections.abc import Callable

import torch
from torch import Tensor

from bonectl.core import progress
from bonectl.core.counted import counted
from bonectl.errors import MemoryShortageError


class OnDevice:
    """Runs a step on a device for blocks that lie in the CPU's memory; remembers what did not fit.

    Parameters
    ----------
    where : torch.device
    divisible : bool
        Whether a block's first axis may be cut: slices of a parallel or fan beam, not the rows of a cone beam.
    """

    def __init__(self, where: torch.device, *, divisible: bool) -> None:
        self.where = where
        self.divisible = divisible
        self._largest: int | None = None

    def __call__(self, run: Callable[[Tensor], Tensor], block: Tensor) -> Tensor:
        """The step's result for a block, on the CPU; in halves, quarters, ... when the device's memory is too small.

        Raises
        ------
        MemoryShortageError
            When it is too small for one slice, or for a block that cannot be cut.
        """
        while True:
            count = min(self._largest or len(block), len(block))
            done = self._parts(run, block, count)
            if done is not None:
                return done[0] if len(done) == 1 else torch.cat(done)
            if count == 1 or not self.divisible:
                what = "one slice" if self.divisible else "this cone beam's scan and volume"
                raise MemoryShortageError(f"the memory of {self.where} does not hold {what}; use --device cpu")
            self._largest = count // 2
            progress.note(
                f"{self.where} has no memory for {counted(count, 'slice')} at a time; going on with {self._largest}"
            )

    def _parts(self, run: Callable[[Tensor], Tensor], block: Tensor, count: int) -> list[Tensor] | None:
        """Results of parts of `count` slices; None when the device's memory was too small."""
        try:
            starts = range(0, len(block), count)
            return [run(block[low : low + count].to(self.where)).cpu() for low in starts]
        except torch.OutOfMemoryError:
            if self.where.type == "cuda":
                torch.cuda.empty_cache()
            return None
