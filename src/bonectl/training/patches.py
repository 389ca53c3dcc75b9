"""Which patches a training step sees: a function of (seed, step, index), of nothing before it.

Hence any step can be made without the ones before: a resumed run continues bit for bit, and loading may run ahead in a
thread, and several processes may each make their part of a batch.

The held-out part is the last slices of every stack, ``held_out`` of them (at least one): no training patch and
no context slice of one lies there, and validation looks nowhere else.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bonectl.core import draws, progress
from bonectl.core.header import Header
from bonectl.errors import UsageError
from bonectl.learning.checkpoint import Normalisation
from bonectl.learning.denoiser import Reach
from bonectl.learning.ranks import ALONE, Ranks
from bonectl.learning.sample import Pairing, Patch
from bonectl.training.recipe import Recipe

# Validation reads at most so many pixels of a slice's centre, on a side, and so many slices of a stack, all adjacent.
VALIDATION_SIDE = 256
VALIDATION_SLICES = 16


class Batch(Protocol):
    """Pairs of one step, normalised."""

    @property
    def noisy(self) -> Tensor:
        """What stands where ``clean`` should, (b, z, y, x)."""
        ...

    @property
    def clean(self) -> Tensor:
        """What is wanted, (b, z, y, x)."""
        ...

    def to(self, where: torch.device) -> Self:
        """Return the same on a device."""
        ...

    def estimate(self, network: nn.Module) -> Tensor:
        """Let a network estimate ``clean``, (b, z, y, x)."""
        ...


class Batches(Protocol):
    """Where batches come from: each a function of its step."""

    batch: int
    run: int

    def from_step(self, first: int, end: int) -> Iterator[Batch]:
        """Yield the batches of steps [first, end)."""
        ...

    def validation(self) -> Iterator[tuple[int, Batch]]:
        """Yield the held-out part with the number of its stack, one run at a time, always the same.

        Runs of a stack are adjacent and in order: together they are one volume.
        """
        ...


@dataclass(frozen=True)
class PatchBatch:
    """Patches of volumes.

    Parameters
    ----------
    given : Tensor, (b, z + 2 * context, y, x)
        What the network sees.
    clean : Tensor, (b, z, y, x)
    """

    given: Tensor
    clean: Tensor

    @property
    def noisy(self) -> Tensor:
        """What the network sees, without its context, (b, z, y, x)."""
        context = (self.given.shape[1] - self.clean.shape[1]) // 2
        return self.given[:, context : context + self.clean.shape[1]]

    def to(self, where: torch.device) -> "PatchBatch":
        """Return the same on a device."""
        return PatchBatch(self.given.to(where), self.clean.to(where))

    def estimate(self, network: nn.Module) -> Tensor:
        """Let a network estimate ``clean``, (b, z, y, x)."""
        estimate: Tensor = network(self.given)
        return estimate


@dataclass(frozen=True)
class Extent:
    """The slices of one stack that are trained on, [0, train), and held out, [train, total)."""

    train: int
    total: int
    rows: int
    columns: int

    @classmethod
    def of(cls, header: Header, held_out: float) -> "Extent":
        """Split a stack by the module's rule."""
        total, rows, columns = header.shape
        return cls(total - max(1, round(total * held_out)), total, rows, columns)

    def validated(self, run: int) -> Iterator[tuple[int, int]]:
        """Yield (first, depth) of the runs of slices that validation looks at: the middle of those held out."""
        depth = min(VALIDATION_SLICES, self.total - self.train)
        begin = self.train + (self.total - self.train - depth) // 2
        for first in range(begin, begin + depth, run):
            yield first, min(run, begin + depth - first)


class Drawing:
    """What decides where the batches of a run are drawn; `Patches` and `bonectl.training.rows.Rows` draw them.

    Parameters
    ----------
    headers : sequence of Header
        Of the volumes.
    normalisation : Normalisation
        Of the values.
    recipe : Recipe
        Its batch, run, held-out part and seed. The run shrinks to what the smallest volume has.
    ranks : Ranks
        The processes that train together; each makes ``recipe.batch`` runs of a batch.
    """

    slice = "slice"

    def __init__(self, headers: Sequence[Header], normalisation: Normalisation, recipe: Recipe, ranks: Ranks) -> None:
        self.normalisation = normalisation
        self.batch = recipe.batch
        self.first = ranks.rank * recipe.batch
        self.seed = recipe.seed
        self.extents = tuple(Extent.of(header, recipe.held_out) for header in headers)
        self.run = min(recipe.run, *(extent.train for extent in self.extents))
        if self.run < 1:
            few = min(self.extents, key=lambda extent: extent.train).total
            raise UsageError(
                f"--held-out {recipe.held_out:g} leaves none of {few} {self.slice}s to train on; give a smaller share"
                if few > 1
                else f"a stack of one {self.slice} cannot be trained on: a {self.slice} is held out; give more "
                f"{self.slice}s"
            )


