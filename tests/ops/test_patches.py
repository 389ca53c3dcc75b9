"""Batches of patches as they are made beside the steps."""

import subprocess
import sys

PROGRAM = """
import os
import sys
from pathlib import Path

import numpy as np
import torch

from bonectl.core import kit
from bonectl.core.header import Header
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.io import npy
from bonectl.learning.checkpoint import Normalisation
from bonectl.learning.denoiser import Reach
from bonectl.training.patches import Patches
from bonectl.training.recipe import Recipe
from bonectl.training.volumes import opened

def threads():
    return len(os.listdir("/proc/self/task"))

torch.set_num_threads(2)
torch.rand(1_000_000).add(1)  # the network's threads
path = Path(sys.argv[1])
header = Header(shape=(24, 80, 80), unit="mgHA/cm3", spacing=(0.02,) * 3)
with path.open("wb") as file:
    npy.write(Stack.of(np.ones((24, 80, 80), np.float32), header), file)
with opened([path, path]) as volumes:
    pairing = kit.bind("pairings", parse("supervised"))(volumes[:1], volumes[1:])
    recipe = Recipe(batch=8, run=8, patch=64)
    patches = Patches(pairing, Normalisation.of(header), Reach(slices=2, grid=8), recipe)
    before = threads()
    for batch in patches.from_step(0, 3):
        print(threads() - before, batch.clean.numel())
"""


def test_loading_takes_one_thread_and_none_of_torch_s(tmp_path):
    """Where torch starts threads for a loader, all of its threads sleep at each barrier: a step took a fifth longer."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "a.npy"], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.splitlines()) == {f"1 {8 * 8 * 64 * 64}"}
