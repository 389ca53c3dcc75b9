"""No output is an input, or another output: every pair of every command, by name, by symlink and by hard link."""

import os
import shlex
import shutil
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

from bonectl.cli.app import COMMANDS
from bonectl.cli.files import apart
from bonectl.errors import UsageError

# Options and arguments by command: those that name what is read, and those that name what is written.
READS = {
    "phantom": (),
    "simulate": ("source",),
    "reconstruct": ("source", "flats", "darks", "angles", "method", "calibrate"),
    "prepare": ("source", "flats", "darks", "angles", "prepare"),
    "batch": ("pipeline", "roots", "init"),
    "train": ("inputs", "target", "init_from", "loss", "pairs", "model"),
    "denoise": ("source", "model"),
    "measure": ("source", "reference", "mask", "samples", "calibrate"),
    "info": ("source",),
    "convert": ("source", "calibrate"),
    "export": ("model",),
}
WRITES = {
    "phantom": ("output",),
    "simulate": ("output", "flats", "darks"),
    "reconstruct": ("output", "sheet"),
    "prepare": ("output", "sheet"),
    "batch": ("output",),  # a folder, which is made beside what is there
    "train": ("output", "tensorboard"),
    "denoise": ("output", "sd", "each"),
    "measure": ("output", "plot"),
    "info": (),
    "convert": ("output",),
    "export": ("output",),
}

PAIRS = [
    "simulate in.npy --views 4 -o X",
    "simulate in.npy --views 4 --flats X -o out.npy",
    "simulate in.npy --views 4 --darks X -o out.npy",
    "simulate other.npy --views 4 --darks X --flats X -o out.npy",
    "simulate other.npy --views 4 --darks d.npy --flats X -o X",
    "reconstruct in.npy -o X",
    "reconstruct other.npy --flats in.npy -o X",
    "reconstruct other.npy --flats other.npy --darks in.npy -o X",
    "reconstruct other.npy --angles in.npy -o X",
    "reconstruct other.npy --method \"lpd(weights='in.npy')\" -o X",
    "reconstruct other.npy --calibrate \"rods(table='in.npy')\" -o X",
    "reconstruct in.npy --try auto --sheet X",
    "reconstruct other.npy --try auto --sheet X -o X",
    "prepare in.npy -o X",
    "prepare other.npy --flats in.npy -o X",
    "prepare other.npy --flats other.npy --darks in.npy -o X",
    "prepare other.npy --angles in.npy -o X",
    "prepare other.npy --steps \"badpixels(mask='in.npy')\" -o X",
    "train in.npy -t other.npy --steps 1 -o X",
    "train other.npy -t in.npy --steps 1 -o X",
    "train other.npy -t other.npy --init-from in.npy --steps 1 -o X",
    "train other.npy -t other.npy --loss \"vgg(weights='in.npy')\" --steps 1 -o X",
    "train in.npy.csv -t other.npy --steps 1 -o in.npy",
    "denoise in.npy -m identity -o X",
    "denoise other.npy -m in.npy -o X",
    "denoise other.npy -m identity --samples 2 --sd in.npy -o X",
    "denoise in.npy -m identity --samples 2 --sd X -o out.npy",
    "denoise other.npy -m in.npy -m other.npy --sd X -o out.npy",
    "denoise other.npy -m identity --samples 2 --each samples -o samples/sample_000.npy",
    "denoise samples/sample_001.npy -m identity --samples 2 --each samples -o out.npy",
    "export in.npy -o X",
    "measure in.npy --map tbth -o X",
    "measure other.npy --mask in.npy --map tbth -o X",
    "measure in.png --plot X.png",
    "measure other.npy --mask in.png --plot X.png",
    "measure other.npy --reference in.png --plot X.png",
    "measure other.npy --samples samples --plot samples/a.png",
    "convert in.npy -o X",
    "convert other.npy --calibrate \"rods(table='in.npy')\" -o X",
    "convert slices -o slices/s_1.tif",
    "convert slices/s_%d.tif -o slices/s_%d.tif",
    "convert a.npy.json --bare -o a.npy",
]


@pytest.fixture
def folder(tmp_path):
    stack = np.arange(4 * 8 * 8, dtype="f4").reshape(4, 8, 8)
    for name in ("in.npy", "other.npy", "a.npy.json", "in.npy.csv"):
        with (tmp_path / name).open("wb") as file:
            np.save(file, stack)
    shutil.copy(tmp_path / "in.npy", tmp_path / "in.png")
    for name in ("samples", "slices"):
        (tmp_path / name).mkdir()
    for name in (
        "samples/sample_000.npy",
        "samples/sample_001.npy",
        "samples/a.png",
        "slices/s_0.tif",
        "slices/s_1.tif",
    ):
        shutil.copy(tmp_path / "in.npy", tmp_path / name)
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("line", "how"),
    [(line, how) for line in PAIRS for how in ("name", "symlink", "hard link") if "X" in line or how == "name"],
)
def test_an_output_that_is_an_input_is_refused(run, folder, line, how):
    words = shlex.split(line)
    twin = {"name": "in", "symlink": "soft", "hard link": "hard"}[how]
    for ending in (".npy", ".png"):
        if how == "symlink":
            (folder / f"soft{ending}").symlink_to(f"in{ending}")
        elif how == "hard link":
            os.link(folder / f"in{ending}", folder / f"hard{ending}")
    before = contents(folder)
    done = run(*(word.replace("X", twin if word == "X.png" else f"{twin}.npy") for word in words), "-f")
    assert done.status == 2, done.err
    assert "give another name" in done.err
    assert contents(folder) == before


def test_every_file_of_every_command_is_in_the_tables():
    commands = {name: getattr(import_module(f"bonectl.cli.{name}"), name) for name in COMMANDS}
    assert set(commands) == set(COMMANDS) == set(READS) == set(WRITES)
    for name, function in commands.items():
        hints = get_type_hints(function)
        paths = {option for option, kind in hints.items() if "Path" in str(kind)}
        assert paths <= {*READS[name], *WRITES[name]}, name


def test_outputs_that_are_not_there_yet_are_told_apart_by_where_they_lead(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to("here")
    with pytest.raises(UsageError, match="another output"):
        apart([], [tmp_path / "here" / "a.npy", tmp_path / "link" / "a.npy"])
    apart([], [tmp_path / "here" / "a.npy", tmp_path / "here" / "b.npy"])


def test_devices_are_nothing_to_write_over_but_one_pipe_takes_one_output(tmp_path):
    apart([Path("/dev/null")], [Path("/dev/null"), Path("/dev/null")])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="another output"):
        apart([], [tmp_path / "pipe", tmp_path / "pipe"])


def test_standard_output_is_a_file_too(shell, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 4, 4), "f4"))
    before = (tmp_path / "a.npy").read_bytes()
    for line in (
        "bonectl convert a.npy >> a.npy",
        "bonectl denoise a.npy -m identity --samples 2 --sd b.npy > b.npy -f",
        "bonectl denoise a.npy -m identity --samples 2 --sd /dev/stdout | cat; exit ${PIPESTATUS[0]}",
        "bonectl simulate a.npy --views 4 --flats /dev/stdout | cat; exit ${PIPESTATUS[0]}",
    ):
        run = shell(line)
        assert run.returncode == 2, run.stderr
        assert (tmp_path / "a.npy").read_bytes() == before
