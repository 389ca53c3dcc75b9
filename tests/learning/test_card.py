"""What `bonectl info` tells of a checkpoint."""

import json

import pytest
from typer.testing import CliRunner

from bonectl.cli.app import app
from bonectl.core import kit
from bonectl.core.spec import parse
from bonectl.learning.checkpoint import Checkpoint, Normalisation

MODEL = "unet2d(width=4, scales=2)"


@pytest.fixture
def path(tmp_path):
    network = kit.bind("models", parse(MODEL))()
    Checkpoint(
        model=MODEL,
        loss="l1 + 0.0004*vgg",
        pairs="supervised",
        normalisation=Normalisation("mgHA/cm3", 0.0, 1200.0),
        axes=("z", "y", "x"),
        spacing=(0.02, 0.02, 0.02),
        acquisition={"photons": 300.0, "views": 60},
        steps=12,
        seed=3,
        training={
            "stacks": ["low.npy", "clean.npy"],
            "shapes": [[24, 64, 64]],
            "held_out_psnr_db": [[6, 20.0], [12, 21.5]],
            "held_out_psnr_input_db": 18.25,
            "held_out_bone_errors": {"bvtv": 0.02, "euler": 0.4, "bmd": 0.001, "w1": 0.003, "composite": 3.0},
            "held_out_bone_errors_input": {"bvtv": 0.05, "euler": 0.1, "bmd": 0.001, "w1": 0.004, "composite": 5.0},
        },
        versions={"bonectl": "0.2.0"},
        weights=network.state_dict(),
    ).save(tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_a_checkpoint_has_a_card(path):
    run = CliRunner().invoke(app, ["info", "--json", str(path)])
    assert run.exit_code == 0
    told = json.loads(run.stdout)
    assert told["schema"] == "bonectl.model/1"
    assert (told["model"], told["loss"], told["steps"], told["seed"]) == (MODEL, "l1 + 0.0004*vgg", 12, 3)
    assert told["held_out"]["psnr_db"] == {"input": 18.25, "output": 21.5}
    assert told["acquisition"] == {"photons": 300.0, "views": 60}
    assert told["parameters"] == sum(w.numel() for w in Checkpoint.load(path).weights.values())
    assert told["sha256"] == Checkpoint.load(path).digest


def test_what_came_out_worse_than_its_input_is_said(path):
    run = CliRunner().invoke(app, ["info", str(path)])
    assert "held-out slices euler came out worse" in run.stderr
    assert "held_out_psnr_db\t21.5 (input 18.25)" in run.stdout
    assert "network_sees\t(value - 0) / 1200 of mgHA/cm3" in run.stdout


def test_a_damaged_checkpoint_is_65_and_one_that_is_not_there_66(path):
    path.write_bytes(path.read_bytes()[:-7])
    for name, status in ((path, 65), (path.with_name("none.safetensors"), 66)):
        error = CliRunner().invoke(app, ["info", str(name)]).exception
        assert error.status == status
