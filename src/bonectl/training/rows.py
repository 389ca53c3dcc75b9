"""Scans and the volumes they are scans of, as batches for training: whole rows instead of patches.

Every batch is a function of (seed, step), as in ``bonectl.training.patches``: each of its runs is some rows of a
scan. The last rows of every scan are held out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from bonectl.core import draws, physics
from bonectl.core.calibration import Calibration
from bonectl.core.counted import counted
from bonectl.core.geometry import Geometry
from bonectl.core.header import SINOGRAMS, VOLUME, Header
from bonectl.errors import UsageError
from bonectl.learning.agreement import agree
from bonectl.learning.checkpoint import Normalisation
from bonectl.learning.ranks import ALONE, Ranks
from bonectl.learning.sample import Volume
from bonectl.methods.lpd import start
from bonectl.projection.projector import Projector
from bonectl.training.patches import Drawing
from bonectl.training.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Pair:
    """A scan and the volume it is a scan of.

    Parameters
    ----------
    scan : Volume
        (row, view, col), line integrals, or counts with a known white level; of a parallel or fan beam.
    target : Volume
        (z, y, x), a slice for each row: 1/cm, or mgHA/cm3 where the scan carries a calibration.

    Raises
    ------
    UsageError
        They do not fit together, or lack what is needed.
    """

    scan: Volume
    target: Volume
    projector: Projector = field(init=False, repr=False)
    calibration: Calibration = field(init=False, repr=False)

    def __post_init__(self) -> None:
        scan, target = self.scan.header, self.target.header
        geometry = _geometry(scan, self.scan.name)
        expected = (scan.shape[0], geometry.size, geometry.size)
        if target.axes != VOLUME or target.shape != expected:
            raise UsageError(
                f"{self.target.name} has shape {target.shape}; the slices of {self.scan.name} are {expected}"
            )
        if target.unit not in ("1/cm", "mgHA/cm3"):
            raise UsageError(f"{self.target.name} is in {target.unit}; lpd learns from volumes in 1/cm or mgHA/cm3")
        made = target.replace(  # what the scan would become
            spacing=(None, geometry.voxel, geometry.voxel), calibration=scan.calibration, acquisition=scan.acquisition
        )
        agree(made, self.scan.name, target, self.target.name)
        calibration = scan.calibration or target.calibration
        if calibration is None:
            raise UsageError(
                f"{self.scan.name} has no calibration, so there is no scale for a network; give the energy to "
                "`bonectl simulate`"
            )
        object.__setattr__(self, "projector", Projector(geometry))
        object.__setattr__(self, "calibration", calibration)

    @property
    def header(self) -> Header:
        """Of the volume in 1/cm, with the facts of the scan's exposure and its number of views."""
        exposure = {**self.scan.header.acquisition, "views": self.projector.geometry.views}
        return self.target.header.replace(unit="1/cm", calibration=self.calibration, acquisition=exposure)

    def rows(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Line integrals (row, view, col) and true attenuation (z, y, x) [1/cm] of rows [first, last)."""
        values = self.scan.slices(slice(first, last))
        if self.scan.header.unit == "counts":
            known = self.scan.header.acquisition
            white, photons = float(known["white"]), float(known.get("photons", 0))
            least = physics.least_reading(white, photons or None, whole=self.scan.header.dtype[1] != "f")
            values, _ = physics.line_integrals(values - float(known.get("dark", 0)), white, least)
        truth = self.target.slices(slice(first, last))
        if self.target.header.unit == "mgHA/cm3":
            truth = np.asarray(self.calibration.attenuation(truth), dtype=np.float32)
        return torch.from_numpy(np.ascontiguousarray(values)), torch.from_numpy(np.ascontiguousarray(truth))


class Scans:
    """Scans with their volumes, of one voxel size, one size of slice and one calibration.

    Parameters
    ----------
    scans, targets : sequence of Volume
        One target for each scan.

    Raises
    ------
    UsageError
        They are no pairs (:class:`Pair`), or are not of one kind.
    """

    clean = True

    def __init__(self, scans: Sequence[Volume], targets: Sequence[Volume]) -> None:
        if len(scans) != len(targets):
            raise UsageError(
                f"{counted(len(scans), 'scan')} but {counted(len(targets), 'target')}"
                f"; give one --target for each scan, in their order"
            )
        self.pairs = tuple(Pair(scan, target) for scan, target in zip(scans, targets, strict=True))
        first = self.pairs[0]
        for pair in self.pairs[1:]:
            laws = [(each.calibration.slope, each.calibration.intercept) for each in (pair, first)]
            if laws[0] != laws[1]:
                raise UsageError(f"{pair.scan.name} and {first.scan.name} have other calibrations; lpd needs one scale")
            if pair.target.header.shape[1:] != first.target.header.shape[1:]:
                raise UsageError(f"slices of {pair.target.name} and {first.target.name} differ in size; lpd needs one")

    @property
    def headers(self) -> tuple[Header, ...]:
        """Of the volumes, in 1/cm."""
        return tuple(pair.header for pair in self.pairs)


@dataclass(frozen=True, eq=False)
class RowBatch:
    """Rows of scans.

    Parameters
    ----------
    projectors : tuple of Projector
        One for each run of rows.
    lines : tuple of Tensor, (z, view, col)
        Line integrals.
    clean : Tensor, (b, z, y, x)
        True attenuation, normalised.
    normalisation : Normalisation
    """

    projectors: tuple[Projector, ...]
    lines: tuple[Tensor, ...]
    clean: Tensor
    normalisation: Normalisation

    @cached_property
    def _starts(self) -> tuple[Tensor, ...]:
        return tuple(start(A, y) for A, y in zip(self.projectors, self.lines, strict=True))

    @property
    def noisy(self) -> Tensor:
        """The reconstruction that the network begins with, (b, z, y, x)."""
        return self.normalisation.normalised(torch.stack(self._starts))

    def to(self, where: torch.device) -> "RowBatch":
        """Return the same on a device."""
        lines = tuple(y.to(where) for y in self.lines)
        return RowBatch(self.projectors, lines, self.clean.to(where), self.normalisation)

    def estimate(self, network: nn.Module) -> Tensor:
        """Let a network reconstruct, (b, z, y, x)."""
        runs = zip(self.projectors, self.lines, self._starts, strict=True)
        volumes = [network(A, y, begin, self.normalisation.scale) for A, y, begin in runs]
        return self.normalisation.normalised(torch.stack(volumes))


class Rows(Drawing):
    """Draws batches of rows from scans.

    Parameters
    ----------
    scans : Scans
    normalisation : Normalisation
        Of attenuation.
    recipe : Recipe
        Its batch, run, held-out part and seed. The run shrinks to what the smallest scan has.
    ranks : Ranks
        The processes that train together; each makes ``recipe.batch`` runs of a batch.

    Raises
    ------
    UsageError
        A scan of one row, or too few are not held out.
    """

    slice = "row"

    def __init__(self, scans: Scans, normalisation: Normalisation, recipe: Recipe, ranks: Ranks = ALONE) -> None:
        super().__init__(scans.headers, normalisation, recipe, ranks)
        self.pairs = scans.pairs

    def __call__(self, step: int) -> RowBatch:
        """Make the batch of a step, this rank's part of it."""
        return self._cut(self._drawn(step, self.first + index) for index in range(self.batch))

    def from_step(self, first: int, end: int) -> Iterator[RowBatch]:
        """Yield the batches of steps [first, end); the projector works too long for reading ahead to matter."""
        yield from map(self, range(first, end))

    def validation(self) -> Iterator[tuple[int, RowBatch]]:
        """Yield the held-out rows with the number of their scan, one run at a time."""
        for number, extent in enumerate(self.extents):
            for first, depth in extent.validated(self.run):
                yield number, self._cut([(self.pairs[number], first, first + depth)])

    def _drawn(self, step: int, index: int) -> tuple[Pair, int, int]:
        random = draws.generator(self.seed, "rows", step, index)
        number = int(random.integers(len(self.pairs)))
        first = int(random.integers(self.extents[number].train - self.run + 1))
        return self.pairs[number], first, first + self.run

    def _cut(self, places: Iterator[tuple[Pair, int, int]] | Sequence[tuple[Pair, int, int]]) -> RowBatch:
        cut = [(pair.projector, *pair.rows(first, last)) for pair, first, last in places]
        projectors, lines, truths = zip(*cut, strict=True)
        return RowBatch(projectors, lines, self.normalisation.normalised(torch.stack(truths)), self.normalisation)


def _geometry(header: Header, name: str) -> Geometry:
    if header.axes != SINOGRAMS or header.geometry is None:
        raise UsageError(
            f"{name} is no scan of axes {', '.join(SINOGRAMS)} with a geometry; `bonectl simulate` makes one"
        )
    if header.geometry.kind == "cone":
        raise UsageError(f"{name}: lpd works slice by slice, and a cone beam has no slices")
    if header.unit == "counts" and "white" not in header.acquisition:
        raise UsageError(f"{name}: counts without a white level; give line integrals")
    if header.unit not in ("line integral", "counts"):
        raise UsageError(f"{name} is in {header.unit}; lpd learns from line integrals or counts")
    return header.geometry
