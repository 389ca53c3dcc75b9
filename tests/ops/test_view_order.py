"""A scan by projections turned into sinograms: in memory and by way of a file the same, the latter in little memory."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from bonectl.core.header import PROJECTIONS, SINOGRAMS, Header
from bonectl.core.stack import Stack
from bonectl.errors import DataError, WriteError
from bonectl.geometries.parallel import parallel
from bonectl.ops.reconstruct import reconstruct
from bonectl.scanning import memory_need
from bonectl.stacks import view_order
from bonectl.stacks.view_order import ordered

MIB = 1 << 20


def scan(dtype="<u2", shape=(31, 12, 40), slab=7):
    values = np.random.default_rng(0).integers(0, 60000, shape).astype(dtype)
    header = Header(shape=shape, axes=PROJECTIONS, dtype=dtype, unit="counts")
    return Stack(header, iter([values[at : at + slab] for at in range(0, len(values), slab)])), values


@pytest.mark.parametrize("dtype", ["|u1", "<u2", "<f4"])
@pytest.mark.parametrize("held", [True, False])
def test_the_order_changes_and_no_value(dtype, held):
    stack, values = scan(dtype)
    turned = np.concatenate(list(view_order.swapped(stack, held=held)))
    assert turned.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(turned, values.swapaxes(0, 1))


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("announced", [30, 32])
def test_a_scan_of_another_length_is_refused(held, announced):
    stack, values = scan()
    short = Stack(stack.header.replace(shape=(announced, *values.shape[1:])), stack.slabs)
    with pytest.raises(DataError, match=f"31 slices arrived, {announced} were announced"):
        list(view_order.swapped(short, held=held))


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    slabs = view_order.swapped(scan()[0], held=False)
    next(slabs)
    slabs.close()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told(monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Path("/dev/full").open("w+b", buffering=0))  # noqa: SIM115
    with pytest.raises(
        WriteError, match="no space left on device: the scan needs a temporary file of 0 MiB in .*TMPDIR"
    ):
        list(view_order.swapped(scan()[0], held=False))


def test_the_limit_decides(monkeypatch):
    header = Header(shape=(1000, 1024, 1024), axes=PROJECTIONS, dtype="<u2", unit="counts")
    assert not view_order.is_held(header, 2000 * MIB)
    assert view_order.is_held(header, 16000 * MIB)
    seen = []
    monkeypatch.setattr(view_order, "swapped", lambda stack, held: iter([seen.append(held)]))
    for limit in (2000 * MIB, 16000 * MIB):
        list(ordered(Stack(header, iter([])), "sinogram", limit=limit).slabs)
    assert seen == [False, True]


def test_a_reconstruction_by_way_of_a_file_has_the_same_bytes(monkeypatch):
    geometry = parallel(40, 16, 0.02, views=30)
    lines = np.random.default_rng(1).random((30, 16, geometry.columns)).astype(np.float32)
    header = Header(shape=lines.shape, axes=PROJECTIONS, unit="line integral", geometry=geometry)

    def volume():
        return reconstruct(Stack.of(lines, header)).collect()

    there = volume()
    monkeypatch.setattr(view_order, "is_held", lambda header, limit=None: False)
    np.testing.assert_array_equal(volume(), there)


def test_projections_that_go_through_a_file_are_not_counted():
    large = parallel(512, 512, 0.01, views=800, columns=512)
    shapes = {PROJECTIONS: (800, 512, 512), SINOGRAMS: (512, 800, 512)}
    headers = {axes: Header(shape=shapes[axes], axes=axes, unit="line integral", geometry=large) for axes in shapes}
    passing = memory_need.needed(headers[PROJECTIONS], large, "fbp", 32, held=False).usual
    assert passing == pytest.approx(memory_need.needed(headers[SINOGRAMS], large, "fbp", 32).usual, rel=0.01)


PROGRAM = """
import numpy as np
from bonectl.core.header import PROJECTIONS, Header
from bonectl.core.stack import Stack
from bonectl.stacks import view_order

def peak():
    line, = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) >> 10

header = Header(shape=(400, 256, 1024), axes=PROJECTIONS, dtype="<u2", unit="counts")
before = peak()
for slab in view_order.swapped(Stack(header, (np.full((8, 256, 1024), i, "<u2") for i in range(50))), held=False):
    assert (slab == np.repeat(np.arange(50), 8)[None, :, None]).all()
print(peak() - before)
"""


def test_a_file_takes_little_memory():
    """Of a scan of 200 MiB."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 60


def test_a_plan_tells_of_the_file(tmp_path):
    values = np.lib.format.open_memmap(tmp_path / "scan.npy", "w+", "<f4", (2000, 256, 512))  # 1 GiB of nothing
    del values
    line = "bonectl reconstruct scan.npy --axes projection --angles 180 --voxel-size 0.02 --input-unit transmission"
    line += " --max-memory 1500M --dry-run -o a.npy"
    done = subprocess.run(line.split(), cwd=tmp_path, capture_output=True, text=True, check=True)
    plan = dict(row.split("\t") for row in done.stdout.splitlines())
    assert plan["scratch"].startswith("a temporary file of 1000 MiB in ")
    assert not (tmp_path / "a.npy").exists()
