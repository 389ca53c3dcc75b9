"""Several answers for one volume: what training left undecided, voxel by voxel.

Two sources of answers, which combine: checkpoints that were trained alike from other seeds (a deep ensemble,
Lakshminarayanan, Pritzel and Blundell 2017), and the eight symmetries of the square. A network is trained with slices
turned and mirrored, so its answers for the turned volume, turned back, are all as good as its first one, and where they
differ it does not know. Nothing is drawn: the same input gives the same samples.

What the spread is not: the noise of the scan is the same for every sample, and so is what all networks get wrong alike.
So intervals made of it are too narrow. On ten phantoms that four small networks were not trained on
(``bench/samples.py``), 95 % intervals held the true Euler number of 8, and the true bone volume fraction and density of
none: the networks were 3 % low in both, all of them, and differed by 2 %.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isclose

import numpy as np
from numpy.typing import NDArray

from bonectl.core import progress
from bonectl.core.counted import counted
from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.core.table import Interval, Table
from bonectl.errors import UsageError
from bonectl.learning import device
from bonectl.learning.agreement import same_scale
from bonectl.learning.checkpoint import Normalisation
from bonectl.learning.denoiser import Reach
from bonectl.ops.denoise import TILE, Model, Worker, block_size, in_context, normalisation_for
from bonectl.ops.denoise_watch import watched
from bonectl.training.patches import turned

# Conditions in which samples are as the volume; sides of voxels that differ by less are the same.
SAME_SIDE = 1e-3
ALIKE = ("shape", "voxel_z_mm", "voxel_y_mm", "voxel_x_mm", "unit")

# Rotations and reflections of a slice.
SYMMETRIES = 8


@dataclass(frozen=True, eq=False)
class Samples:
    """Answers for one volume, block by block.

    Parameters
    ----------
    header : Header
        Of each of them, of their mean and of their standard deviation: float32, unit and voxels of the input.
    count : int
        How many.
    blocks : iterator of (count, z, y, x) float32
        Consecutive along z; walked once.
    """

    header: Header
    count: int
    blocks: Iterator[NDArray[np.float32]]


def mean(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of (count, z, y, x) over the samples, (z, y, x); summed in float64."""
    answer: NDArray[np.float32] = block.mean(axis=0, dtype=np.float64).astype(np.float32)
    return answer


