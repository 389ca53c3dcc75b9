"""What the README promises runs."""

import csv
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile

from bonectl.cli.app import COMMANDS
from bonectl.errors import BonectlError

TOP = Path(__file__).resolve().parents[1]
README = (TOP / "README.md").read_text(encoding="utf-8")
# What the wall of the shaft (1100 mgHA/cm³ in water) attenuates at 25 keV [1/cm], by the tables of xraylib.
HARD = 4.16


@pytest.mark.parametrize(
    "option",
    [
        "--geometry",
        "--air",
        "--window",
        "--label",
        "--style csv",
        ".ome.tif",
        "--dead-pixels",
        "--nan",
        "--dry-run --json",
    ],
)
def test_what_real_data_need_is_shown_by_a_command(option):
    assert option in "".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))


def test_shell_blocks_run(tmp_path):
    script = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    run = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "slices_00000.tif").is_file()
    assert (tmp_path / "femur.json").stat().st_size
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["schema"] == "bonectl.plan/1"
    assert plan["memory_bytes"] > 0
    lines = list(csv.DictReader((tmp_path / "bones.csv").read_text().splitlines()))
    assert [line["file"] for line in lines] == ["low.npy", "bone.npy"]
    volume = tifffile.imread(tmp_path / "lab.ome.tif")
    assert np.median(volume[volume > HARD / 2]) == pytest.approx(HARD, rel=0.05)
    assert tifffile.imread(tmp_path / "low16.tif").dtype == np.uint16


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", README)) <= targets


def test_every_command_and_status_is_listed():
    for name in COMMANDS:
        assert f"| `{name}` |" in README
    table = README.partition("| exit status |")[2]
    for status in {error.status for error in BonectlError.__subclasses__()}:
        assert re.search(rf"\b{status}\b", table)
