"""What a history says is enough to make the file again, and names what was not typed."""

import hashlib
import json
import shlex

import pytest


@pytest.fixture
def entry(good):
    """The last history entry of a file."""
    return lambda name: json.loads(good(f"info {name} --json").out)["history"][-1]


@pytest.fixture
def scan(good):
    good("phantom iliac --shape 8,32,32 --voxel-size 0.05 -o bone.npy")
    good("simulate bone.npy --views 60 --seed 3 -o scan.npy")


@pytest.mark.parametrize(
    "line",
    [
        "simulate bone.npy --views 40 --noise poisson --seed 7 -o made.npy",
        "reconstruct scan.npy --method 'fbp(window=hann)' -o made.npy",
        "reconstruct scan.npy --centre auto -o made.npy",
        "reconstruct scan.npy --try 15:16:0.5 -o made.npy",
    ],
)
def test_a_command_can_be_run_again_from_its_history(good, entry, scan, tmp_path, monkeypatch, line):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    good(line)
    first = (tmp_path / "made.npy").read_bytes()
    again = shlex.split(entry("made.npy")["command"])
    assert again[0] == "bonectl"
    (tmp_path / "made.npy").unlink()
    good(shlex.join(again[1:]))
    assert (tmp_path / "made.npy").read_bytes() == first


def test_the_axis_that_was_found_gives_the_same_voxels(good, entry, scan, tmp_path):
    good("reconstruct scan.npy --centre auto -o found.npy --no-history")
    good("reconstruct scan.npy --centre auto -o told.npy")
    said = entry("told.npy")["notes"]
    assert said["centre_from"] == "auto"
    assert said["centre_sd"] > 0
    good(f"reconstruct scan.npy --centre {said['centre']} -o given.npy --no-history")
    assert (tmp_path / "given.npy").read_bytes() == (tmp_path / "found.npy").read_bytes()


def test_python_finds_the_same_axis_and_makes_the_same_voxels(good, scan, tmp_path):
    import bonectl

    good("reconstruct scan.npy --centre auto --method 'fbp(window=hann)' -o shell.npy --no-history")
    volume = bonectl.reconstruct(
        bonectl.read(tmp_path / "scan.npy"), centre="auto", method="fbp(window=hann)", look=True
    )
    shell = bonectl.read(tmp_path / "shell.npy")
    assert (volume.collect() == shell.collect()).all()


def test_weights_that_the_environment_names_are_told_by_hash(good, entry, scan, tmp_path, monkeypatch):
    good("train scan.npy -t bone.npy --model 'lpd(iterations=1)' --steps 1 --run 2 --seed 1 -q -o lpd.safetensors")
    content = (tmp_path / "lpd.safetensors").read_bytes()
    monkeypatch.setenv("BONECTL_LPD_WEIGHTS", str(tmp_path / "lpd.safetensors"))
    good("reconstruct scan.npy --method lpd -o learned.npy")
    said = entry("learned.npy")["notes"]
    assert said["weights_sha256"] == hashlib.sha256(content).hexdigest()[:16]
    assert said["method"] == "lpd(weights='')"


def test_a_simulation_tells_its_beam_noise_and_device_in_full(good, entry, scan):
    good("simulate bone.npy --geometry 'fan(sod=20, sdd=40)' --views 30 --noise 'poisson + electronic' -o fan.npy")
    said = entry("fan.npy")["notes"]
    assert said["geometry"].startswith("fan(views=30, arc=360, start=0.0, columns=")
    assert said["noise"] == "poisson + electronic(sd=5.0)"
    assert (said["device"], said["projector"], said["seed"]) == ("cpu", "numba", 0)


def test_tries_tell_what_was_tried(good, entry, scan):
    good("reconstruct scan.npy --try 15:16:0.5 --slice 2 -o tries.npy")
    said = entry("tries.npy")["notes"]
    assert (said["tried"], said["slice"]) == ("15:16:0.5", 2)
    assert said["best"] in (15.0, 15.5, 16.0)
    assert said["method"] == "fbp(window=ram-lak, cutoff=1.0, pixels=bandlimited)"