def deviation(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Standard deviation of (count, z, y, x) over the samples, (z, y, x); with count - 1 below the root."""
    answer: NDArray[np.float32] = block.std(axis=0, ddof=1, dtype=np.float64).astype(np.float32)
    return answer


def sampled(
    stack: Stack, models: Sequence[Model], count: int, *, device_name: str = "auto", tile: int = TILE
) -> Samples:
    """Denoise a volume several times over.

    Sample k is the answer of checkpoint k mod M of M under symmetry k div M, the identity first: with M samples every
    checkpoint answers once.

    Parameters
    ----------
    stack : Stack
        As `bonectl.ops.denoise.denoise` wants it.
    models : sequence of Model
        Checkpoints.
    count : int
        Samples: at least 2, at most 8 for each checkpoint.
    device_name, tile
        As `bonectl.ops.denoise.denoise`.

    Returns
    -------
    Samples
        Memory holds one block, `count` times.

    Raises
    ------
    UsageError
        A model without weights (a filter has one answer), checkpoints of other scales, or another number of samples
        than there can be.
    UsageError, MemoryShortageError
        As `bonectl.ops.denoise.denoise`.
    """
    for model in models:
        if not model.network.learns:
            raise UsageError(f"{model.name} is a filter and has one answer; give checkpoints of `bonectl train`")
    most = SYMMETRIES * len(models)
    if not 2 <= count <= most:
        raise UsageError(
            f"{counted(count, 'sample')} of {counted(len(models), 'checkpoint')}"
            f"; there can be 2 to {most}, one for each checkpoint and "
            "symmetry of the slice"
        )
    where = device.choose(device_name)
    scales = [normalisation_for(stack.header, model) for model in models]
    _check_scales(scales)
    if len({model.network.reach.blind for model in models}) > 1:
        raise UsageError(
            "some models are blind to the slice and some are not; give checkpoints that were trained alike"
        )
    networks = [model.network.to(where).eval() for model in models]
    workers = [Worker(network, scale, where, tile) for network, scale in zip(networks, scales, strict=True)]
    members = [(workers[k % len(workers)], k // len(workers)) for k in range(count)]
    passing = watched(stack, models[0].checkpoint, scales[0], anyway=models[0].anyway)
    return Samples(stack.header.replace(dtype="<f4"), count, _blocks(passing, members))


def _check_scales(scales: Sequence[Normalisation]) -> None:
    """Refuse models that see the same bone at other values: their spread would be that of their scales."""
    for number, other in enumerate(scales[1:], start=2):
        if not same_scale(scales[0], other):
            raise UsageError(
                f"model 1 was trained on {spoken(scales[0])}, model {number} on {spoken(other)}; give checkpoints that "
                "were trained alike"
            )


def spoken(scale: Normalisation) -> str:
    """Return a scale in words."""
    return f"{scale.offset:g} to {scale.offset + scale.scale:g} {scale.unit}"


def _blocks(stack: Stack, members: Sequence[tuple[Worker, int]]) -> Iterator[NDArray[np.float32]]:
    context = max(worker.network.reach.slices for worker, _ in members)
    blind = members[0][0].network.reach.blind
    with progress.task("denoise", stack.header.shape[0] * len(members)) as advance:
        for block in in_context(stack, block_size(members[0][0].where, context), Reach(slices=context, blind=blind)):
            answers = []
            for worker, symmetry in members:
                spare = context - worker.network.reach.slices
                answers.append(under(worker, block[spare : len(block) - spare], symmetry))
                advance(len(answers[-1]))
            yield np.stack(answers)


def under(worker: Worker, block: NDArray[np.float32], symmetry: int) -> NDArray[np.float32]:
    """Turn a block, denoise it, and turn the answer back.

    Parameters
    ----------
    worker : Worker
    block : (z + 2 * context, y, x)
    symmetry : int
        0 to 7 (`bonectl.training.patches.turned`).

    Returns
    -------
    (z, y, x)
    """
    answer = worker(np.ascontiguousarray(turned(block, symmetry)))
    mirrored = answer[:, :, ::-1] if symmetry >= SYMMETRIES // 2 else answer
    return np.ascontiguousarray(np.rot90(mirrored, -(symmetry % 4), axes=(1, 2)))


def with_intervals(table: Table, samples: Sequence[Table]) -> Table:
    """Add to each number an interval from the same number of every sample.

    It is the 95 % prediction interval for one more of the samples (Student's t): centred on their mean, and not on the
    number of the mean volume, which is smoother than any of them. It holds the truth as often as it says only if the
    truth is like one of the samples.

    Parameters
    ----------
    table : Table
        Of the volume that stands for them.
    samples : sequence of Table
        At least 2, measured alike.

    Raises
    ------
    UsageError
        Fewer than 2 samples, or one of other voxels or another unit.
    """
    if len(samples) < 2:
        raise UsageError(f"{counted(len(samples), 'sample')}; an interval needs at least 2")
    for number, sample in enumerate(samples, 1):
        _check_alike(sample, table, number)
    found = [{row.number.name: row.number.value for row in sample.rows} for sample in samples]
    rows = []
    for row in table.rows:
        values = np.array([values[row.number.name] for values in found if row.number.name in values], dtype=float)
        rows.append(replace(row, interval=predicted(values)) if np.isfinite(values).all() and len(values) > 1 else row)
    return replace(table, rows=tuple(rows))


def _check_alike(sample: Table, table: Table, number: int) -> None:
    for name in ALIKE:
        there, wanted = sample.conditions.get(name), table.conditions.get(name)
        close = isinstance(there, float) and isinstance(wanted, float) and isclose(there, wanted, rel_tol=SAME_SIDE)
        if there != wanted and not close:
            raise UsageError(f"sample {number}: {name} is {there}, of the volume {wanted}; samples are of one volume")


def predicted(values: NDArray[np.float64]) -> Interval:
    """Return where one more of these values lies with a confidence of 95 %, all being normal."""
    from scipy.special import stdtrit

    count = len(values)
    centre, spread = float(values.mean()), float(values.std(ddof=1))
    half = float(stdtrit(count - 1, 0.975)) * spread * (1 + 1 / count) ** 0.5
    return Interval(centre - half, centre + half, f"95 %, {count} samples, t interval for one more")
