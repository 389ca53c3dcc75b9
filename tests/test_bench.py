"""The benchmarks run; what they say is in bench/RESULTS.md."""

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[1] / "bench"


def test_the_benchmark_of_bone_numbers_runs():
    done = subprocess.run(
        [sys.executable, BENCH / "measure.py", "64"], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for task in ("Euler number", "bone surface", "mean curvature", "squared EDT", "local thickness", "anisotropy"):
        assert f"| {task}" in done.stdout
