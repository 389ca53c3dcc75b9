"""Memory of measuring: what was told beforehand beside what the process came to hold; what does not fit is refused."""

import json
import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from tests.made import unread

from bonectl.core import kit
from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.errors import MemoryShortageError
from bonectl.measuring import memory_need
from bonectl.ops.measure import measure, thickness_map

SIDE = 0.02
MIB = 1 << 20

# Measures every metric there is, one after another, and prints what each was told to take and what it took. Linux tells
# the peak since it was last asked to forget it; arrays go back to the system when they are let go, so that the peak of
# one metric is not hidden in what another has left.
PROGRAM = """
import ctypes, gc, json, sys
from pathlib import Path
import numpy as np
from scipy.ndimage import gaussian_filter
from bonectl.core import kit
from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.measuring import memory_need
from bonectl.measuring.request import Request
from bonectl.ops.measure import examine, planned

def status(what):
    line, = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) << 10

def bone(n):  # plates, some of whose voids are narrow; and blobs, which have edges to measure
    rough = gaussian_filter(np.random.default_rng(0).normal(size=(n, n, n)).astype(np.float32), 5.0)
    rough /= rough.std()
    return [1050 / (1 + np.exp((field - 0.3) * 8)) for field in (np.abs(rough), rough)]

def stack(field, level):
    header = Header(shape=field.shape, dtype="<f4", unit="mgHA/cm3", spacing=(0.02,) * 3)
    return Stack(header, (field[z : z + 16] + np.float32(level) for z in range(0, len(field), 16)))

def asked(name, fields):
    field = fields[name == "mtf"]
    compares = len(kit.describe("metrics", name).flows) > 1
    reference = stack(field, 5) if compares else None
    return stack(field, 0), Request(metrics=name, threshold=525.0, reference=reference, intervals="none")

small, large = bone(64), bone(int(sys.argv[1]))
for name in kit.names("metrics"):
    examine(*asked(name, small))  # what comes with the first use of anything
    plan = planned(*asked(name, large))
    told = plan.cost().memory_bytes - memory_need.memory.resident() - memory_need.memory.KERNELS
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    examine(*asked(name, large))
    print(json.dumps([name, told, status("VmHWM") - before, plan.streams]), flush=True)
"""

# Metrics that work in blocks of so many slices that these are most of a small volume.
BLOCKS = {"ssim", "concavity"}


@cache
def peaks(n):
    """By metric: bytes told and seen beside the compiled kernels, and whether it streams."""
    line = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(n)]
    world = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run(line, capture_output=True, text=True, check=True, env=world)
    return {name: found for name, *found in map(json.loads, done.stdout.splitlines())}


def check_peak(told, seen, streams):
    """Never less than it is, but for a tenth of what the machine's allocator does; nor more than twice as much."""
    if streams:
        assert seen < told + 16 * MIB
    else:
        assert told / 2 < seen < 1.1 * told + 2 * MIB


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells the peak of a program")


@linux
@pytest.mark.parametrize("name", [name for name in kit.names("metrics") if name not in BLOCKS])
def test_a_peak_is_told_beforehand(name):
    check_peak(*peaks(96)[name])


@linux
@pytest.mark.slow
@pytest.mark.parametrize("name", kit.names("metrics"))
def test_a_peak_of_a_larger_volume_is_told_beforehand(name):
    check_peak(*peaks(192)[name])


@pytest.mark.parametrize("work", [measure, lambda stack: thickness_map(stack, threshold=3.0)])
def test_what_does_not_fit_is_refused_before_it_is_read(work):
    with pytest.raises(MemoryShortageError, match=r"20000 × 20000 × 20000 voxels take about .* --max-memory"):
        work(unread(Header(shape=(20000,) * 3, dtype="|u1", unit="grey", spacing=(SIDE,) * 3)))


def test_the_room_is_what_it_is_said_to_be():
    values = (np.indices((20, 20, 20)).sum(0) % 7).astype(np.uint8)
    stack = Stack.of(values, Header(shape=(20,) * 3, dtype="|u1", unit="grey", spacing=(SIDE,) * 3))
    with pytest.raises(MemoryShortageError, match="80 MiB may be taken"):
        measure(stack, metrics="tbth", threshold=3.0, max_memory=80 * MIB)
    assert measure(stack, metrics="bvtv + euler", threshold=3.0, max_memory=MIB)["bvtv"] > 0  # streams


def test_numbers_that_stream_are_those_of_sums():
    assert memory_need.additive() == ["bvtv", "surface", "euler", "smi", "bmd", "tmd", "density_spread", "tbpf"]
