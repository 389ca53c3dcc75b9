"""Pairs of a noisy stack and a clean one of the same specimen, voxel on voxel."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bonectl.core.counted import counted
from bonectl.core.header import Header
from bonectl.errors import UsageError
from bonectl.learning.sample import Patch, Volume
from bonectl.pairings._match import match

# What the register knows of it (core/kit.py).
BLIND = False


class Supervised:
    """Cuts input and target at the same place."""

    def __init__(self, inputs: Sequence[Volume], targets: Sequence[Volume]) -> None:
        self.inputs = inputs
        self.targets = targets

    @property
    def headers(self) -> tuple[Header, ...]:
        """Headers of the inputs."""
        return tuple(volume.header for volume in self.inputs)

    @property
    def clean(self) -> bool:
        """Targets are what the input should have been."""
        return True

    def cut(
        self, patch: Patch, context: int, random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Cut a pair; nothing is drawn."""
        noisy = self.inputs[patch.volume].crop(patch.slices(context), patch)
        clean = self.targets[patch.volume].crop(patch.slices(0), patch)
        return noisy, clean


def supervised(inputs: Sequence[Volume], targets: Sequence[Volume]) -> Supervised:
    """Learn to turn each input into its target.

    Parameters
    ----------
    inputs : sequence of Volume
        Noisy stacks.
    targets : sequence of Volume
        One for each, of the same shape, voxel size and unit.

    Returns
    -------
    Supervised

    Raises
    ------
    UsageError
        When the stacks are not pairs.
    """
    if len(inputs) != len(targets):
        raise UsageError(
            f"{counted(len(inputs), 'input')} but {counted(len(targets), 'target')}"
            f"; give one --target for each input, in their order"
        )
    for noisy, clean in zip(inputs, targets, strict=True):
        match(noisy, clean)
    return Supervised(inputs, targets)
