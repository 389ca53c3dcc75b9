"""Limits of memory, open files and processes: the work is done, or refused in words; no crash, no traceback."""

import os
import shutil
from pathlib import Path

import pytest
from tests.faults import contract
from tests.faults.test_disks import shorter, whole_of
from tests.faults.test_kills import COMMANDS

# How libraries end the process when memory is refused to them: nothing in it can hear of that.
THEIRS = (
    "OpenBLAS error: Memory allocation",
    "terminate called after throwing",
    "libgomp: ",
    "cannot allocate memory for thread",
)
GROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def limited(large, faults, launch, tmp_path):
    """Run a command under a line of the shell that limits it, and judge its end."""
    folder = tmp_path / "run"

    def once(name, limit, what, allowed):
        line, made = shorter(name)
        shutil.copytree(large, folder)
        before = contract.look(folder)
        ended = launch(f"{limit}; exec bonectl {line} -q", folder).end()
        found = contract.wrong(ended, folder, before, made=made, allowed=allowed, whole=whole_of(name))
        faults.tell(what, ended.status, found, ended.said, ours=not ended.said.startswith(THEIRS))
        shutil.rmtree(folder)

    return once


@pytest.mark.parametrize("name", COMMANDS)
def test_address_space(limited, faults, name):
    for rng in faults.of(f"ulimit -v: {name}"):
        kilobytes = int(150_000 * 20 ** rng.random())  # from what Python itself needs to what all need
        limited(name, f"ulimit -v {kilobytes}", f"{kilobytes} KiB", {0, 69, 74, 75})


@pytest.mark.parametrize("name", COMMANDS)
def test_open_files(limited, faults, name):
    for rng in faults.of(f"ulimit -n: {name}"):
        files = rng.randrange(5, 20)
        limited(name, f"ulimit -n {files}", f"{files} files", {0, 69, 74, 75})


@pytest.fixture
def group():
    """A control group of memory, version 1 or 2, of which the limit in bytes can be set."""
    first, second = GROUPS / "memory", GROUPS
    parent, file = (first, "memory.limit_in_bytes") if first.is_dir() else (second, "memory.max")
    place = parent / f"bonectl-faults-{os.getpid()}"
    try:
        place.mkdir()
        (place / file).write_text(str(4 << 30))
    except OSError:
        if place.is_dir():
            place.rmdir()
        pytest.skip("a control group of memory cannot be made here")
    yield place, place / file
    place.rmdir()


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "train"])
def test_a_control_group(limited, faults, group, name):
    place, limit = group
    for rng in faults.of(f"control group: {name}"):
        size = int((400 << 20) * 4 ** rng.random())  # no less than what the libraries take: the kernel kills below
        limit.write_text(str(size))
        limited(name, f"echo $$ > {place}/cgroup.procs", f"{size >> 20} MiB", {0, 75})