class Patches(Drawing):
    """Draws batches of patches from a pairing.

    Parameters
    ----------
    pairing : Pairing
        Where pairs come from.
    normalisation : Normalisation
        Of the values.
    reach : Reach
        Of the model: its context, its pooling grid.
    recipe : Recipe
        Its batch, run, patch, held-out part and seed. Run and patch shrink to what the smallest stack has.
    ranks : Ranks
        The processes that train together; each makes ``recipe.batch`` runs of a batch.
    judged : Pairing, optional
        What validation looks at, where targets of the training are not what the network shall be judged by.

    Raises
    ------
    UsageError
        A slice is too small to train on, or too few are not held out.
    """

    def __init__(
        self,
        pairing: Pairing,
        normalisation: Normalisation,
        reach: Reach,
        recipe: Recipe,
        ranks: Ranks = ALONE,
        *,
        judged: Pairing | None = None,
    ) -> None:
        super().__init__(pairing.headers, normalisation, recipe, ranks)
        self.pairing, self.judged = pairing, judged or pairing
        self.reach = reach
        self.side = _fit(recipe.patch, self.extents, reach.grid)
        if self.side < recipe.patch:
            progress.note(f"patches are {self.side} pixels wide, not {recipe.patch}: {_why(self.extents, reach.grid)}")
        voxels = np.array([extent.train * extent.rows * extent.columns for extent in self.extents], dtype=float)
        self._shares = voxels / voxels.sum()

    def __call__(self, step: int) -> PatchBatch:
        """Make the batch of a step, this rank's part of it."""
        return self._stacked([self._pair(step, self.first + index) for index in range(self.batch)])

    def from_step(self, first: int, end: int) -> Iterator[PatchBatch]:
        """Yield the batches of steps [first, end), each made in a thread while the one before is used."""
        with ThreadPoolExecutor(1, "patches") as pool:
            coming = pool.submit(self, first)
            for step in range(first, end):
                batch = coming.result()
                if step + 1 < end:
                    coming = pool.submit(self, step + 1)
                yield batch

    def validation(self) -> Iterator[tuple[int, PatchBatch]]:
        """Yield the held-out patches with the number of their stack, one run of slices at a time."""
        for index, patch in enumerate(self._held_out()):
            random = draws.generator(self.seed, "validation", index)
            yield patch.volume, self._stacked([self.judged.cut(patch, self.reach.slices, random)])

    def _pair(self, step: int, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Draw a place, cut the pair, turn it by one of the eight symmetries of the square."""
        random = draws.generator(self.seed, "patch", step, index)
        volume = int(random.choice(len(self.extents), p=self._shares))
        extent = self.extents[volume]
        patch = Patch(
            volume=volume,
            first=int(random.integers(extent.train - self.run + 1)),
            depth=self.run,
            row=int(random.integers(extent.rows - self.side + 1)),
            column=int(random.integers(extent.columns - self.side + 1)),
            side=self.side,
            begin=0,
            end=extent.train,
        )
        symmetry = int(random.integers(8))
        noisy, clean = self.pairing.cut(patch, self.reach.slices, random)
        return turned(noisy, symmetry), turned(clean, symmetry)

    def _held_out(self) -> Iterator[Patch]:
        for volume, extent in enumerate(self.extents):
            side = _fit(VALIDATION_SIDE, [extent], self.reach.grid)
            for first, depth in extent.validated(self.run):
                yield Patch(
                    volume=volume,
                    first=first,
                    depth=depth,
                    row=(extent.rows - side) // 2,
                    column=(extent.columns - side) // 2,
                    side=side,
                    begin=extent.train,
                    end=extent.total,
                )

    def _stacked(self, pairs: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> PatchBatch:
        # By NumPy: torch would start threads for the loader's, with which the network's spin no more but sleep whenever
        # they wait for each other, and a step takes a fifth longer.
        noisy, clean = (self.normalisation.normalised(np.stack(side)) for side in zip(*pairs, strict=True))
        return PatchBatch(torch.from_numpy(noisy), torch.from_numpy(clean))


def turned(patch: NDArray[np.float32], symmetry: int) -> NDArray[np.float32]:
    """Return one of the eight rotations and reflections of (z, y, x) in the slice; exact, no interpolation."""
    turned = np.rot90(patch, symmetry % 4, axes=(1, 2))
    return turned[:, :, ::-1] if symmetry >= 4 else turned


def _why(extents: Sequence[Extent], grid: int) -> str:
    """Why patches are smaller than they were asked for."""
    smallest = min(min(extent.rows, extent.columns) for extent in extents)
    return f"slices have {smallest}" + (f", and the model pools {grid}" if grid > 1 else "")


def _fit(side: int, extents: Sequence[Extent], grid: int) -> int:
    """Return the largest multiple of ``grid`` that is at most ``side`` and fits into every slice."""
    smallest = min(min(extent.rows, extent.columns) for extent in extents)
    fitting = min(side, smallest) // grid * grid
    if fitting < 1:
        raise UsageError(
            f"patches of {side} pixels in slices of {smallest}: the model pools {grid} pixels, so both must "
            f"be at least {grid}; give a larger --patch, or a model with fewer scales"
        )
    return fitting
