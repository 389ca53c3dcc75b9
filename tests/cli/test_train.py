"""`bonectl train` as a process: files, statuses, signals."""

import dataclasses
import errno
import inspect
import json
import shlex
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from tests.made import bar, noisy_and_clean, store

from bonectl.cli import boundary
from bonectl.cli.train import train
from bonectl.io import npy
from bonectl.learning.checkpoint import Checkpoint
from bonectl.training.recipe import Recipe

QUICK = "--model 'unet2d(width=4, scales=2)' --batch 2 --patch 16 --threads 1"


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """Run a command line in this process (torch is loaded once): ``here("info a.npy")`` gives status and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(line):
        status = boundary.run(shlex.split(line))
        return status, capsys.readouterr().err

    return run


@pytest.fixture
def pair(tmp_path):
    return noisy_and_clean(tmp_path, bar(), 200)


def test_the_options_default_to_the_recipe():
    options = inspect.signature(train).parameters
    shared = [field for field in dataclasses.fields(Recipe) if field.name in options]
    assert len(shared) == 13
    for field in shared:
        assert options[field.name].default == field.default, field.name


def test_a_run_says_how_it_went_and_writes_only_files(pair, shell, tmp_path):
    line = f"bonectl train low.npy --target clean.npy -o x.safetensors --steps 3 {QUICK}"
    line = f"{line} > /dev/full" if Path("/dev/full").exists() else line  # nothing goes to standard output
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    end = shell(line, env={"TMPDIR": str(temporary)})
    temporary.rmdir()  # nothing is left there
    assert end.returncode == 0, end.stderr
    assert b"bonectl train: 3 steps; held-out PSNR" in end.stderr
    assert (tmp_path / "x.safetensors.png").read_bytes().startswith(b"\x89PNG")
    there = sorted(path.name for path in tmp_path.iterdir())
    assert there == ["clean.npy", "low.npy", *(f"x.safetensors{part}" for part in ("", ".csv", ".png", ".resume"))]
    checkpoint = Checkpoint.load(tmp_path / "x.safetensors")
    assert (checkpoint.steps, checkpoint.loss) == (3, "l1")


def test_progress_as_json_carries_loss_and_speed(pair, here):
    status, said = here(f"train low.npy -t clean.npy -o x.safetensors --steps 3 --progress json {QUICK}")
    assert status == 0
    lines = [json.loads(line) for line in said.splitlines()]
    trained = [line for line in lines if line.get("task") == "train"]
    assert trained
    assert trained[-1]["done"] == 3
    assert any("patches/s" in line.get("speed", "") and "loss" in line for line in trained)


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("train low.npy -t clean.npy -o x.safetensors --loss charbonier", 2, "did you mean 'charbonnier'?"),
        ("train low.npy -t clean.npy -o x.safetensors --model unet", 2, "no model 'unet'"),
        ("train low.npy -o x.safetensors", 2, "1 input but 0 targets"),
        ("train low.npy -t nothing.npy -o x.safetensors", 66, "nothing.npy"),
        ("train low.npy -t small.npy -o x.safetensors", 2, "12 × 32 × 32"),
        ("train low.npy -t mu.npy -o x.safetensors", 2, "in 1/cm"),
        ("train low.npy -t coarse.npy -o x.safetensors", 2, "0.04 mm"),
        ("train low.npy -t clean.npy -o nowhere/x.safetensors", 73, "no folder"),
        ("train low.npy -t clean.npy -o clean.npy", 2, "is the input itself"),
        ("train low.npy -t clean.npy -o x.safetensors --resume", 66, "nothing to resume"),
        ("train low.npy -t clean.npy -o x.safetensors --scale 3", 2, "--offset and --scale"),
        ("train low.npy -t clean.npy -o x.safetensors --device cuda:99", 69, "cuda:99"),
        ("train low.npy -t clean.npy -o x.safetensors --device tpu", 2, "'tpu'"),
        ("train low.npy -t clean.npy -o x.safetensors --critics linear", 2, "constant or cosine"),
        (
            "train low.npy clean.npy --pairs noise2inverse(splits=2) --patience 2 -o x.safetensors",
            2,
            "--patience judges",
        ),
        ("train cut.npy -t clean.npy -o x.safetensors", 65, "cut.npy"),
        ("train nan.npy -t clean.npy -o x.safetensors", 65, "nan.npy: 12288 values are NaN or infinite, the first at"),
        (
            "train low.npy -t hole.npy -o x.safetensors",
            65,
            "hole.npy: 1 value is NaN or infinite, the first at (11, 3",
        ),
        ("train low.npy -t low.npy -o x.safetensors", 2, "low.npy is given twice, as input and as target"),
        ("train low.npy -t same.npy -o x.safetensors", 2, "same.npy holds the very voxels of low.npy"),
        ("train low.npy same.npy --pairs noise2inverse(splits=2) -o x.safetensors", 2, "as input and as input"),
        ("train low.npy same.npy -t clean.npy -t clean.npy -o x.safetensors", 2, "same.npy holds the very voxels"),
        ("train low.npy --pairs noise2self --held-out 0.3 -o x.safetensors", 2, "noise and all; give --model blind"),
        ("train low.npy -t clean.npy -o x.safetensors --seed 18446744073709551616", 2, "18446744073709551615"),
        ("train low.npy -t clean.npy -o x.safetensors --threads 1000000", 2, "too many"),
    ],
)
def test_what_is_refused(pair, here, tmp_path, line, status, message):
    store(tmp_path / "small.npy", np.zeros((12, 32, 31)))
    store(tmp_path / "mu.npy", np.zeros((12, 32, 32)), unit="1/cm")
    store(tmp_path / "coarse.npy", np.zeros((12, 32, 32)), spacing=(0.04,) * 3)
    store(tmp_path / "nan.npy", np.full((12, 32, 32), np.nan))
    store(tmp_path / "same.npy", npy.mapped(tmp_path / "low.npy")[1], spacing=(None,) * 3)
    hole = np.zeros((12, 32, 32))
    hole[11, 3, 4] = np.nan
    store(tmp_path / "hole.npy", hole)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "low.npy").read_bytes()[:-100])
    quick = QUICK if "--threads" not in line else QUICK.removesuffix("--threads 1")
    ended, said = here(f"{line} --steps 2 {quick if '--model' not in line else ''}")
    assert (ended, said.count("\n")) == (status, 1), said
    assert message in said
    assert said.startswith("bonectl train: ")
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_saves_and_the_run_can_be_resumed(pair, here, tmp_path, name):
    steps = 400
    line = ["bonectl", "train", "low.npy", "-t", "clean.npy", "--steps", str(steps), "--every", "1000"]
    line += ["--model", "unet2d(width=4, scales=2)", "--batch", "1", "--patch", "16", "--threads", "1"]
    with subprocess.Popen([*line, "-o", "x.safetensors"], cwd=tmp_path, stderr=subprocess.PIPE) as running:
        log = tmp_path / "x.safetensors.csv"
        for _ in range(1200):  # the log is opened when training begins
            if log.exists() or running.poll() is not None:
                break
            time.sleep(0.05)
        running.send_signal(getattr(signal, name))
        said = running.communicate(timeout=60)[1].decode()
    assert running.returncode == -getattr(signal, name)
    stopped = Checkpoint.load(tmp_path / "x.safetensors")
    assert 0 < stopped.steps < steps
    assert f"bonectl train: {stopped.steps} steps" in said
    assert said.endswith("wrote x.safetensors; stopped early, --resume goes on from there\n")
    status, said = here(f"{shlex.join(line[1:])} -o x.safetensors --resume")
    assert (status, Checkpoint.load(tmp_path / "x.safetensors").steps) == (0, steps), said


def caused(error, cause):
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    "refused",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        caused(OSError("Could not find/load shared object file"), OSError("failed to map segment from shared object")),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_a_shortage_of_memory_inside_torch_or_of_its_libraries_is_75(capsys, refused):
    """Too little to load a library was status 1 with a traceback, or 74."""
    assert boundary.told("bonectl reconstruct", refused) == 75
    said = capsys.readouterr().err
    assert said.startswith("bonectl reconstruct: out of memory")
    assert said.count("\n") == 1


def test_a_file_that_is_called_as_a_shortage_is_none(capsys):
    assert boundary.told("bonectl info", OSError(errno.EIO, "Input/output error", "out of memory.npy")) == 74
    assert "out of memory.npy: input/output error" in capsys.readouterr().err


def test_values_that_are_not_finite_are_mended_on_request(pair, here, tmp_path):
    """In the held-out slices they gave a PSNR of inf dB, elsewhere an end when a patch hit them."""
    low = np.array(npy.mapped(pair[0])[1])
    low[11, 3, 4] = np.nan
    store(tmp_path / "hole.npy", low)
    low[11, 3, 4] = 0
    store(tmp_path / "filled.npy", low)
    quick = f"--steps 2 --no-picture {QUICK}"
    assert here(f"train hole.npy -t clean.npy --nan zero -o hole.safetensors {quick}")[0] == 0
    assert here(f"train filled.npy -t clean.npy -o filled.safetensors {quick}")[0] == 0
    hole, filled = (Checkpoint.load(tmp_path / f"{name}.safetensors") for name in ("hole", "filled"))
    assert hole.digest == filled.digest
    assert hole.training["stacks_sha256"] == filled.training["stacks_sha256"]
    ended, said = here(f"train hole.npy -t clean.npy -o hole.safetensors --nan zero --resume {quick} --steps 3")
    assert ended == 0, said


def test_a_resumed_run_wants_the_same_data_and_not_only_the_same_names(pair, here, tmp_path):
    """Other voxels of the same name and shape were gone on with."""
    assert here(f"train low.npy -t clean.npy -o x.safetensors --steps 2 {QUICK}")[0] == 0
    store(tmp_path / "low.npy", np.random.default_rng(5).normal(0, 200, (12, 32, 32)))
    ended, said = here(f"train low.npy -t clean.npy -o x.safetensors --steps 3 --resume {QUICK}")
    assert ended == 2
    assert "stacks_sha256" in said


def test_a_pair_that_looks_swapped_or_shifted_is_told(pair, here, tmp_path):
    quick = f"--steps 1 --no-picture {QUICK} -f -o x.safetensors"
    assert "warning: low.npy is noisier" in here(f"train clean.npy -t low.npy {quick}")[1]
    low, _ = (npy.mapped(path)[1] for path in pair)
    store(tmp_path / "shifted.npy", np.roll(low, (3, -2), (1, 2)))
    said = here(f"train shifted.npy -t clean.npy {quick}")[1]
    assert "warning: clean.npy lies 3 pixels in y and 2 pixels in x beside shifted.npy" in said
    assert "warning: " not in here(f"train low.npy -t clean.npy {quick}")[1].replace("warning: on held-out", "")


def test_a_network_that_came_out_worse_than_its_input_is_said_when_training_ends(pair, here, tmp_path):
    """Only `bonectl info` told it."""
    low, clean = (np.array(npy.mapped(path)[1]) for path in pair)
    low[:10] = 1200 - clean[:10] + 1  # the held-out slices are as they were
    store(tmp_path / "upside.npy", low)
    _, said = here(f"train upside.npy -t clean.npy -o x.safetensors --steps 60 --rate 0.05 --no-picture {QUICK}")
    assert "bonectl train: warning: on held-out slices " in said
    assert "psnr_db" in said.splitlines()[-1]


def test_one_noisy_volume_is_enough_to_learn_from(pair, here, tmp_path):
    line = "train low.npy --pairs noise2self --model blind(slices=1,width=4,scales=1) --loss l2 --held-out 0.2"
    ended, said = here(f"{line} --steps 150 --rate 0.01 --patch 32 --threads 1 --no-picture -o own.safetensors")
    assert ended == 0, said
    assert here("denoise low.npy -m own.safetensors -o out.npy")[0] == 0
    clean, low, out = (npy.mapped(tmp_path / f"{name}.npy")[1].astype(float) for name in ("clean", "low", "out"))
    assert np.square(out - clean).mean() < 0.5 * np.square(low - clean).mean()
