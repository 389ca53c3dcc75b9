"""Small folders of scans, and batches over them as real processes."""

import os
import subprocess
import sys

import numpy as np
import pytest

# Steps that start fast: nothing of them imports torch.
STEPS = """
[[step]]
run = "convert"
bin = 2
[[step]]
run = "convert"
crop = "0:2,:,:"
keep = "volume.npy"
[[step]]
run = "info"
keep = "told.json"
"""

PIPELINE = f"""
scans = "raw/**"
output = "out/{{scan}}"
{STEPS}
"""


def write_scan(path, seed, shape=(4, 8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.random.default_rng(seed).random(shape, np.float32))


@pytest.fixture(autouse=True)
def _same_time(monkeypatch):
    """No clock in outputs, and no word of the test in the environment that batches take from it."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@pytest.fixture
def folder(tmp_path):
    """A folder with a pipeline file and scans: ``folder("a", "sub/b")``."""

    def once(*names, pipeline=PIPELINE):
        for seed, name in enumerate(names):
            write_scan(tmp_path / "raw" / f"{name}.npy", seed)
        (tmp_path / "p.toml").write_text(pipeline)
        return tmp_path

    return once


@pytest.fixture
def started(tmp_path):
    """Start a batch as a process of its own; what is still there in the end is killed."""
    there = []

    def once(*argv, **more):
        process = subprocess.Popen(
            [sys.executable, "-m", "bonectl", "batch", *argv],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **more},
        )
        there.append(process)
        return process

    yield once
    for process in there:
        if process.poll() is None:
            process.kill()
        process.communicate()


def told(out):
    """State of each scan by its name, from the lines of a batch."""
    lines = [line.split("\t") for line in (out if isinstance(out, str) else out.decode()).splitlines()]
    return {line[0]: line[1] for line in lines}


def outputs(folder):
    """Bytes of all outputs by name."""
    files = [path for path in (folder / "out").rglob("*") if path.is_file() and ".bonectl" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def leftovers(folder):
    """Temporaries and claims that were left."""
    return [*folder.rglob(".bonectl-*"), *(folder / "out" / ".bonectl" / "claims").glob("*")]


def alive(folder):
    """Command lines of processes that work in a folder."""
    from pathlib import Path

    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if (entry / "cwd").readlink() == folder and (words := (entry / "cmdline").read_bytes()):
                    found.append(words)
            except OSError:
                continue
    return found


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of some bytes: its folder."""
    place = tmp_path / "disk"

    def once(size):
        place.mkdir()
        line = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
        if os.geteuid() or subprocess.run(line, capture_output=True, check=False).returncode:
            pytest.skip("a small disk can be mounted by root alone, and not everywhere")
        return place

    yield once
    if place.is_mount():
        subprocess.run(["umount", "-l", str(place)], check=True)
