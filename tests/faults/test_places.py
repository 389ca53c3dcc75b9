"""Places that are not what a command hopes for: no home, another user, locked folders, named pipes where files go."""

import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from tests.faults import contract, tally
from tests.faults.conftest import surroundings

import bonectl

STRANGER = "setpriv --reuid=65534 --regid=65534 --clear-groups"
SOURCE = Path(bonectl.__file__).parent
SCAN = "reconstruct scan.npy --flats flats.npy --darks darks.npy -o out.npy"
# Each command with the files that it reads and what it makes.
COMMANDS = {
    "convert": ("convert bone.npy -o out.npy", ["bone.npy"]),
    "TIFF": ("convert bone.tif -o out.npy", ["bone.tif"]),
    "slices": ("convert slices -o out.npy", ["slices/b_003.tif", "slices"]),
    "sidecar": ("convert bare.npy -o out.npy", ["bare.npy"]),
    "simulate": ("simulate bone.npy --views 12 --energy 25 -o out.npy", ["bone.npy"]),
    "reconstruct": (SCAN, ["scan.npy", "flats.npy", "darks.npy"]),
    "prepare": (
        "prepare scan.npy --flats flats.npy --darks darks.npy --steps 'badpixels + flats + stripes' -o out.npy",
        ["scan.npy", "flats.npy", "darks.npy"],
    ),
    "angles": (f"{SCAN} --angles angles.txt", ["angles.txt"]),
    "denoise": ("denoise fbp.npy -m net.safetensors --threads 1 -o out.npy", ["fbp.npy", "net.safetensors"]),
    "measure": ("measure bone.npy -m bvtv --mask mask.npy", ["bone.npy", "mask.npy"]),
    "reference": ("measure fbp.npy -r bone.npy -m bvtv", ["fbp.npy", "bone.npy"]),
    "train": (
        "train fbp.npy -t bone.npy --steps 2 --model 'unet2d(width=4, scales=2)' --batch 1 --patch 16 --threads 1"
        " --no-picture -o new.safetensors",
        ["fbp.npy", "bone.npy"],
    ),
}


def outputs(line):
    """What a line makes."""
    found = re.findall(r" -o (\S+)", line)
    beside = [f"{name}{end}" for name in found if name.endswith(".safetensors") for end in (".resume", ".csv")]
    return found + beside


@pytest.fixture
def stranger(made, launch):
    """Run a line as nobody, who has no home and may write to no installation, in a copy of the inputs."""
    if os.geteuid() or not shutil.which("setpriv"):
        pytest.skip("only root can become another user, with setpriv")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        shutil.copytree(SOURCE, place / "installed" / "bonectl", ignore=shutil.ignore_patterns("__pycache__"))

        def once(line, *, prepare=lambda folder: None):
            folder = place / "run"
            shutil.copytree(made, folder)
            for path in (folder, *folder.rglob("*")):
                path.chmod(0o777 if path.is_dir() else 0o644)
            prepare(folder)
            before = contract.look(folder)
            env = surroundings(folder) | {"PYTHONPATH": str(place / "installed")}
            del env["HOME"]
            ended = launch(f"exec {STRANGER} bonectl {line} -q", folder, env=env).end()
            kept = folder / contract.TEMPORARY
            for cache in kept.glob("bonectl-kernels-*"):  # as documented: compiled code of who has no home
                shutil.rmtree(cache)
            return ended, folder, before

        yield once, place / "run"


@pytest.mark.parametrize("name", COMMANDS)
def test_no_home_and_an_installation_that_cannot_be_written_to(stranger, faults, name):
    once, place = stranger
    line, _ = COMMANDS[name]
    for _ in faults.of(f"no home: {name}", 1):
        ended, folder, before = once(line)
        found = contract.wrong(ended, folder, before, made=outputs(line), allowed={0})
        faults.tell(line, ended.status, found, ended.said)
        shutil.rmtree(place)


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_stranger_may_not_read(stranger, faults, name):
    once, place = stranger
    line, inputs = COMMANDS[name]
    for rng in faults.of(f"may not be read: {name}", tally.DRAWS):
        closed = rng.choice(inputs)
        ended, folder, before = once(line, prepare=lambda folder, closed=closed: (folder / closed).chmod(0))
        found = contract.wrong(ended, folder, before, made=outputs(line), allowed={77})
        faults.tell(f"{line}, {closed} closed", ended.status, found, ended.said)
        shutil.rmtree(place)


@pytest.mark.parametrize("name", [name for name in COMMANDS if outputs(COMMANDS[name][0])])
def test_where_a_stranger_may_not_write(stranger, faults, name):
    once, place = stranger
    line, _ = COMMANDS[name]
    for _ in faults.of(f"may not be written to: {name}", 1):
        ended, folder, before = once(line, prepare=lambda folder: folder.chmod(0o555))
        faults.tell(line, ended.status, contract.wrong(ended, folder, before, allowed={77}), ended.said)
        shutil.rmtree(place)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_pipe_where_a_file_is_hoped_for(made, faults, launch, tmp_path, name):
    """Nobody writes to it at all, or somebody opens and closes it: the command ends, or waits as all commands do."""
    line, inputs = COMMANDS[name]
    folder = tmp_path / "run"
    for rng in faults.of(f"named pipe, closed at once: {name}", 1):
        shutil.copytree(made, folder)
        pipe = folder / rng.choice([file for file in inputs if (folder / file).is_file()])
        pipe.unlink()
        os.mkfifo(pipe)
        before = contract.look(folder)
        running = launch(f"while :; do : > {pipe}; done & exec bonectl {line} -q", folder)
        ended = running.end()
        running.kill()
        found = contract.wrong(ended, folder, before, made=outputs(line), allowed={2, 65, 66, 74})
        faults.tell(f"{line}, {pipe.name} is a pipe", ended.status, found, ended.said)
        shutil.rmtree(folder)


BESIDE = {
    "bone.npy.json": "convert bone.npy -o out.npy",
    "plain.npy.json": "info plain.npy",
    "<stdin>.json": "convert -o out.npy < bone.npy",
    "mask.npy.json": "measure bone.npy -m bvtv --mask mask.npy",
    "angles.npy.json": f"{SCAN} --angles angles.npy",
    "net.safetensors.resume": COMMANDS["denoise"][0],
    "slices/b_099.txt": COMMANDS["slices"][0],
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_pipe_beside_an_input_is_left_alone(made, faults, launch, tmp_path, name):
    folder = tmp_path / "run"
    for _ in faults.of("named pipe beside an input", 1):
        shutil.copytree(made, folder)
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
        before = contract.look(folder)
        line, redirected = (*BESIDE[name].split(" < "), "")[:2]
        ended = launch(f"exec bonectl {line} -q {f'< {redirected}' if redirected else ''}", folder).end(30)
        found = contract.wrong(ended, folder, before, made=outputs(line), allowed={0})
        faults.tell(f"{line}, {name} is a pipe", ended.status, found, ended.said)
        shutil.rmtree(folder)
