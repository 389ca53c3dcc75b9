"""Self-supervision from one noisy volume (Batson and Royer 2019, ICML, Noise2Self), slice by slice.

Rows of a parallel-beam detector are reconstructed one by one, so noise is correlated within a slice (-0.2 between
diagonal neighbours behind the plain ramp filter, 0.6 between those in a row behind a Hann window) and not at all from
slice to slice. A network that sees the neighbours of a slice but not the slice can predict what both show, and no
noise. Hiding single voxels, as Noise2Void does, leaves correlated neighbours in sight, and learns from a hundredth of
the voxels at a time.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bonectl.core.counted import counted
from bonectl.core.header import Header
from bonectl.errors import UsageError
from bonectl.learning.denoiser import Reach
from bonectl.learning.sample import Patch, Volume

# What the register knows of it (core/kit.py).
BLIND = True


class Noise2Self:
    """Cuts a run of slices with its neighbours, and the same slices again."""

    def __init__(self, volumes: Sequence[Volume]) -> None:
        self.volumes = volumes

    @property
    def headers(self) -> tuple[Header, ...]:
        """Headers of the volumes."""
        return tuple(volume.header for volume in self.volumes)

    @property
    def clean(self) -> bool:
        """Targets are the noisy slices themselves."""
        return False

    def cut(
        self, patch: Patch, context: int, random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Cut a pair; nothing is drawn.

        Raises
        ------
        UsageError
            A slice would be its own neighbour, for want of others.
        """
        volume, many = self.volumes[patch.volume], patch.end - patch.begin
        if many <= context:
            raise UsageError(
                f"{volume.name}: {counted(many, 'slice is', 'slices are')} "
                f"{'held out' if patch.begin else 'trained on'}; noise2self needs "
                f"{context + 1} with a model that sees {context} on either side: change --held-out"
            )
        numbers = np.arange(patch.first - context, patch.first + patch.depth + context)
        seen = Reach(slices=context, blind=True).within(numbers, patch.begin, patch.end)
        return volume.crop(seen, patch), volume.crop(patch.slices(0), patch)


def noise2self(inputs: Sequence[Volume], targets: Sequence[Volume]) -> Noise2Self:
    r"""Learn from noisy volumes alone, without clean ones and without projections; the model must be blind.

        bonectl train noisy.npy --pairs noise2self --model blind \
          --loss l2 -o own.safetensors
        bonectl denoise noisy.npy --model own.safetensors -o clean.npy

    A slice is predicted from its neighbours, whose noise is another one where rows were reconstructed one by one:
    parallel and fan beams, on detectors whose rows do not share their noise. In a cone beam, in a volume that was
    turned or resampled, or where a scanner has smoothed along the axis, neighbours share noise and some of it stays.
    Use l2, which tells the mean; with projections at hand, noise2inverse keeps what only the slice itself shows.

    Parameters
    ----------
    inputs : sequence of Volume
        Noisy stacks.
    targets : sequence of Volume
        Empty.

    Returns
    -------
    Noise2Self

    Raises
    ------
    UsageError
        When targets are given, or no input is.
    """
    if targets:
        raise UsageError("noise2self learns without targets; leave out --target, or use --pairs supervised")
    if not inputs:
        raise UsageError("noise2self needs a noisy stack")
    return Noise2Self(inputs)
