"""Clean volumes and white noise of any strength: what a prior for reconstruction is trained on."""

from collections.abc import Sequence
from math import log

import numpy as np
from numpy.typing import NDArray

from bonectl.core.header import Header
from bonectl.errors import UsageError
from bonectl.learning.checkpoint import Normalisation
from bonectl.learning.sample import Patch, Volume

# What the register knows of it (core/kit.py).
BLIND = False


class White:
    """Cuts clean patches, and the same with white Gaussian noise of a strength of their own."""

    def __init__(self, volumes: Sequence[Volume], least: float, most: float) -> None:
        self.volumes = volumes
        self.least, self.most = least, most
        self.scales = [Normalisation.of(volume.header).scale for volume in volumes]

    @property
    def headers(self) -> tuple[Header, ...]:
        """Headers of the volumes."""
        return tuple(volume.header for volume in self.volumes)

    @property
    def clean(self) -> bool:
        """Targets are free of the noise."""
        return True

    def cut(
        self, patch: Patch, context: int, random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Cut a pair; the strength is drawn (log-uniform), and then the noise of every voxel."""
        volume = self.volumes[patch.volume]
        strength = float(np.exp(random.uniform(log(self.least), log(self.most)))) * self.scales[patch.volume]
        wanted = patch.slices(context)
        there, place = np.unique(wanted, return_inverse=True)  # a slice that stands in twice has one noise
        clean = volume.crop(there, patch)
        noise = random.standard_normal(clean.shape, dtype=np.float32) * np.float32(strength)
        return (clean + noise)[place], volume.crop(patch.slices(0), patch)


def white(inputs: Sequence[Volume], targets: Sequence[Volume], *, least: float = 0.01, most: float = 0.5) -> White:
    """Learn from clean volumes and white Gaussian noise that is added anew to every patch, of any strength.

    What comes out knows what bone looks like and nothing of a scanner: a prior for ``reconstruct --method pnp``, which
    asks it again and again with ever less noise. For scans, whose noise is not white, train on those.

    Parameters
    ----------
    inputs : sequence of Volume
        Clean stacks.
    targets : sequence of Volume
        Empty.
    least, most : float
        Standard deviation of the noise as a share of full bone (1200 mgHA/cm³); between them, all orders of magnitude
        are alike likely.

    Returns
    -------
    White

    Raises
    ------
    UsageError
        When targets are given, a knob makes no sense, or a stack has no calibration.
    """
    if targets:
        raise UsageError("white makes its own noise; give clean stacks as inputs, and no --target")
    if not 0 < least <= most:
        raise UsageError(f"white(least={least}, most={most}): both must be positive, least up to most")
    if not inputs:
        raise UsageError("white needs a clean stack")
    return White(inputs, least, most)
