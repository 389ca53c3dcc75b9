"""A network that comes with bonectl: found by its name, refused beyond what it was validated for, told by its card."""

import json
import re
import shlex
import tomllib
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from tests.made import stack, store, write

import bonectl
from bonectl.cli import boundary
from bonectl.core import kit, shipped
from bonectl.core.spec import parse
from bonectl.errors import UsageError
from bonectl.learning.checkpoint import Checkpoint, Normalisation

TOP = Path(__file__).resolve().parents[2]
MODEL = "unet2d(width=2, scales=1)"
RNG = np.random.default_rng(0)


def volume(sd, slices=6):
    """Marrow and bone, with white noise of an SD [mgHA/cm3]."""
    values = np.zeros((slices, 32, 32), np.float32)
    values[:, 8:20, 5:25] = 1000
    return (values + RNG.normal(0, sd, values.shape)).astype(np.float32)


@pytest.fixture
def here(tmp_path, monkeypatch, capfd):
    """Run a command line in this process, in a folder of its own; `bone` is a small network that was validated."""
    monkeypatch.chdir(tmp_path)
    network = kit.bind("models", parse(MODEL))()
    level = {"most": 1.0, "noise_least": 0.1, "noise_median": 0.15, "noise_most": 0.2}
    numbers = {"tbth": {"unit": "%", "input": -9.0, "filters": {"a": 5.0, "b": -2.0}, "output": 0.5}}
    judged = {"bone": "femur", "voxel_mm": 0.02, "photons": 300.0, "views": 90, "noise": 150.0, "numbers": numbers}
    told = {"voxel_mm": [0.018, 0.06], "noise": [100.0, 400.0], "judged": [judged], "not_for": ["teeth", "metal"]}
    checkpoint = Checkpoint(
        model=MODEL, loss="l1", pairs="supervised", normalisation=Normalisation("mgHA/cm3", 0.0, 1200.0),
        axes=("z", "y", "x"), spacing=(None, None, None), steps=1, seed=0, training={"level": level}, validated=told,
        weights=network.state_dict(),
    )  # fmt: skip
    (tmp_path / "package").mkdir()
    checkpoint.save(path := tmp_path / "package" / f"bone-{checkpoint.digest[:8]}.safetensors")
    monkeypatch.setattr(shipped, "networks", lambda: {"bone": path})

    def run(line):
        status = boundary.run(shlex.split(line))
        said = capfd.readouterr()
        return status, said.out, said.err

    return run


def test_by_name_and_by_file_the_bytes_are_the_same(here, tmp_path):
    store(tmp_path / "x.npy", volume(200))
    (tmp_path / "bone").mkdir()  # a folder of slices, say
    for model, output in (("bone", "a.npy"), (shipped.networks()["bone"], "b.npy")):
        assert here(f"denoise x.npy --model {model} --no-history -o {output}") == (0, "", "")
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_a_file_of_that_name_is_the_file(here, tmp_path):
    store(tmp_path / "x.npy", volume(200))
    (tmp_path / "bone").write_bytes(b"no network")
    status, _, said = here("denoise x.npy --model bone -o a.npy")
    assert status == 65
    assert "bone: no safetensors file" in said


@pytest.mark.parametrize(
    ("values", "facts", "said"),
    [
        (200, {"spacing": (0.1,) * 3}, "the step along z is 0.1 mm, the model was validated for 0.018 to 0.06 mm"),
        (200, {"spacing": (0.02, 0.02, 0.015)}, "the step along x is 0.015 mm"),
        (200, {"spacing": (None,) * 3}, "the voxel size along z is not known; give --voxel-size"),
        (20, {}, "noise has a deviation of about [12].*, the model was validated for 100 to 400"),
        (900, {}, "noise has a deviation of about [789].*, the model was validated for 100 to 400"),
    ],
)
def test_what_lies_outside_is_refused_in_one_line_or_done_with_a_warning(here, tmp_path, values, facts, said):
    store(tmp_path / "x.npy", volume(values), **facts)
    status, out, err = here("denoise x.npy --model bone -o a.npy")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert len(err) < 220
    assert err.endswith("or give --anyway\n")
    assert re.search(said, err)
    assert not (tmp_path / "a.npy").exists()
    status, _, err = here("denoise x.npy --model bone -o a.npy --anyway")
    assert status == 0
    assert "warning: " in err
    assert (tmp_path / "a.npy").exists()


