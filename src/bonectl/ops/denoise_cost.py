"""What denoising a volume will take: a small part of it is denoised now, and the rest follows by its size."""

import time
from collections.abc import Sequence

import numpy as np

from bonectl.core import memory, threads
from bonectl.core.cost import Cost
from bonectl.core.header import Header
from bonectl.core.slabs import Array
from bonectl.learning import device
from bonectl.learning.denoiser import Denoiser
from bonectl.learning.live import Live
from bonectl.learning.tiles import round_up, tiles
from bonectl.ops.denoise import Model, Worker, block_size, normalisation_for

# Side of the part that is tried, without halo [pixels].
PROBE = 64
# For how long it is tried, again and again [s]: clocks of processors tick in hundredths.
PATIENCE = 0.4
# Slabs on their way in, as windows with context, and out: about so many copies of a block.
BLOCKS = 6


def cost(header: Header, models: Sequence[Model], count: int, *, device_name: str, tile: int) -> Cost:
    """About what memory and time denoising takes.

    Parameters
    ----------
    header : Header
        Of the volume.
    models : sequence of Model
    count : int
        Answers: 1, or as many samples as are drawn.
    device_name, tile
        As `bonectl.ops.denoise.denoise`.
    """
    where = device.choose(device_name)
    seconds = held = 0.0
    for model in models:
        worker = Worker(model.network.to(where).eval(), normalisation_for(header, model), where, tile)
        rate, bytes_ = _tried(worker)
        read, largest = _read(header, worker.network, tile, block_size(where, worker.network.reach.slices))
        seconds += rate * read * count / len(models)
        held = max(held, bytes_ * largest)
    reach = max(model.network.reach.slices for model in models)
    block = block_size(where, reach) + 2 * reach
    slabs = BLOCKS * block * header.shape[1] * header.shape[2] * 4 * max(1, count)
    return Cost(
        memory_bytes=round(memory.resident() + slabs + (held if where.type == "cpu" else 0)),
        block=f"tiles of {tile} pixels",
        seconds=seconds,
        threads=threads.count(),
        measured=True,
    )


def _tried(worker: Worker) -> tuple[float, float]:
    """Seconds and bytes for each voxel that a network reads, by a part of a volume of nothing but noise."""
    reach = worker.network.reach
    side = round_up(PROBE + 2 * (reach.pixels or 0), reach.grid)
    part = np.random.default_rng(0).normal(size=(2 * reach.slices + 1, side, side)).astype(np.float32)
    part *= worker.normalisation.scale
    worker(part)  # whatever is compiled, or allocated once
    seconds = _timed(worker, part)
    with Live() as live:
        worker(part)
    return seconds / part.size, live.most / part.size


def _timed(worker: Worker, part: Array) -> float:
    """Seconds for a part: on a CPU those of its threads, which do not count what others on the machine take."""
    clock, shared = (time.process_time, threads.count()) if worker.where.type == "cpu" else (time.perf_counter, 1)
    begun, tries = clock(), 0
    while (spent := clock() - begun) < PATIENCE:
        worker(part)
        tries += 1
    return spent / tries / shared


def _read(header: Header, network: Denoiser, tile: int, block: int) -> tuple[float, float]:
    """Voxels that a network reads in all, halos and context counted, and in its largest tile."""
    depth, rows, columns = header.shape
    reach = network.reach
    there = [
        (row.stop - row.start) * (column.stop - column.start)
        for row, column in tiles(round_up(rows, reach.grid), round_up(columns, reach.grid), tile, reach)
    ]
    deep = min(block, depth) + 2 * reach.slices
    return float(-(-depth // block) * deep * sum(there)), float(deep * max(there))
