"""Self-supervision from reconstructions of disjoint views (Hendriksen, Pelt and Batenburg 2020, IEEE TCI 6).

Reconstructions of disjoint subsets of the views of one scan show the same specimen with independent noise. A network
that predicts one from the mean of the others cannot learn the noise. With ``l2`` it learns the expected value.
"""

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


class Noise2Inverse:
    """Groups of ``splits`` stacks; each pair is the mean of all but one ("X"), and that one ("1")."""

    def __init__(self, groups: Sequence[Sequence[Volume]]) -> None:
        self.groups = groups

    @property
    def headers(self) -> tuple[Header, ...]:
        """Header of the first stack of each group, with the views that the mean of all but one is made of."""
        return tuple(_seen(group[0].header, len(group) - 1) for group in self.groups)

    @property
    def clean(self) -> bool:
        """Targets are as noisy as any reconstruction of so few views."""
        return False

    def cut(
        self, patch: Patch, context: int, random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Cut a pair; which split is the target is drawn."""
        group = self.groups[patch.volume]
        held = int(random.integers(len(group)))
        slices = patch.slices(context)
        others = [volume.crop(slices, patch) for number, volume in enumerate(group) if number != held]
        mean = np.stack(others).mean(axis=0, dtype=np.float32)
        return mean, group[held].crop(patch.slices(0), patch)


def _seen(header: Header, others: int) -> Header:
    """The header of what the network sees, and not of one split: views are what a scan is told apart by later."""
    views = header.acquisition.get("views")
    if not isinstance(views, int | float):
        return header
    return header.replace(acquisition={**header.acquisition, "views": views * others})


def noise2inverse(inputs: Sequence[Volume], targets: Sequence[Volume], *, splits: int = 4) -> Noise2Inverse:
    r"""Learn from the noisy scan alone, by reconstructions of disjoint views.

    Split the scan by its views, reconstruct each split, train, and denoise the reconstruction of all views:

        for k in 0 1 2 3; do
          bonectl convert scan.npy --crop ":,$k::4,:" |
            bonectl reconstruct --unit mgHA/cm3 -o split_$k.npy
        done
        bonectl train split_[0-3].npy --pairs noise2inverse --loss l2 \
          -o own.safetensors
        bonectl reconstruct scan.npy --unit mgHA/cm3 |
          bonectl denoise --model own.safetensors -o clean.npy

    Filtered back-projection is linear, so the mean of the splits is that reconstruction: it is a little less noisy than
    the mean of all splits but one, which the network learns from. Noise that the splits share (rings, a drifting beam)
    is no noise to it.

    Parameters
    ----------
    inputs : sequence of Volume
        Reconstructions of every ``splits``-th view, all splits of a scan after each other, at the same scale.
    targets : sequence of Volume
        Empty.
    splits : int
        Reconstructions per scan, at least 2.

    Returns
    -------
    Noise2Inverse

    Raises
    ------
    UsageError
        When targets are given, or the inputs are not whole groups of matching stacks.
    """
    if targets:
        raise UsageError("noise2inverse learns without targets; leave out --target, or use --pairs supervised")
    if splits < 2:
        raise UsageError(f"noise2inverse(splits={splits}): at least 2 reconstructions are needed to predict one")
    if not inputs or len(inputs) % splits:
        raise UsageError(
            f"noise2inverse(splits={splits}): {counted(len(inputs), 'input')}"
            f"; give all {splits} reconstructions of each scan"
        )
    groups = [inputs[start : start + splits] for start in range(0, len(inputs), splits)]
    for group in groups:
        for other in group[1:]:
            match(group[0], other)
    return Noise2Inverse(groups)
