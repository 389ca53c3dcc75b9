"""Memory of measuring: what was told beforehand beside what the process came to hold; what does not fit is refused."""

import subprocess
import sys

import numpy as np
import pytest

from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.errors import MemoryShortageError
from bonectl.measuring import memory_need
from bonectl.ops.measure import measure, thickness_map

SIDE = 0.02
MIB = 1 << 20

PROGRAM = """
import sys
import numpy as np
from scipy.ndimage import gaussian_filter
from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.measuring import memory_need
from bonectl.ops.measure import measure

def peak():
    line, = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10

def stack(n, level):
    header = Header(shape=(n, n, n), dtype="<f4", unit="mgHA/cm3", spacing=(0.02,) * 3)
    field = np.load(sys.argv[1], mmap_mode="r")
    return Stack(header, (field[z : z + 16, :n, :n] + np.float32(level) for z in range(0, n, 16)))

def run(n):
    given = {"reference": stack(n, 5), "intervals": "none"} if names == "all" or sys.argv[3] == "both" else {}
    measure(stack(n, 0), metrics=None if names == "all" else names, threshold=525.0, **given)

names = sys.argv[2]
run(64)  # what comes with the first use of anything
before = peak()
run(224)
header = stack(224, 0).header
metrics = sys.argv[4].split("+")
print(peak() - before, memory_need.needed(metrics, [header] * (2 if sys.argv[3] == "both" else 1)))
"""

ALL = "bvtv+components+connd+tbth+tbsp+tbn+anisotropy+psnr+ssim+dice+surface_distance+fsc+bmd_distance"


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """Bone of random plates [mgHA/cm3]."""
    from scipy.ndimage import gaussian_filter

    rough = gaussian_filter(np.random.default_rng(0).normal(size=(224,) * 3).astype(np.float32), 5.0)
    path = tmp_path_factory.mktemp("held") / "field.npy"
    np.save(path, 1050 / (1 + np.exp((np.abs(rough) / rough.std() - 0.3) * 8)))
    return path


@pytest.mark.parametrize(
    ("names", "volumes", "metrics"),
    [
        ("tbth", "one", "tbth"),
        ("anisotropy", "one", "anisotropy"),
        ("components", "one", "components"),
        ("fsc", "both", "fsc"),
        ("fsc + tbth + components", "both", "fsc+tbth+components"),
        pytest.param("all", "both", ALL, marks=pytest.mark.slow),
    ],
)
def test_a_peak_is_told_beforehand(field, names, volumes, metrics):
    """Never less than it is, but for a tenth of what the machine's allocator does; nor twice as much."""
    line = [sys.executable, "-c", PROGRAM, field, names, volumes, metrics]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    seen, told = map(int, done.stdout.split())
    assert 0.5 * (told - memory_need.memory.KERNELS) < seen < 1.1 * told


def sparse(n):
    header = Header(shape=(n, n, n), dtype="|u1", unit="grey", spacing=(SIDE,) * 3)

    def blocks():
        raise AssertionError("read")
        yield

    return Stack(header, blocks())


@pytest.mark.parametrize("work", [measure, lambda stack: thickness_map(stack, threshold=3.0)])
def test_what_does_not_fit_is_refused_before_it_is_read(work):
    with pytest.raises(MemoryShortageError, match=r"20000 × 20000 × 20000 voxels take about .* --max-memory"):
        work(sparse(20000))


def test_the_room_is_what_it_is_said_to_be():
    values = (np.indices((20, 20, 20)).sum(0) % 7).astype(np.uint8)
    stack = Stack.of(values, Header(shape=(20,) * 3, dtype="|u1", unit="grey", spacing=(SIDE,) * 3))
    with pytest.raises(MemoryShortageError, match="80 MiB may be taken"):
        measure(stack, metrics="tbth", threshold=3.0, max_memory=80 * MIB)
    assert measure(stack, metrics="bvtv + euler", threshold=3.0, max_memory=MIB)["bvtv"] > 0  # streams


def test_numbers_that_stream_are_those_of_a_tally():
    assert memory_need.additive() == ["bvtv", "surface", "euler", "smi", "bmd", "tmd", "density_spread", "tbpf"]
