"""Disks, and limits of files, that end before the output does: status 74, and what was begun is taken away."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.faults import contract
from tests.faults.test_kills import COMMANDS, ENDLESS, is_state

FEWER = {"train": "--steps 100000", "samples": "--samples 4"}
SHORTER = {"train": "--steps 3", "samples": "--samples 2"}  # a disk that is full needs no long work
ROOM = 1 << 20  # bytes of a small disk beyond what the inputs take
SMALL = 64 << 10  # for what is as small as a network


def shorter(name):
    """A command, and what it makes, with less work."""
    line, made = COMMANDS[name]
    line = line.replace(FEWER.get(name, " "), SHORTER.get(name, " "))
    return line, [output for output in made if not output.endswith(("_002.npy", "_003.npy"))]


def whole_of(name):
    return is_state if name in ENDLESS else contract.is_whole


@pytest.fixture
def disk(large, tmp_path):
    """Mount a disk of some bytes beyond the inputs and give its folder with them; unmounted in the end."""
    mounted = []

    def once(room):
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        taken = sum(path.stat().st_size for path in large.rglob("*") if path.is_file()) + (40 << 10)
        line = ["mount", "-t", "tmpfs", "-o", f"size={taken + room}", "none", str(place)]
        if (
            os.geteuid()
            or not shutil.which("mount")
            or subprocess.run(line, capture_output=True, check=False).returncode
        ):
            pytest.skip("a small disk can be mounted by root alone, and not everywhere")
        mounted.append(place)
        shutil.copytree(large, place / "run")
        return place / "run"

    yield once
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk(disk, faults, launch, name):
    line, made = shorter(name)
    for rng in faults.of(f"disk full: {name}"):
        room = int((SMALL if name in ENDLESS else ROOM) * rng.random() ** 2)
        folder = disk(room)
        before = contract.look(folder)
        ended = launch(f"exec bonectl {line} -q", folder).end()
        found = contract.wrong(ended, folder, before, made=made, allowed={0, 74}, whole=whole_of(name))
        faults.tell(f"{room} bytes of room", ended.status, found, ended.said)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_limit_of_file_size(large, faults, launch, tmp_path, name):
    line, made = shorter(name)
    folder = tmp_path / "run"
    for rng in faults.of(f"ulimit -f: {name}"):
        shutil.copytree(large, folder)
        before = contract.look(folder)
        blocks = rng.randrange(1, 1200 if name != "train" else 60)
        ended = launch(f"ulimit -f {blocks}; exec bonectl {line} -q", folder).end()
        found = contract.wrong(ended, folder, before, made=made, allowed={0, 74}, whole=whole_of(name))
        faults.tell(f"{blocks} KiB", ended.status, found, ended.said)
        shutil.rmtree(folder)


PIPES = {
    "convert": "convert large.npy > /dev/full",
    "turn": "convert large.scan.npy --order projection > /dev/full",
    "info": "info large.npy > /dev/full",
    "measure": "measure large.npy -m bvtv > /dev/full",
    "reconstruct": "reconstruct large.scan.npy --try 62:64:1 > /dev/full",
    "plan": "reconstruct large.scan.npy --dry-run > /dev/full",
    "help": "train --help > /dev/full",
}


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full")
@pytest.mark.parametrize("name", PIPES)
def test_standard_output_to_a_full_disk(large, faults, launch, tmp_path, name):
    folder = tmp_path / "run"
    shutil.copytree(large, folder)
    before = contract.look(folder)
    quiet = "" if name == "help" else " -q"
    for _ in faults.of("standard output to a full disk", 1):
        ended = launch(f"exec bonectl {PIPES[name].replace(' >', f'{quiet} >')}", folder).end()
        faults.tell(PIPES[name], ended.status, contract.wrong(ended, folder, before, allowed={74}), ended.said)


SPOOLS = {
    "pipe of a scan": ("convert large.scan.npy -q | bonectl reconstruct --centre auto -o out.npy", "out.npy"),
    "pipe of TIFF": ("convert large.npy -q --format tiff | bonectl convert -o out.npy", "out.npy"),
}


@pytest.mark.parametrize("name", SPOOLS)
def test_a_full_disk_of_temporary_files(large, disk, faults, launch, tmp_path, name):
    line, output = SPOOLS[name]
    folder = tmp_path / "run"
    for rng in faults.of(f"disk of TMPDIR full: {name}"):
        room = rng.randrange(ROOM)
        small = disk(room)
        shutil.copytree(large, folder)
        (folder / contract.TEMPORARY).rmdir()
        (folder / contract.TEMPORARY).symlink_to(small)
        before, there = contract.look(folder), contract.look(small)
        ended = launch(f"bonectl {line} -q", folder).end()
        found = contract.wrong(ended, folder, before, made=[output], allowed={0, 74})
        found += [] if contract.look(small) == there else ["left in TMPDIR"]
        faults.tell(f"{room} bytes of room", ended.status, found, ended.said)
        shutil.rmtree(folder)
