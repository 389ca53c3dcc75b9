"""Real processes joined by real pipes: the same bytes as files, stages that overlap, headers that survive."""

import io
import subprocess
import threading

import numpy as np
import pytest
from tests.made import write

from bonectl.core.geometry import Angles, Geometry
from bonectl.core.header import SINOGRAMS, Entry, Header
from bonectl.core.stack import Stack
from bonectl.io import npy

VALUES = np.random.default_rng(0).normal(size=(6, 8, 10)).astype("<f4")


@pytest.fixture
def scan(tmp_path):
    geometry = Geometry(
        kind="cone", angles=Angles.of([0.0, 20.0, 45.5, 60.0, 90.0, 120.0, 130.0, 170.0]), rows=6, columns=10,
        pitch=0.0195, row_pitch=0.02, centre=4.6, size=10, voxel=0.01, sod=20.0, sdd=39.0,
    )  # fmt: skip
    header = Header(
        shape=VALUES.shape,
        axes=SINOGRAMS,
        spacing=(0.02, None, 0.0195),
        unit="counts",
        geometry=geometry,
        acquisition={"white": 1e4},
        history=tuple(Entry(f"bonectl step {k}", "0.1", "2026-01-01T00:00:00Z", {"seed": k}) for k in range(5)),
    )
    write(tmp_path / "scan.npy", Stack.of(VALUES, header))
    return header


def test_header_and_history_survive_npy_pipe_tiff_npy(shell, scan, tmp_path):
    line = "bonectl convert scan.npy | bonectl convert -o a.tif && bonectl convert - -o b.npy < a.tif"
    run = shell(f"set -o pipefail; {line}", env={"SOURCE_DATE_EPOCH": "0"})
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")
    header, values = npy.mapped(tmp_path / "b.npy")
    np.testing.assert_array_equal(values, VALUES)
    assert [entry.command for entry in header.history[5:]] == [
        "bonectl convert scan.npy", "bonectl convert -o a.tif", "bonectl convert - -o b.npy",
    ]  # fmt: skip
    assert header.replace(history=header.history[:5]) == scan
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy", mmap_mode="r"), VALUES)


def test_pipe_file_and_redirection_give_the_same_bytes(shell, scan, tmp_path):
    raw = (tmp_path / "scan.npy").read_bytes()
    for line in (
        "bonectl convert scan.npy --no-history",
        "bonectl convert --no-history < scan.npy",
        "cat scan.npy | bonectl convert - -o - --no-history --slab 4 | cat",
        "bonectl convert scan.npy -o a.npy --no-history && cat a.npy",
        "bonectl convert /dev/stdin --no-history < scan.npy | tee b.npy",
    ):
        run = shell(line)
        assert (run.stdout == raw, run.stderr) == (True, b""), line
    assert (tmp_path / "b.npy").read_bytes() == raw


@pytest.mark.timeout(60)
def test_stages_overlap(tmp_path):
    """The first slices come out while the last have not gone in, and the last waits for the end."""
    values = np.random.default_rng(0).normal(size=(64, 512, 512)).astype("<f4")
    file = io.BytesIO()
    npy.write(Stack.of(values, Header(shape=values.shape)), file)
    raw = file.getvalue()
    start = len(raw) - values.nbytes
    seen = threading.Event()
    process = subprocess.Popen(["bonectl", "convert", "--no-history"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def feed():
        process.stdin.write(raw[: start + values.nbytes // 2])
        process.stdin.flush()
        if not seen.wait(30):  # nothing more goes in before the first slices have come out
            process.kill()
        process.stdin.write(raw[start + values.nbytes // 2 :])
        process.stdin.close()

    feeder = threading.Thread(target=feed)
    feeder.start()
    early = process.stdout.read(start + values[:8].nbytes)
    seen.set()
    rest = process.stdout.read()
    feeder.join()
    process.stdout.close()
    assert process.wait(timeout=20) == 0
    assert early + rest == raw