@pytest.mark.parametrize(
    ("unit", "values", "said"),
    [
        ("1/cm", volume(200) / 1000, "the input is in 1/cm, but"),
        ("mgHA/cm3", volume(200) / 1000, "values reach .* are they in mgHA/cm3"),
    ],
)
def test_another_unit_is_refused(here, tmp_path, unit, values, said):
    write(tmp_path / "x.npy", stack(values, unit))
    status, _, err = here("denoise x.npy --model bone -o a.npy")
    assert status == 2
    assert re.search(said, err)


def test_a_long_stack_is_refused_before_its_end(here, tmp_path):
    empty, whole = np.zeros((4, 32, 32), np.float32), volume(900, 100)
    seen = []

    def slabs():
        for part in np.concatenate([empty, whole]):
            seen.append(part)
            yield part[None]

    noisy = replace(stack(np.concatenate([empty, whole])), slabs=slabs())
    with pytest.raises(UsageError, match="validated for 100 to 400"):
        bonectl.denoise(noisy, "bone").collect()
    assert 32 <= len(seen) < 60


def test_a_misspelt_name_gets_a_suggestion(here, tmp_path):
    store(tmp_path / "x.npy", volume(200))
    assert "no model 'bonee' (did you mean 'bone'?)" in here("denoise x.npy --model bonee -o a.npy")[2]
    assert "did you mean 'bone'" in here("info bonee")[2]
    status, _, err = here("train x.npy --model bone -o y.safetensors")
    assert status == 2
    assert "trained already" in err
    assert "--init-from bone" in err


def test_the_card_says_what_was_judged_and_where_it_must_not_be_used(here):
    status, out, _ = here("info bone")
    assert status == 0
    lines = [line.split("\t") for line in out.splitlines()]
    assert ["validated_voxel_mm", "0.018 to 0.06"] in lines
    assert ["validated_noise", "100 to 400 mgHA/cm3"] in lines
    assert ["judged", "femur, 0.02 mm, 90 × 300 photons: tbth -9 → 0.5 % (best filter -2)"] in lines
    assert [line for line in lines if line[0] == "not_for"] == [["not_for", "teeth"], ["not_for", "metal"]]
    assert json.loads(here("info bone --json")[1])["validated"]["noise"] == [100, 400]


def test_a_run_begins_with_its_weights_or_learns_what_it_says(here, tmp_path):
    store(tmp_path / "x.npy", volume(200))
    store(tmp_path / "t.npy", volume(0))
    line = f"train x.npy -t t.npy --model '{MODEL}' --steps 1 --patch 16 --run 1 --no-picture -q"
    assert here(f"{line} --init-from bone -o a.safetensors")[0] == 0
    assert here(f"{line} --teacher bone -o b.safetensors")[0] == 0
    digest = Checkpoint.load(shipped.networks()["bone"]).digest
    assert Checkpoint.load(tmp_path / "a.safetensors").training["init_from_sha256"] == digest
    assert Checkpoint.load(tmp_path / "b.safetensors").training["teachers_sha256"] == [digest]


def test_a_wheel_holds_every_file_of_weights_and_its_name_their_digits():
    patterns = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["bonectl"]
    assert list(shipped.networks()) == ["bone"]
    for path in shipped.networks().values():
        assert any(fnmatch(f"models/{path.name}", pattern) for pattern in patterns)
        assert path.stem == f"bone-{Checkpoint.load(path).digest[:8]}"
        assert path.stat().st_size < 3e6
