"""A small network that sees bone as bone numbers do, and the file that keeps it.

It looks at volumes at three scales. What it sees is measured in units of its own spread: every channel is scaled such
that its standard deviation over the bones it was trained on is 1, once and for all, and never by statistics of the
volume at hand. The file is safetensors; its metadata hold one JSON text under the key ``bonectl-encoder``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d

from bonectl.core import atomic
from bonectl.errors import DataError
from bonectl.learning.weights import digest, read, sealed, shown, unsealed

VERSION = 2

# Channels at full, half and quarter resolution.
WIDTHS = (8, 32, 64)

# Axes of a kernel over volumes, (out, in, z, y, x).
VOLUME_AXES = 5


class Encoder(nn.Module):
    """Features of volumes at full, half and quarter resolution.

    Two 3 × 3 × 3 convolutions with ReLU per scale, means over 2 × 2 × 2 voxels between the scales (what is left over at
    an end is averaged alone, so any shape will do). A feature of the coarsest scale sees 31 voxels along each axis.

    Parameters
    ----------
    widths : tuple of int
        Channels per scale.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.widths = widths
        self.scales = nn.ModuleList(
            nn.Sequential(
                nn.Conv3d(before, after, 3, padding=1), nn.ReLU(), nn.Conv3d(after, after, 3, padding=1), nn.ReLU()
            )
            for before, after in zip((1, *widths[:-1]), widths, strict=True)
        )

    def forward(self, volumes: Tensor) -> list[Tensor]:
        """Map (b, z, y, x) to one (b, channels, z', y', x') per scale, finest first.

        Values are normalised units: 0 is no mineral, 1 is ``bonectl.learning.checkpoint.BONE``.
        """
        x = volumes.unsqueeze(1)
        seen: list[Tensor] = []
        for scale in self.scales:
            x = scale(halved(x) if seen else x)
            seen.append(x)
        return seen

    @torch.no_grad()
    def rescale(self, spreads: list[Tensor]) -> None:
        """Divide every feature by its spread, without changing what the later scales see.

        Parameters
        ----------
        spreads : list of Tensor, (channels,)
            Standard deviation of each channel, by scale; a channel that never changes is left alone.
        """
        for number, (scale, spread) in enumerate(zip(self.scales, spreads, strict=True)):
            factor = torch.where(spread > 0, spread, torch.ones_like(spread))
            last = scale[2]  # type: ignore[index]
            last.weight /= factor.view(-1, 1, 1, 1, 1)
            last.bias /= factor
            if number + 1 < len(self.scales):
                self.scales[number + 1][0].weight *= factor.view(1, -1, 1, 1, 1)  # type: ignore[index]


@dataclass(frozen=True, eq=False)
class TrainedEncoder:
    """An encoder, and what it was trained on.

    Parameters
    ----------
    network : Encoder
        On the CPU.
    facts : mapping
        Pretext task, bones, seed, steps, and how good it is on held-out bones; JSON values.
    """

    network: Encoder
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    def save(self, path: Path) -> None:
        """Write the file whole or not at all.

        Raises
        ------
        OutputError, PermissionDeniedError, WriteError
            It cannot be written.
        """
        weights = {name: weight.contiguous() for name, weight in self.network.state_dict().items()}
        facts = {
            "version": VERSION, "widths": list(self.network.widths), "facts": dict(self.facts),
            "sha256": digest(weights),
        }  # fmt: skip
        with atomic.replacing(path) as temporary:
            temporary.write_bytes(save(weights, {"bonectl-encoder": sealed(facts)}))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that :meth:`save` wrote.

        Raises
        ------
        MissingInputError, PermissionDeniedError
            There is no such file, or it may not be read.
        DataError
            It is truncated, or no bone encoder, or its weights or description are not those it was saved with.
        """
        weights, metadata = read(path, "bone encoder")
        if "bonectl-encoder" not in metadata:
            raise DataError(f"{path}: no bone encoder; give a file that examples/bone-encoder/build.py wrote")
        try:
            told = unsealed(metadata["bonectl-encoder"], VERSION)
            network = Encoder(tuple(int(width) for width in told["widths"]))
            network.load_state_dict(weights)
            facts, promised = dict(told["facts"]), told["sha256"]
        except (KeyError, TypeError, ValueError, RuntimeError, RecursionError) as error:
            raise DataError(f"{path}: the encoder's description is damaged ({shown(str(error))})") from error
        if digest(weights) != promised:
            raise DataError(f"{path}: the weights are not those that were saved; build the encoder again")
        return cls(network, facts)


def halved(volumes: Tensor) -> Tensor:
    """Return means over 2 × 2 × 2 voxels of (b, channels, z, y, x); an axis of one voxel stays."""
    sides = [min(2, side) for side in volumes.shape[2:]]
    return avg_pool3d(volumes, sides, ceil_mode=True, count_include_pad=False)


def frozen(network: Encoder, place: str, dtype: torch.dtype) -> Encoder:
    """Return the network on a device, never to be trained, laid out channels last (a quarter faster on CPU)."""
    network = network.to(place, dtype).requires_grad_(False).eval()
    for parameter in network.parameters():
        if parameter.ndim == VOLUME_AXES:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
    return network
