"""Memory is foreseen, and what fits into it changes no value."""

import numpy as np
import pytest

from bonectl.core import memory
from bonectl.core.cost import spoken
from bonectl.core.header import PROJECTIONS, SINOGRAMS, Header
from bonectl.core.stack import Stack
from bonectl.errors import MemoryShortageError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.ops.reconstruct import reconstruct
from bonectl.scanning import duration, memory_need

MIB = 1 << 20
PARALLEL = parallel(48, 44, 0.05, views=40, columns=50)
FAN = fan(48, 75, 0.05, sod=20, sdd=30, views=60)


def header(geometry, axes=SINOGRAMS):
    lengths = {"row": geometry.rows, "view": geometry.views, "col": geometry.columns}
    return Header(shape=tuple(lengths[axis] for axis in axes), axes=axes, unit="line integral", geometry=geometry)


@pytest.fixture
def room(monkeypatch):
    """Let the process hold nothing, and give the limit at which a block just fits."""
    monkeypatch.setattr(memory, "resident", lambda: 0)
    return lambda geometry, method, block: memory_need.needed(header(geometry), geometry, method, block).at_worst


@pytest.mark.parametrize(
    ("geometry", "method"),
    [
        (PARALLEL, "fbp"),
        (PARALLEL, "sirt(iterations=3)"),
        (PARALLEL, "cgls(iterations=4)"),
        (PARALLEL, "tv(iterations=4)"),
        (PARALLEL, "fista(iterations=4)"),
        (FAN, "fdk"),
        (FAN, "cgls(iterations=3)"),
    ],
)
def test_any_memory_gives_the_same_bytes(room, geometry, method):
    """Some rows are cut off, some slices are done before others, and the last block is short."""
    scan = np.random.default_rng(0).normal(1, 0.2, geometry.shape).astype(np.float32)
    scan[::3, :, :8] = scan[::3, :, -8:] = 0
    scan[5] = 0
    volumes = {}
    for block in memory_need.blocks(geometry):
        limit = room(geometry, method, block)
        assert memory_need.chosen_block(header(geometry), geometry, method, limit) == block
        stack = reconstruct(Stack.of(scan, header(geometry)), method=method, max_memory=limit)
        volumes[block] = stack.collect().tobytes()
    assert list(volumes) == sorted(volumes, reverse=True)
    assert min(volumes) == memory_need.FEWEST
    assert len(set(volumes.values())) == 1


@pytest.mark.parametrize(
    ("geometry", "words"),
    [(PARALLEL, "8 slices at a time of 48 × 48 from 40 views"), (cone(48, 8, 0.05, views=30), "a cone beam, .* whole")],
)
def test_what_does_not_fit_is_refused_before_the_work(geometry, words):
    stack = Stack(header(geometry), iter(()))
    with pytest.raises(MemoryShortageError, match=f"{words}.* 1 MiB may be taken; give a larger --max-memory"):
        reconstruct(stack, max_memory=MIB)


def test_what_there_is():
    here, free = memory.resident(), memory.available()
    assert here > 10 * MIB
    assert free > here
    assert memory_need.chosen_block(header(PARALLEL), PARALLEL, "fbp", free) == memory_need.blocks(PARALLEL)[0]


def test_projections_are_held_whole():
    large = parallel(512, 512, 0.01, views=800, columns=512)
    turned = memory_need.needed(header(large, PROJECTIONS), large, "fbp", 32).usual
    straight = memory_need.needed(header(large), large, "fbp", 32).usual
    assert turned - straight > 0.9 * 4 * 512 * 800 * 512


def test_a_large_scan_fits():
    """2048² from 1500 views: the issue asks for less than 6 GB."""
    large = parallel(2048, 64, 0.01, views=1500, columns=2048)
    assert memory_need.blocks(large) == (16, 8)
    assert memory_need.needed(header(large), large, "fbp", 16).at_worst < 3e9


def test_sizes_and_times_for_people():
    assert [memory.spoken(n) for n in (3 * MIB, 1.5 * 1024 * MIB)] == ["3 MiB", "1.5 GiB"]
    assert [spoken(s) for s in (0.1, 40, 400, 20000)] == ["1 s", "40 s", "7 min", "5.6 h"]


def test_time_is_that_of_the_benchmark():
    """16 slices of 2048² from 1500 views took 3.2 processor seconds (bench/RESULTS.md)."""
    g = parallel(2048, 16, 0.01, views=1500, columns=2048)
    assert 1.6 < duration.seconds(g, "fbp", 1) < 6.4
    assert duration.seconds(g, "fbp", 2) == duration.seconds(g, "fbp", 1) / 2
    assert duration.seconds(g, "sirt(iterations=10)", 1) > 9 * duration.seconds(g, "sirt(iterations=1)", 1)
    assert duration.seconds(FAN, "tv", 1) > duration.seconds(FAN, "fdk", 1)
