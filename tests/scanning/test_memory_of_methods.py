"""Memory of reconstruction: what was told beforehand of every method and beam, beside what the process came to hold."""

import json
import os
import subprocess
import sys
from functools import cache

import pytest

from bonectl.core import kit

MIB = 1 << 20

# One process for each method; how a peak is taken, see tests/measuring/test_memory_need.py.
PROGRAM = """
import ctypes, gc, json, os, sys
from pathlib import Path
import numpy as np
from bonectl.core import kit
from bonectl.core.header import SINOGRAMS, Header
from bonectl.core.stack import Stack
from bonectl.geometries import cone, fan, parallel
from bonectl.io import npy
from bonectl.ops.reconstruct import reconstruct
from bonectl.scanning import memory_need

def status(what):
    line, = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) << 10

def geometry(beam, large):
    size, rows, views = {"parallel": (384, 72, 300), "fan": (256, 264, 200), "cone": (88, 88, 90)}[beam]
    if not large:
        size, rows, views = 32, 16, 20
    if beam == "parallel":
        return parallel.parallel(size, rows, 0.01, views=views, columns=size)
    return getattr({"fan": fan, "cone": cone}[beam], beam)(size, rows, 0.01, views=views, sod=20, sdd=30)

def scan(g):
    row = np.zeros((1, g.views, g.columns), np.float32)
    row[..., g.columns // 4 : -(g.columns // 4)] = 1
    header = Header(shape=g.shape, axes=SINOGRAMS, unit="line integral", geometry=g)
    return Stack(header, (row.copy() for _ in range(g.rows)))

def run(method, g):
    with open(os.devnull, "wb") as file:
        npy.write(reconstruct(scan(g), method=method), file)

name = sys.argv[1]
part = kit.describe("methods", name)
knobs = [f"{knob}={value}" for knob, value in {"iterations": 2, "kv": 60}.items() if knob in part.knobs]
method = f"{name}({', '.join(knobs)})" if knobs else name
for beam in part.facts["BEAMS"]:
    run(method, geometry(beam, large=False))  # what comes with the first use of anything
    g = geometry(beam, large=True)
    told = memory_need.needed(scan(g).header, g, method, memory_need.blocks(g)[0]).usual - memory_need.memory.KERNELS
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    run(method, g)
    print(json.dumps([beam, told, status("VmHWM") - before]), flush=True)
"""

# lpd and pnp hold a network: they need a checkpoint.
CASES = [
    (name, beam)
    for name in kit.names("methods")
    if name not in ("lpd", "pnp")
    for beam in kit.fact("methods", name, "BEAMS")
]


@cache
def peaks(name):
    """By beam: bytes told and seen, beside the compiled kernels."""
    world = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    line = [sys.executable, "-W", "ignore", "-c", PROGRAM, name]
    done = subprocess.run(line, capture_output=True, text=True, check=True, env=world)
    return {beam: found for beam, *found in map(json.loads, done.stdout.splitlines())}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells the peak of a program")
@pytest.mark.parametrize(
    ("name", "beam"), [case if case[0] == "cgls" else pytest.param(*case, marks=pytest.mark.slow) for case in CASES]
)
def test_the_peak_of_a_method_is_told_beforehand(name, beam):
    told, seen = peaks(name)[beam]
    assert 0.75 * told - 4 * MIB < seen < 1.15 * told + 4 * MIB
