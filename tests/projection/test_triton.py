"""Triton's kernels, without a GPU: in its interpreter, and through its compiler."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed (the extra `triton`)")


def told_by(script, **environment):
    """What a script in a process of its own prints as JSON."""
    done = subprocess.run(
        [sys.executable, str(HERE / script)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_interpreted_kernels_have_the_numbers_of_torch():
    """Agreement within 1e-6 of small cases; the adjoint within 1e-6 (the bar in Fourier space is 1e-5)."""
    found = told_by("triton_cases.py", TRITON_INTERPRET="1")
    assert len(found) == 21
    assert {name: value for name, value in found.items() if not value <= 1e-6} == {}


@pytest.mark.slow
def test_kernels_compile_for_nvidia_gpus(tmp_path):
    built = told_by("triton_builds.py", TRITON_CACHE_DIR=str(tmp_path))
    assert len(built) == 12
    assert all(built.values())
