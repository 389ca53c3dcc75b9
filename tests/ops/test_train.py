"""Training: it learns, repeats itself to the bit, resumes to the bit, and stops honestly."""

import csv
import hashlib
import io
import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from tests import made
from tests.made import after, noisy_and_clean, nudged, rods, stack, store, train_on

from bonectl.core import kit
from bonectl.core.calibration import Calibration
from bonectl.core.header import Header
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.errors import DataError, MemoryShortageError, MissingInputError, OutputError, UnavailableError, UsageError
from bonectl.io import npy
from bonectl.learning.checkpoint import Checkpoint, Normalisation
from bonectl.learning.denoiser import Reach
from bonectl.learning.inflate import inflated
from bonectl.learning.sample import Volume
from bonectl.losses._vgg import SHIPPED
from bonectl.ops.denoise import denoise, trained
from bonectl.pairings.supervised import supervised
from bonectl.training import resume_file
from bonectl.training.learner import Learner
from bonectl.training.patches import Patches, turned
from bonectl.training.recipe import Recipe
from bonectl.training.resume_file import loaded
from bonectl.training.saving import Saving

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"model": "unet25d(slices=3, width=4, scales=2)", "steps": 12, "batch": 2, "run": 2, "patch": 16}


@pytest.fixture
def pair(tmp_path):
    return noisy_and_clean(tmp_path, rods(), 300, acquisition={"photons": 1e4, "views": 90})


def run(pair, output, *, stop=lambda: False, every=100, resume=False, force=False, start=None, picture=False, **recipe):
    low, clean = pair
    saving = Saving(output=output, every=every, resume=resume, force=force, picture=picture)
    return train_on([low], [clean], Recipe(**(SMALL | recipe)), saving, start=start, device_name="cpu", stop=stop)


def test_it_learns_and_the_held_out_part_says_so(pair, tmp_path):
    end = run(
        pair, tmp_path / "x.safetensors", steps=80, model="unet25d(slices=3, width=6, scales=2)", batch=2, patch=24
    )
    assert end.finished
    assert end.psnr > end.psnr_input + 2


