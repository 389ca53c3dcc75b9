"""Early stop: bone numbers of the held-out part decide, the best network is kept, and resuming changes nothing."""

import csv
from math import inf

import numpy as np
import pytest
import skimage.measure
import torch
from tests.made import after, noisy_and_clean, rods, train_on

from bonectl.errors import MissingInputError, UsageError
from bonectl.learning.checkpoint import Checkpoint
from bonectl.training.patience import Patience
from bonectl.training.recipe import Recipe
from bonectl.training.saving import Saving
from bonectl.training.validation import BoneErrors, Trial, euler_number

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"model": "unet2d(width=4, scales=2)", "batch": 2, "run": 2, "patch": 16, "held_out": 0.25}
RATE = 0.3  # so high that bone numbers become worse after a while


@pytest.fixture
def pair(tmp_path):
    return noisy_and_clean(tmp_path, rods(), 300)


def run(pair, output, *, stop=lambda: False, resume=False, every=2, **recipe):
    low, clean = pair
    saving = Saving(output=output, every=every, resume=resume, picture=False)
    return train_on([low], [clean], Recipe(**(SMALL | recipe)), saving, device_name="cpu", stop=stop)


def log(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def composites(path):
    return {
        int(row["step"]): float(row["held-out composite [1]"]) for row in log(path) if row["held-out composite [1]"]
    }


def volume(seed=0, shape=(8, 16, 16)):
    return torch.from_numpy(np.random.default_rng(seed).random(shape).astype(np.float32))


def test_the_euler_number_is_that_of_scikit_image():
    mask = volume() > 0.6
    assert euler_number(mask) == skimage.measure.euler_number(mask.numpy(), connectivity=3)


def test_each_error_is_what_it_says():
    target = torch.zeros(10, 10, 10)
    target[2:8, 2:8, 2:8] = 1.0  # 216 voxels, one component
    estimate = target.clone()
    estimate[2, 2:5, 2] = 0.0  # three voxels of bone less
    estimate[0, 0, 0] = 0.5  # a speck of bone
    errors = BoneErrors.between(estimate, target)
    assert errors.bvtv == pytest.approx(2 / 216)
    assert errors.euler == pytest.approx(1 / 20)  # one component more; relative to 20 where there is less
    assert errors.bmd == pytest.approx(2.5 / 1000)
    assert errors.w1 == pytest.approx((3 - 0.5) / 1000)  # mean of the differences of the sorted values
    assert errors.composite == pytest.approx((errors.bvtv / 0.01 + 1 + errors.bmd / 0.01 + errors.w1 / 0.02) / 4)


def test_a_target_compared_with_itself_is_right():
    errors = BoneErrors.between(volume(), volume())
    assert errors.composite == 0
    assert Trial.of([volume()], [volume()], bone=True).psnr == inf


def test_no_bone_at_all_gives_numbers_nevertheless():
    assert BoneErrors.between(torch.ones(2, 2, 2), torch.zeros(2, 2, 2)).composite < inf


def test_errors_of_two_volumes_do_not_cancel():
    target = torch.ones(2, 2, 2)
    trial = Trial.of([target + 0.1, target - 0.1], [target, target], bone=True)
    assert trial.bone.bmd == pytest.approx(0.1)
    assert trial.psnr == pytest.approx(20, abs=1e-4)


@pytest.mark.parametrize("bone", [True, False])
def test_a_trial_travels_as_numbers(bone):
    trial = Trial.of([volume()], [volume(1)], bone=bone)
    assert Trial.from_numbers(trial.numbers) == trial
    assert len(trial.numbers) == Trial.count(bone=bone)
    assert trial.composite == (trial.bone.composite if bone else inf)


def test_patience_ends_after_so_many_trials_in_vain():
    patience = Patience(2)
    heard = [patience.hear(composite, step) for step, composite in enumerate([3, 2, 2, 1, 4], 1)]
    assert (heard, patience.over, patience.step, patience.best) == ([True, True, False, True, False], False, 4, 1)
    again = Patience(2)
    again.restore(patience.state)
    assert not again.hear(1.5, 6)
    assert (again.over, again.step) == (True, 4)


def test_without_patience_the_newest_is_kept():
    patience = Patience(0)
    assert all(patience.hear(composite, step) for step, composite in enumerate([1, 2, 3], 1))
    assert not patience.over
    assert patience.keeps_newest


def test_the_run_ends_early_and_the_best_is_kept(pair, tmp_path):
    end = run(pair, tmp_path / "x", steps=400, rate=RATE, patience=3)
    measured = composites(tmp_path / "x.csv")
    best = min(measured, key=measured.get)
    assert end.finished
    assert end.steps == best + 3 * 2 < 400
    assert end.kept == best
    kept = Checkpoint.load(tmp_path / "x")
    assert kept.steps == best
    assert kept.training["held_out_composite"][-1] == [best, pytest.approx(measured[best], abs=1e-3)]
    # The weights in the file are those that were tried then: a run of that length, on the same schedule, gives them.
    run(pair, tmp_path / "y", steps=400, rate=RATE, stop=after(best))
    assert kept.digest == Checkpoint.load(tmp_path / "y").digest


@pytest.mark.parametrize("step", [1, 5, 8])
def test_interrupted_and_resumed_ends_with_the_same_bytes(pair, tmp_path, step):
    knobs = {"steps": 400, "rate": RATE, "patience": 3, "critics": "cosine"}
    knobs["loss"] = "l1 + 0.05*lsgan(width=4, layers=1)"
    whole = run(pair, tmp_path / "whole", **knobs)
    assert step < whole.steps < 400
    first = run(pair, tmp_path / "parts", **knobs, stop=after(step))
    assert not first.finished
    assert run(pair, tmp_path / "parts", **knobs, resume=True) == whole
    for name in ("", ".csv"):
        assert (tmp_path / f"parts{name}").read_bytes() == (tmp_path / f"whole{name}").read_bytes()
    before = (tmp_path / "parts").read_bytes()
    assert run(pair, tmp_path / "parts", **knobs, resume=True).steps == whole.steps  # it is over, and stays so
    assert (tmp_path / "parts").read_bytes() == before


def test_a_best_checkpoint_that_is_gone_cannot_be_resumed_from(pair, tmp_path):
    run(pair, tmp_path / "x", steps=4, patience=9, stop=after(3))
    (tmp_path / "x").unlink()
    with pytest.raises(MissingInputError, match="gone"):
        run(pair, tmp_path / "x", steps=4, patience=9, resume=True)


def test_bone_numbers_of_noisy_targets_judge_nothing(pair, tmp_path):
    low, clean = pair
    recipe = Recipe(**SMALL, steps=2, patience=2, pairs="noise2inverse(splits=2)", loss="l2")
    with pytest.raises(UsageError, match="--patience judges by bone numbers"):
        train_on([low, clean], [], recipe, Saving(output=tmp_path / "x"), device_name="cpu")
    recipe = Recipe(**SMALL, steps=2, pairs="noise2inverse(splits=2)", loss="l2")
    train_on([low, clean], [], recipe, Saving(output=tmp_path / "x", every=1, picture=False), device_name="cpu")
    assert all(row["held-out composite [1]"] == "" != row["held-out PSNR [dB]"] for row in log(tmp_path / "x.csv"))


@pytest.mark.parametrize("changes", [{"patience": -1}, {"critics": "linear"}])
def test_recipes_that_cannot_be_early(changes):
    with pytest.raises(UsageError):
        Recipe(**changes)


def test_critics_follow_the_pace_where_they_shall():
    recipe = Recipe(steps=100, critics="cosine")
    assert recipe.critic_pace(0) == pytest.approx(1 / 5)
    assert recipe.critic_pace(99) == pytest.approx(0.01, abs=1e-3)
    assert {Recipe(steps=100).critic_pace(step) for step in range(100)} == {1.0}
