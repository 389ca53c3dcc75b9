"""A machine without AVX2 and FMA: the kernels compile for it, and give the same numbers."""

import os
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import sys
import numpy as np
import torch
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.methods.fdk import fdk
from bonectl.projection.projector import Projector

away = {"sod": 2.0, "sdd": 3.0, "views": 5}
cases = {
    "strip": (parallel(16, 3, 0.02, views=5), "strip"),
    "parallel": (parallel(16, 3, 0.02, views=5), "joseph"),
    "fan": (fan(16, 3, 0.02, **away), None),
    "cone": (cone(16, 11, 0.02, **away), None),
    "turned": (cone(16, 11, 0.02, roll=3.0, tilt=-4.0, slant=5.0, **away), None),
}
done = {}
random = np.random.default_rng(0)
for name, (geometry, model) in cases.items():
    A = Projector(geometry, model=model)
    x = torch.from_numpy(random.standard_normal(geometry.volume_shape, dtype=np.float32))
    y = A(x)
    done[name], done[name + " transpose"] = y.numpy(), A.T(y).numpy()
    if geometry.kind != "parallel":
        done[name + " fdk"] = fdk(A, y).numpy()
np.savez(sys.argv[1], **done)
"""


def numbers(path, **environment):
    """What a fresh process computes."""
    settings = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)], env=settings, timeout=900, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return np.load(path)


@pytest.mark.slow
def test_any_processor_gives_the_same_numbers(tmp_path):
    """Compiled anew without any extension of the instruction set: every projector, its transpose, and FDK."""
    usual = numbers(tmp_path / "usual.npz")
    cache = str(tmp_path / "cache")
    plain = numbers(tmp_path / "plain.npz", NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="", NUMBA_CACHE_DIR=cache)
    assert set(usual) == set(plain)
    for name in usual:
        apart = np.linalg.norm(usual[name] - plain[name])
        assert apart <= 1e-6 * np.linalg.norm(usual[name]), name