def test_same_seed_same_bytes_other_seed_others(pair, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(pair, tmp_path / name, seed=seed, steps=4)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize(
    ("step", "loss", "balance"),
    [
        (1, "l1 + 0.5*l2@50%", False),
        (5, "l1 + 0.5*l2@50%", True),
        (5, "l1 + 0.1*wgan(width=4, layers=1, conditional=true)", False),
        (7, "l1 + 0.1*gan(width=4, layers=1)@25%", True),
    ],
)
def test_interrupted_and_resumed_is_uninterrupted_bit_for_bit(pair, tmp_path, step, loss, balance):
    knobs = {"loss": loss, "balance": balance, "every": 6}
    run(pair, tmp_path / "whole", **knobs)
    first = run(pair, tmp_path / "parts", **knobs, stop=after(step))
    assert (first.finished, first.steps) == (False, step)
    assert Checkpoint.load(tmp_path / "parts").steps == step
    second = run(pair, tmp_path / "parts", **knobs, resume=True)
    assert (second.finished, second.steps) == (True, 12)
    for name in ("", ".csv"):
        assert (tmp_path / f"parts{name}").read_bytes() == (tmp_path / f"whole{name}").read_bytes()
    one, other = (loaded(tmp_path / f"{name}.resume", torch.device("cpu")) for name in ("whole", "parts"))
    for key in one["network"]:
        assert torch.equal(one["network"][key], other["network"][key])
    rows = (tmp_path / "whole.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in rows[1:]] == [str(n) for n in range(1, 13)]


def test_the_log_holds_value_share_and_weight_of_every_term_and_the_critic(pair, tmp_path):
    run(pair, tmp_path / "x", loss="2*l1 + l2@50% + lsgan(width=2, layers=1)", steps=4, balance=True)
    with (tmp_path / "x.csv").open() as file:
        rows = list(csv.DictReader(file))
    gan = "lsgan(width=2, layers=1)"
    for row in rows:
        assert float(row["share of l1"]) / float(row[f"share of {gan}"]) == pytest.approx(
            2, rel=0.25
        )  # an average decides
        assert float(row["weight of l1"]) == 2
        assert float(row[f"critic of {gan}"]) > 0
    assert [row["l2"] == "" for row in rows] == [True, True, False, False]
    weights = Checkpoint.load(tmp_path / "x").training["weights"]
    assert weights == {name: float(rows[-1][f"weight of {name}"]) for name in ("l1", "l2", gan)}


def test_the_checkpoint_says_what_it_was_trained_on(pair, tmp_path):
    end = run(pair, tmp_path / "x", steps=2, seed=5)
    checkpoint = Checkpoint.load(tmp_path / "x")
    assert checkpoint.model == "unet25d(slices=3, width=4, scales=2)"
    assert checkpoint.normalisation == Normalisation("mgHA/cm3", 0.0, 1200.0)
    assert checkpoint.spacing == (0.02, 0.02, 0.02)
    assert dict(checkpoint.acquisition) == {"photons": 1e4, "views": 90}
    assert (checkpoint.steps, checkpoint.seed, checkpoint.pseudo) == (2, 5, False)
    assert checkpoint.training["stacks"] == ["low.npy", "clean.npy"]
    assert checkpoint.training["held_out_psnr_db"] == [[2, pytest.approx(end.psnr, abs=1e-3)]]
    assert not any(str(tmp_path) in text for text in (json.dumps(dict(checkpoint.training)), checkpoint.model))


def test_the_checkpoint_knows_the_range_of_the_doses(tmp_path):
    paths = [
        store(tmp_path / f"{n}.npy", rods((8, 16, 16)) + n / 1e3, acquisition={"photons": n, "views": 90})
        for n in (1e3, 4e3)
    ]
    train_on(
        paths, list(map(nudged, paths)), Recipe(**(SMALL | {"steps": 1})), Saving(output=tmp_path / "x", picture=False)
    )
    assert dict(Checkpoint.load(tmp_path / "x").acquisition) == {"views": 90, "photons_least": 1e3, "photons_most": 4e3}
    recipe = Recipe(**(SMALL | {"steps": 1}), pairs="lowdose(views=20, least=500, most=2000)")
    train_on(paths[:1], [], recipe, Saving(output=tmp_path / "y", picture=False))
    assert dict(Checkpoint.load(tmp_path / "y").acquisition) == {
        "views": 20,
        "photons_least": 500,
        "photons_most": 2000,
    }


def test_every_default_knob_is_written_out(pair, tmp_path):
    run(pair, tmp_path / "x", model="unet2d(width=4)", steps=1)
    assert Checkpoint.load(tmp_path / "x").model == "unet2d(width=4, scales=3)"


def test_attenuation_is_scaled_by_its_calibration(tmp_path):
    law = Calibration(250.0, -100.0, "test", pseudo=True)
    mu = law.attenuation(rods((8, 16, 16)))
    path = store(tmp_path / "mu.npy", mu, unit="1/cm", calibration=law)
    run((path, nudged(path)), tmp_path / "x", steps=1)
    checkpoint = Checkpoint.load(tmp_path / "x")
    assert checkpoint.normalisation.offset == pytest.approx(0.4)
    assert checkpoint.normalisation.scale == pytest.approx(4.8)
    assert checkpoint.pseudo


@pytest.mark.parametrize("larger", ["unet2d", "unet25d", "unet3d"])
def test_a_larger_network_begins_with_the_estimate_of_a_smaller_one(pair, tmp_path, larger):
    run(pair, tmp_path / "flat", model="unet2d(width=4, scales=2)", steps=8, rate=0.01)
    flat = Checkpoint.load(tmp_path / "flat")
    network = kit.bind("models", parse(f"{larger}(width=4, scales=2)"))()
    network.load_state_dict(inflated(flat.weights, network.state_dict()))
    small = kit.bind("models", parse(flat.model))()
    small.load_state_dict(dict(flat.weights))
    context = network.reach.slices
    volume = torch.rand(1, 3 + 2 * context, 16, 16)
    with torch.no_grad():
        inner = volume[:, context : context + 3]
        assert not torch.equal(small(inner), inner)
        torch.testing.assert_close(network(volume), small(inner), rtol=1e-5, atol=1e-6)
    start = {"start": tmp_path / "flat", "model": f"{larger}(width=4, scales=2)", "steps": 2}
    first = run(pair, tmp_path / "x", **start)
    assert first.psnr > first.psnr_input
    assert Checkpoint.load(tmp_path / "x").training["init_from_sha256"] == flat.digest


def test_weights_that_do_not_fit_are_refused(pair, tmp_path):
    run(pair, tmp_path / "flat", model="unet2d(width=4, scales=2)", steps=1)
    for model in ("unet2d(width=6, scales=2)", "unet2d(width=4, scales=3)", "redcnn(width=4)"):
        with pytest.raises(UsageError, match="cannot begin with"):
            run(pair, tmp_path / "x", model=model, start=tmp_path / "flat")
    low, clean = pair
    with pytest.raises(UsageError, match="belong to"):
        train_on([low], [clean], Recipe(**SMALL), Saving(output=tmp_path / "x", picture=False), normalisation=(1, 2),
              start=tmp_path / "flat", device_name="cpu")  # fmt: skip
    with pytest.raises(MissingInputError):
        run(pair, tmp_path / "x", start=tmp_path / "nothing")


def test_uncalibrated_values_need_a_scale(tmp_path):
    path = store(tmp_path / "grey.npy", rods((8, 16, 16)), unit="grey")
    with pytest.raises(UsageError, match="--scale"):
        run((path, nudged(path)), tmp_path / "x", steps=1)
    train_on(
        [path], [nudged(path)], Recipe(**(SMALL | {"steps": 1})), Saving(output=tmp_path / "x", picture=False),
        normalisation=(20, 180), device_name="cpu",
    )  # fmt: skip
    assert Checkpoint.load(tmp_path / "x").normalisation == Normalisation("grey", 20, 180)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_checkpoint(pair, tmp_path, monkeypatch):
    output = tmp_path / "x"
    from bonectl.losses import l2

    calls = iter(range(100))

    def poisoned(sample):
        value = (sample.estimate - sample.target).square().mean()
        return value * float("nan") if next(calls) >= 7 else value

    monkeypatch.setattr(l2, "l2", poisoned)
    with pytest.raises(UsageError, match="step 7: l2 is not finite"):
        run(pair, output, loss="l1 + l2", every=3)
    assert Checkpoint.load(output).steps == 6


def test_data_that_is_no_number_is_blamed_on_the_data(pair, tmp_path):
    _, clean = pair
    values = np.full((16, 32, 32), np.nan)
    with pytest.raises(DataError, match=r"nan.npy: 16384 values are NaN or infinite, the first at \(0, 0, 0\)"):
        run((store(tmp_path / "nan.npy", values), clean), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_an_existing_output_is_kept(pair, tmp_path):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(OutputError):
        run(pair, tmp_path / "x")
    assert (tmp_path / "x").read_text() == "mine"


def test_resume_wants_the_same_recipe_and_a_whole_file(pair, tmp_path):
    with pytest.raises(MissingInputError):
        run(pair, tmp_path / "x", resume=True)
    run(pair, tmp_path / "x", stop=after(1))
    with pytest.raises(UsageError, match="seed=0, not 1"):
        run(pair, tmp_path / "x", resume=True, seed=1)
    low, clean = pair
    with pytest.raises(UsageError, match="stacks"):
        run((clean, low), tmp_path / "x", resume=True)
    whole = (tmp_path / "x.resume").read_bytes()
    (tmp_path / "x.resume").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged"):
        run(pair, tmp_path / "x", resume=True)


@pytest.mark.parametrize("model", ["identity", "gaussian"])
def test_a_filter_has_nothing_to_train(pair, tmp_path, model):
    with pytest.raises(UsageError, match="nothing to train"):
        run(pair, tmp_path / "x", model=model)


def test_slices_smaller_than_the_pooling_are_refused(tmp_path):
    path = store(tmp_path / "tiny.npy", rods((8, 3, 3)))
    with pytest.raises(UsageError, match="fewer scales"):
        run((path, nudged(path)), tmp_path / "x", model="unet2d(width=2, scales=3)")


def test_one_slice_is_refused(tmp_path):
    path = store(tmp_path / "tiny.npy", rods((1, 16, 16)))
    with pytest.raises(UsageError, match="more slices"):
        run((path, nudged(path)), tmp_path / "x")


@pytest.mark.parametrize(
    "changes", [{"steps": 0}, {"batch": 0}, {"rate": 0}, {"rate": float("nan")}, {"held_out": 1}, {"average": -1}]
)
def test_recipes_that_cannot_be(changes):
    with pytest.raises(UsageError):
        Recipe(**changes)


def patches(recipe, shape=(16, 32, 32), context=1):
    numbers = np.broadcast_to(np.arange(shape[0], dtype=np.float32)[:, None, None], shape)
    volume = Volume(numbers, Header(shape=shape, unit="mgHA/cm3"), "numbers")
    pairing = supervised([volume], [volume])
    return Patches(pairing, Normalisation("mgHA/cm3", 0, 1), Reach(slices=context, pixels=2, grid=2), recipe)


def test_training_never_reads_a_held_out_slice():
    """Voxels are their slice number: training stays below the split, validation at or above it."""
    drawn = patches(Recipe(**SMALL, held_out=0.25), context=3)
    seen = np.concatenate([drawn(step).given.numpy().ravel() for step in range(60)])
    assert set(seen.astype(int)) == set(range(12))
    held = np.concatenate([batch.given.numpy().ravel() for _, batch in drawn.validation()])
    assert set(held.astype(int)) == set(range(12, 16))


def test_a_batch_depends_on_its_step_alone():
    recipe = Recipe(**SMALL)
    ahead = dict(zip(range(3, 9), patches(recipe).from_step(3, 9), strict=True))
    again = patches(recipe)
    for step in (8, 3, 5):
        assert torch.equal(again(step).given, ahead[step].given)
    assert not torch.equal(ahead[3].given, ahead[4].given)


def test_the_eight_symmetries_are_eight_and_lose_nothing():
    patch = np.arange(2 * 3 * 3, dtype=np.float32).reshape(2, 3, 3)
    turns = [turned(patch, symmetry) for symmetry in range(8)]
    assert len({turn.tobytes() for turn in turns}) == 8
    for turn in turns:
        assert sorted(turn[0].ravel()) == list(range(9))


def test_learning_rate_warms_up_and_falls_to_a_hundredth():
    recipe = Recipe(steps=1000, rate=1.0)
    rates = [recipe.learning_rate(step) for step in range(1000)]
    assert rates[0] == pytest.approx(1 / 50)
    assert max(rates) == rates[49] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.01, abs=1e-4)
    assert all(b <= a for a, b in pairwise(rates[50:]))


def test_tiff_is_unpacked_first(pair, tmp_path):
    from bonectl.io import tiff

    paths = []
    for path in pair:
        header, values = npy.mapped(path)
        paths.append(path.with_suffix(".tif"))
        with paths[-1].open("wb") as file:
            tiff.write(Stack.of(values, header), file)
    run(pair, tmp_path / "npy", steps=3)
    run(paths, tmp_path / "tif", steps=3)
    assert Checkpoint.load(tmp_path / "tif").digest == Checkpoint.load(tmp_path / "npy").digest


LAWS = {25: Calibration(301.0, -153.0, "25"), 60: Calibration(2928.0, -603.0, "60")}


@pytest.mark.parametrize("pairs", ["as pair", "as inputs", "noise2inverse(splits=2)"])
@pytest.mark.parametrize(
    "facts",
    [
        {"calibration": LAWS[60]},
        {"acquisition": {"energy_kev": 60}},
        {"spacing": (0.02, 0.02, 0.021)},
        {"unit": "grey"},
    ],
)
def test_stacks_that_mean_something_else_are_not_mixed(tmp_path, facts, pairs):
    """1/cm at 25 and at 60 keV: an estimate read -87 mgHA/cm3 where the input read 201."""
    known = {"unit": "1/cm", "calibration": None if "acquisition" in facts else LAWS[25]}
    known |= {"acquisition": {"energy_kev": 25}}
    one = store(tmp_path / "one.npy", rods() / 300, **known)
    other = store(tmp_path / "other.npy", rods() / 300, **known | facts)
    inputs, targets = {"as pair": ([one], [other]), "as inputs": ([one, other], [one, other])}.get(
        pairs, ([one, other], [])
    )
    recipe = Recipe(**SMALL | ({"pairs": pairs} if not targets else {}))
    with pytest.raises(UsageError) as failure:
        train_on(inputs, targets, recipe, Saving(output=tmp_path / "x"), normalisation=(0.0, 1.0))
    assert "one.npy" in str(failure.value)
    assert "other.npy" in str(failure.value)


def test_laws_that_differ_by_rounding_are_one(tmp_path):
    known = {"unit": "1/cm", "calibration": LAWS[25]}
    one = store(tmp_path / "one.npy", rods() / 300, **known)
    other = store(
        tmp_path / "other.npy", rods() / 300 + 1, **known | {"calibration": Calibration(301.01, -153.0, "25")}
    )
    train_on([one], [other], Recipe(**SMALL | {"steps": 1}), Saving(output=tmp_path / "x", picture=False))
    assert Checkpoint.load(tmp_path / "x").calibrated


def test_values_beyond_float32_are_refused(pair, tmp_path):
    low, clean = pair
    values = np.load(low).astype(np.float64)
    values[:, 5, 7] = 1e300
    header = npy.mapped(low)[0].replace(dtype="<f8")
    with (tmp_path / "big.npy").open("wb") as file:
        npy.write(Stack.of(values, header), file)
    with pytest.raises(DataError, match=r"big.npy: 1e\+300 is beyond float32"):
        run((tmp_path / "big.npy", clean), tmp_path / "x", patch=32)


def test_a_flipped_bit_anywhere_in_the_state_is_noticed(pair, tmp_path):
    run(pair, tmp_path / "x", stop=after(2))
    whole = (tmp_path / "x.resume").read_bytes()
    for place in np.linspace(0, len(whole) - 1, 12).astype(int):
        flipped = bytearray(whole)
        flipped[place] ^= 4
        (tmp_path / "x.resume").write_bytes(flipped)
        with pytest.raises(DataError, match="damaged"):
            run(pair, tmp_path / "x", resume=True)
    (tmp_path / "x.resume").write_bytes(whole)
    assert run(pair, tmp_path / "x", resume=True).finished


@pytest.mark.parametrize(
    "change",
    [
        {"identity": "[]"}, {"identity": "{"}, {"step": -1}, {"step": 13}, {"step": "x"}, {"history": 3},
        {"patience": []}, {"network": {}}, {"average": 3}, {"optimiser": {}}, {"optimiser": {"state": {}}},
    ],
)  # fmt: skip
def test_a_hostile_state_is_refused(pair, tmp_path, change):
    run(pair, tmp_path / "x", stop=after(2))
    reseal(tmp_path / "x.resume", lambda state: state | change)
    with pytest.raises(DataError, match="damaged"):
        run(pair, tmp_path / "x", resume=True)


def reseal(path, change):
    whole = io.BytesIO()
    torch.save(change(loaded(path, torch.device("cpu"))), whole)
    path.write_bytes(resume_file._seal(whole.getbuffer()) + whole.getvalue())


@pytest.mark.parametrize("name", ["settings", "shapes"])
def test_an_optimiser_of_something_else_is_refused(pair, tmp_path, name):
    def change(state):
        if name == "settings":
            state["optimiser"]["param_groups"][0]["betas"] = (0.5, 0.5)
        else:
            state["optimiser"]["state"][0]["exp_avg"] = torch.zeros(3)
        return state

    run(pair, tmp_path / "x", stop=after(2))
    reseal(tmp_path / "x.resume", change)
    with pytest.raises(DataError, match="damaged"):
        run(pair, tmp_path / "x", resume=True)


def test_a_shortage_of_memory_is_told_with_what_helps(pair, tmp_path, monkeypatch):
    def starved(learner, batch):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: 3 bytes")

    monkeypatch.setattr("bonectl.training.learner.Learner.advance", starved)
    with pytest.raises(MemoryShortageError, match="smaller --batch"):
        run(pair, tmp_path / "x")


@pytest.mark.parametrize("seed", [-1, 2**64, 10**400])
def test_seeds_that_cannot_be(seed):
    with pytest.raises(UsageError, match="below 2"):
        Recipe(seed=seed)


def test_a_finished_run_is_prolonged_by_the_schedule_of_the_new_length(pair, tmp_path):
    """It was refused: a resumed run needed the same recipe, and its length was part of that."""
    recipe = {"loss": "l1 + l2@75%", "every": 6}
    run(pair, tmp_path / "x", **recipe, steps=6)
    with made.heard() as heard:
        end = run(pair, tmp_path / "x", **recipe, steps=12, resume=True)
    assert (end.finished, end.steps) == (True, 12)
    wanted = Recipe(**(SMALL | {"steps": 12})).learning_rate(6)
    (said,) = (note for note in heard if "goes on" in note)
    assert said.startswith("the run of 6 steps goes on from step 6 by the schedule of 12: cosine of the rate")
    assert said.endswith(f"; the rate goes on at {wanted:.3g}")
    with (tmp_path / "x.csv").open() as file:
        rows = list(csv.DictReader(file))
    rates = [float(row["learning rate"]) for row in rows]
    assert rates[:6] == [Recipe(**(SMALL | {"steps": 6})).learning_rate(step) for step in range(6)]
    assert rates[6:] == [Recipe(**(SMALL | {"steps": 12})).learning_rate(step) for step in range(6, 12)]
    assert [row["l2"] == "" for row in rows] == [step in (0, 1, 2, 3, 4, 6, 7, 8) for step in range(12)]
    assert Checkpoint.load(tmp_path / "x").training["lengths"] == [[0, 6], [6, 12]]


def test_a_prolonged_run_can_be_interrupted_and_a_run_is_not_shortened_to_before_its_end(pair, tmp_path):
    run(pair, tmp_path / "x", steps=4)
    (tmp_path / "y").write_bytes((tmp_path / "x").read_bytes())
    for part in (".resume", ".csv"):
        (tmp_path / f"y{part}").write_bytes((tmp_path / f"x{part}").read_bytes())
    run(pair, tmp_path / "x", steps=9, resume=True)
    run(pair, tmp_path / "y", steps=9, resume=True, stop=after(3))
    run(pair, tmp_path / "y", steps=9, resume=True)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    with pytest.raises(UsageError, match="has 9 steps behind it already; give --steps 9 or more"):
        run(pair, tmp_path / "x", steps=4, resume=True)


def test_a_failure_in_the_loop_saves_the_last_whole_step(pair, tmp_path, monkeypatch):
    """Steps since the last checkpoint were lost."""
    run(pair, tmp_path / "whole", every=6)
    advance, fails = Learner.advance, {8}

    def failing(learner, batch):
        if learner.step in fails:
            raise UnavailableError("the weights are not there")
        return advance(learner, batch)

    monkeypatch.setattr(Learner, "advance", failing)
    with made.heard() as heard, pytest.raises(UnavailableError):
        run(pair, tmp_path / "parts", every=6)
    assert heard[-1] == "step 8 is saved, and --resume goes on from there"
    assert loaded(tmp_path / "parts.resume", torch.device("cpu"))["step"] == 8
    fails.clear()
    run(pair, tmp_path / "parts", every=6, resume=True)
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize(
    ("loss", "error"),
    [
        ("l1 + vgg(weights='nothing-00000000.pth')@50%", MissingInputError),
        ("l1 + encoder@50%", UnavailableError),
        ("l1 + msssim@50%", UsageError),
        ("l1 + gan(layers=3)@50%", UsageError),
    ],
)
def test_a_term_that_begins_late_fails_at_once(pair, tmp_path, monkeypatch, loss, error):
    """It failed halfway."""
    monkeypatch.delenv("BONECTL_ENCODER_WEIGHTS", raising=False)
    monkeypatch.setattr(Learner, "advance", lambda *_: pytest.fail("a step was taken"))
    with pytest.raises(error):
        run(pair, tmp_path / "x", loss=loss)


def test_a_term_that_never_acts_is_refused(pair, tmp_path):
    with pytest.raises(UsageError, match="l2 never acts within 12 steps"):
        run(pair, tmp_path / "x", loss="l1 + l2@100%")


def test_a_share_of_held_out_slices_that_leaves_none_is_named(pair, tmp_path):
    """It said that a stack of one slice cannot be trained on."""
    with pytest.raises(UsageError, match=r"--held-out 0.99 leaves none of 16 slices to train on; give a smaller share"):
        run(pair, tmp_path / "x", held_out=0.99)


def test_patches_that_do_not_fit_are_told_as_they_are_taken(pair, tmp_path):
    with made.heard() as heard:
        run(pair, tmp_path / "x", patch=50, steps=1)
    assert "patches are 32 pixels wide, not 50: slices have 32, and the model pools 2" in heard


def test_the_checkpoint_holds_data_and_loss_weights_by_their_digests(pair, tmp_path):
    run(pair, tmp_path / "x", loss="l1 + 0.0001*vgg(slices=1)", steps=1)
    training = Checkpoint.load(tmp_path / "x").training
    assert training["loss_weights_sha256"] == {"vgg(slices=1)": hashlib.sha256(SHIPPED.read_bytes()).hexdigest()}
    assert [len(digest) for digest in training["stacks_sha256"]] == [64, 64]
    noise = training["level"]["noise_median"] * 1200
    assert noise == pytest.approx(300, rel=0.25)


@pytest.mark.parametrize(
    ("factor", "sd", "said"),
    [
        (1, 300, None),
        (1000, 300, "warning: values reach"),
        (1 / 1000, 300, "warning: values reach"),
        (1, 1200, "warning: the noise has a deviation of about"),
        (1, 0, "warning: the noise has a deviation of about"),
    ],
)
def test_data_far_from_those_of_training_are_told_when_they_have_passed(trained_once, factor, sd, said):
    """Only headers were compared: values a thousand times off went through without a word."""
    values = factor * (rods() + np.random.default_rng(7).normal(0, sd, rods().shape))
    with made.heard() as heard:
        denoise(stack(values.astype(np.float32)), trained_once, device_name="cpu").collect()
    assert [note.startswith(said or "-") for note in heard] == [True] * (said is not None)


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    clean = 1000.0 * np.kron(np.random.default_rng(1).integers(2, size=(16, 2, 2)), np.ones((1, 16, 16)))
    run(noisy_and_clean(folder, clean, 300), folder / "x", steps=1)
    return trained(folder / "x")
