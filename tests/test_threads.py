"""How many threads numba and torch use is their caller's: no verb of the Python door changes it."""

import os
import subprocess
import sys
from contextvars import Context

import numba
import numpy as np
import pytest
import torch
from tests import made

import bonectl
from bonectl.core import threads
from bonectl.errors import BonectlError


def counts():
    return numba.get_num_threads(), torch.get_num_threads()


def every_verb(tmp_path):
    bone = bonectl.Stack.of(*_held(bonectl.phantom("iliac", shape=(8, 24, 24), voxel_size=0.05)))
    bonectl.write(bone, tmp_path / "bone.npy")

    def fresh():
        return bonectl.read(tmp_path / "bone.npy")

    yield "phantom"
    scan = bonectl.Stack.of(*_held(bonectl.simulate(fresh(), geometry="parallel(views=20)", energy=25)))
    yield "simulate"
    bonectl.reconstruct(scan, method="sirt(iterations=2)").collect()
    yield "reconstruct"
    bonectl.denoise(fresh(), "gaussian(sigma=1)").collect()
    yield "denoise"
    bonectl.measure(fresh(), metrics="bvtv + tbth + euler", intervals=0.2)
    yield "measure"
    with pytest.raises(BonectlError):
        bonectl.measure(fresh(), metrics="bvtv", threshold=1e9)
    yield "measure, refused"
    stack = fresh()
    bonectl.write(bonectl.denoise(stack, "gaussian(sigma=1)"), tmp_path / "smooth.npy")
    files, targets = [tmp_path / "smooth.npy"], [tmp_path / "bone.npy"]
    bonectl.train(files, targets, output=tmp_path / "net.safetensors", steps=1, patch=8, batch=1)
    yield "train"


def _held(stack):
    return stack.collect(), stack.header


def test_no_verb_changes_its_callers_threads(tmp_path):
    """Counts that no verb would choose, in a context that no command line has governed."""

    def run():
        before = counts()
        torch.set_num_threads(before[1] + 1)
        numba.set_num_threads(1)
        try:
            chosen = counts()
            for verb in every_verb(tmp_path):
                assert counts() == chosen, verb
        finally:
            numba.set_num_threads(before[0])
            torch.set_num_threads(before[1])

    Context().run(run)


def test_a_process_of_the_command_line_is_governed():
    def run():
        before = torch.get_num_threads()
        try:
            threads.govern(3)
            assert torch.get_num_threads() == before  # not before it is needed
            threads.settle_torch()
            assert torch.get_num_threads() == 3
        finally:
            torch.set_num_threads(before)

    Context().run(run)


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP tells its settings; other systems have another")
@pytest.mark.parametrize(("said", "wanted"), [({}, threads.SPINS), ({"GOMP_SPINCOUNT": "77"}, 77)])
def test_threads_that_wait_do_not_spin_for_long(tmp_path, said, wanted):
    made.store(tmp_path / "x.npy", np.ones((2, 8, 8), np.float32))
    line = [sys.executable, "-m", "bonectl", "denoise", "x.npy", "-m", "gaussian(sigma=1)", "-o", "y.npy"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    environment |= {"OMP_DISPLAY_ENV": "verbose"} | said
    ended = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert f"GOMP_SPINCOUNT = '{wanted}'" in ended.stderr


@pytest.mark.parametrize(("said", "wanted"), [({}, threads.BLAS_SPINS), ({"OPENBLAS_THREAD_TIMEOUT": "20"}, 20)])
def test_it_is_said_before_numpy_is_loaded_how_its_threads_wait(tmp_path, said, wanted):
    made.store(tmp_path / "x.npy", np.ones((2, 8, 8), np.float32))
    code = """
import os, sys
from importlib.abc import MetaPathFinder

class Told(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print(os.environ.get("OPENBLAS_THREAD_TIMEOUT"), file=sys.stderr)

sys.meta_path.insert(0, Told())
sys.argv = ["bonectl", "info", "x.npy"]
from bonectl.__main__ import main
main()
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")} | said
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert ended.stderr == f"{wanted}\n"
