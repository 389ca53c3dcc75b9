"""What the kernels are built from: vectors of floats, threads, gridding weights."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from numba import njit

from bonectl.core import pool, threads
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.projection import fsp
from bonectl.projection.fsp import TAPS
from bonectl.projection.numba import workspace
from bonectl.projection.numba.turning import turn
from bonectl.projection.numba.vectors import ANY, LANES, ONE, TWO, add, fma, hat, load, rotate, sample, store
from bonectl.projection.projector import Projector


@njit
def _every_operation(lanes, a, b, out):
    for i in range(0, a.size, len(lanes)):
        turned = rotate(load(lanes, a, i), np.float32(0.25), np.float32(-1.5))
        store(out, i, add(turned, fma(load(lanes, a, i), np.float32(3.0), load(lanes, b, i))))


@pytest.mark.parametrize("width", LANES)
def test_vectors_do_what_numpy_does(width):
    a, b, out = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    _every_operation(LANES[width], a, b, out)
    turned = (a.view(np.complex64) * np.complex64(0.25 - 1.5j)).view(np.float32)
    np.testing.assert_allclose(out, turned + (a * 3 + b), rtol=1e-5, atol=1e-6)


def test_every_width_gives_the_same_bits():
    a, b = np.random.default_rng(0).standard_normal((2, 64)).astype(np.float32)
    outs = [np.empty_like(a) for _ in LANES]
    for lanes, out in zip(LANES.values(), outs, strict=True):
        _every_operation(lanes, a, b, out)
    assert np.array_equal(outs[0], outs[1])
    assert np.array_equal(outs[0], outs[2])


@njit
def _sampled(registers, values, offset, start, step, out):
    store(out, 0, sample(registers, values, offset, np.float32(start), np.float32(step)))


@njit
def _spread(registers, values, offset, start, step, tap, out):
    store(
        out,
        0,
        hat(registers, values, offset, np.float32(start), np.float32(step), np.float32(1 / step), np.float32(tap)),
    )


@pytest.mark.parametrize(
    ("registers", "step"), [(ONE, 0.2), (ONE, 0.84), (TWO, 0.84), (TWO, 1.97), (ANY, 1.97), (ANY, 4.5)]
)
@pytest.mark.parametrize("start", [0.0, 0.37, 0.999])
def test_samples_interpolate_and_hats_are_their_transpose(registers, step, start):
    """Registers that are permuted, and inputs read one by one (any machine's path), give what numpy gives."""
    values, out = np.random.default_rng(0).random(96).astype(np.float32), np.empty(8, np.float32)
    _sampled(registers, values, 5, start, step, out)
    places = start + step * np.arange(8)
    np.testing.assert_allclose(out, np.interp(5 + places, np.arange(96), values), atol=3e-6)
    total = np.zeros(8)
    for tap in range(int(2 * step) + 1):
        _spread(registers, values, 5, start, step, tap, out)
        total += out
    weights = np.maximum(0, 1 - np.abs(np.arange(91) - (places + step)[:, None]) / step)
    np.testing.assert_allclose(total, weights @ values[5:], atol=2e-5)


@pytest.mark.parametrize(("rows", "columns"), [(16, 24), (5, 24), (13, 17), (1, 9), (8, 3)])
def test_turned_matrices_are_numpys(rows, columns):
    source = np.random.default_rng(0).random((rows, columns + 3), dtype=np.float32)
    target = np.zeros((columns, rows + 2), np.float32)
    turn(source.ravel(), 2, columns + 3, rows, columns, target.ravel(), 1, rows + 2)
    assert np.array_equal(target[:, 1:-1], source[:, 2:-1].T)
    assert not target[:, [0, -1]].any()


@pytest.mark.parametrize(("size", "cells"), [(100, 126), (100, 200), (3, 10)])
def test_gridding_interpolates_plane_waves(size, cells):
    """At any frequency, the weighted cells of a point's spectrum are its wave, to 1e-2 of its height at the rim."""
    frequency = np.random.default_rng(0).uniform(-cells, cells, 50)
    coefficients = fsp._tap_polynomials(size / cells).astype(np.float64)
    correction = fsp._spread_out(size, cells)
    base = np.ceil(frequency - TAPS / 2)
    u = base - frequency + TAPS / 2
    weights = np.stack([np.polyval(coefficients[:, tap], u) * (-1) ** tap for tap in range(TAPS)])
    cell = base + np.arange(TAPS)[:, None]
    for index in (0, size // 2, size - 1):
        x = index - size // 2
        wave = (weights * np.exp(-2j * np.pi * cell * x / cells)).sum(axis=0) * correction[index]
        assert np.abs(wave - np.exp(-2j * np.pi * frequency * x / cells)).max() < 1e-2


def test_pieces_cover_everything_once():
    assert pool.cut(10, 4) == [(0, 4), (4, 8), (8, 10)]
    assert pool.cut(0, 4) == []


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_in_a_piece_arrives(count):
    def work(low, high):
        if low == 4:
            raise ValueError("piece 4")

    threads.choose(count)
    try:
        with pytest.raises(ValueError, match="piece 4"):
            pool.each(work, pool.cut(10, 2))
    finally:
        threads.choose(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_projects_too():
    """Data loaders fork after the parent has used its threads."""
    code = """
import os, numpy as np
from bonectl.core import threads
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.projection import fsp
from bonectl.projection.joseph import Beam
from bonectl.projection.numba import fsp as numba_fsp
threads.choose(2)
plan = fsp.tables(Beam(np.arange(5.0).tobytes(), 20, 1.0, 9.5, 16, 1.0), "strip")
x = np.ones((1, 16, 16), np.float32)
before = numba_fsp.project(plan, x)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(numba_fsp.project(plan, x), before) else 3)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=120, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


class Projected(torch.utils.data.Dataset):
    """Volumes that are projected where they are loaded."""

    def __init__(self, A):
        self.A = A

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.A(torch.full((1, *self.A.geometry.volume_shape[1:]), float(index + 1)))


@pytest.mark.slow
def test_spawned_workers_project_too():
    """A data loader's workers, started afresh while the parent's threads are in use, give what the parent gives."""
    A = Projector(parallel(16, 1, 0.02, views=5))
    set_ = Projected(A)
    expected = [set_[i] for i in range(4)]
    loader = torch.utils.data.DataLoader(set_, batch_size=None, num_workers=2, multiprocessing_context="spawn")
    for ours, theirs in zip(loader, expected, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("shape", [(3,), (5, 7, 9), (2, 1, 1024)])
def test_workspaces_begin_on_a_line_of_the_cache(shape):
    for make in (workspace.zeros, workspace.empty):
        array = make(*shape)
        assert array.shape == shape
        assert array.flags.c_contiguous
        assert array.ctypes.data % workspace.LINE == 0
    assert not workspace.zeros(*shape).any()


KEPT = {
    "strip": lambda: Projector(parallel(16, 1, 0.02, views=5), model="strip"),
    "joseph": lambda: Projector(parallel(16, 1, 0.02, views=5), model="joseph"),
    "fan": lambda: Projector(fan(16, 1, 0.02, sod=2.0, sdd=3.0, views=5)),
    "cone": lambda: Projector(cone(16, 7, 0.02, sod=2.0, sdd=3.0, views=5)),
    "turned cone": lambda: Projector(cone(16, 7, 0.02, sod=2.0, sdd=3.0, views=5, roll=3.0)),
}


@pytest.mark.parametrize("name", KEPT)
def test_results_own_their_memory(name):
    """No view of what the kernels work in: as large as its values, and untouched by what is computed next."""
    A = KEPT[name]()
    domain = (1, *A.domain) if len(A.domain) == 2 else A.domain
    x = torch.from_numpy(np.random.default_rng(0).random(domain, dtype=np.float32))
    y = A(x)
    volume = A.T(y)
    kept = y.clone(), volume.clone()
    for result in (y, volume):
        assert result.untyped_storage().nbytes() == 4 * result.numel()
        assert result.is_contiguous()
    A.T(A(2 * x))
    assert torch.equal(y, kept[0])
    assert torch.equal(volume, kept[1])
