"""Distillation: what teachers say is what `denoise` gives, it is what is learned, and the network comes near to it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from tests.made import after, bar, noisy_and_clean, train_on

from bonectl.core.calibration import Calibration
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.io import npy
from bonectl.learning.checkpoint import Checkpoint
from bonectl.learning.sample import Patch
from bonectl.ops import teaching, train
from bonectl.ops.denoise import denoise, trained
from bonectl.training.lessons import Taught
from bonectl.training.recipe import Recipe
from bonectl.training.request import Request
from bonectl.training.saving import Saving

SMALL = {"model": "unet2d(width=8, scales=1)", "batch": 2, "patch": 16, "rate": 0.01}
TWO = ("gaussian(sigma=0.7)", "gaussian(sigma=1.5)")


@pytest.fixture
def pair(tmp_path):
    return noisy_and_clean(tmp_path, bar(), 200)


def learned(pair, output, steps=2, *, recipe=None, **asked):
    """The checkpoint of a run on one pair."""
    noisy, clean = pair
    train_on(
        [noisy], [clean], Recipe(**SMALL, steps=steps, **(recipe or {})), Saving(output=output, picture=False), **asked
    )
    return Checkpoint.load(output)


def request(pair, tmp_path, **asked):
    noisy, clean = pair
    saving = Saving(output=tmp_path / "x.safetensors", picture=False)
    return Request(inputs=(noisy,), targets=(clean,), recipe=Recipe(**SMALL), saving=saving, **asked)


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_what_is_learned_is_the_mean_of_the_teachers_and_the_share_of_the_target(pair, tmp_path, share):
    asked = request(pair, tmp_path, teachers=TWO, teacher_share=share)
    low, clean = (npy.mapped(path)[1] for path in pair)
    said = np.mean([gaussian_filter(low.astype(float), s, mode="nearest", truncate=4) for s in (0.7, 1.5)], axis=0)
    place = Patch(volume=0, first=3, depth=4, row=8, column=5, side=16, begin=0, end=10)
    with train._planned(asked) as (plan, models, inputs), teaching.taught(plan, models, inputs) as taught:
        given, target = Taught(taught.source, taught.lessons).cut(place, 1, np.random.default_rng(0))
    inner = (slice(3, 7), slice(8, 24), slice(5, 21))
    np.testing.assert_allclose(target, share * said[inner] + (1 - share) * clean[inner], atol=0.01)
    np.testing.assert_array_equal(given, low[2:8, 8:24, 5:21])


def test_the_network_comes_near_to_a_teacher_of_its_form_and_is_judged_by_the_targets(pair, tmp_path):
    teacher = learned(pair, tmp_path / "teacher.safetensors", 60)
    pupil = learned(
        pair, tmp_path / "pupil.safetensors", 300, recipe={"seed": 5}, teachers=(str(tmp_path / "teacher.safetensors"),)
    )
    header, low = npy.mapped(pair[0])
    whole = [
        denoise(Stack.of(np.asarray(low), header), trained(tmp_path / f"{name}.safetensors")).collect()
        for name in ("teacher", "pupil")
    ]
    apart, changed = (float(np.sqrt(np.square(other - whole[0]).mean())) for other in (whole[1], low))
    assert apart < 0.3 * changed  # and the teacher is half as far from the target as the input from the teacher
    assert pupil.training["teachers"] == [teacher.model]
    assert pupil.training["teachers_sha256"] == [teacher.digest]
    before = [one.training["held_out_psnr_input_db"] for one in (teacher, pupil)]
    assert before[0] == before[1]  # of the input, beside the true target


def test_teachers_leave_the_checkpoint_of_others_as_it_was(pair, tmp_path):
    assert not [key for key in learned(pair, tmp_path / "x.safetensors").training if key.startswith("teacher")]


def test_a_resumed_run_gives_the_same_bytes_and_wants_the_same_teachers(pair, tmp_path):
    whole = learned(pair, tmp_path / "a.safetensors", 6, teachers=TWO)
    noisy, clean = pair
    recipe = Recipe(**SMALL, steps=6)
    output = tmp_path / "b.safetensors"
    train_on([noisy], [clean], recipe, Saving(output=output, picture=False), stop=after(3), teachers=TWO)
    on = Saving(output=output, picture=False, resume=True)
    for other in ({"teachers": TWO[:1]}, {"teachers": TWO, "teacher_share": 0.5}, {}):
        with pytest.raises(UsageError, match="teacher"):
            train_on([noisy], [clean], recipe, on, **other)
    train_on([noisy], [clean], recipe, on, teachers=TWO)
    assert output.read_bytes() == (tmp_path / "a.safetensors").read_bytes()
    assert whole.training["teacher_share"] == 1.0


def test_a_dry_run_names_the_teachers_and_counts_them(pair, tmp_path):
    facts, cost = train.estimated(request(pair, tmp_path, teachers=TWO))
    assert [name.partition("(")[0] for name in facts["teachers"]] == ["gaussian", "gaussian"]
    assert cost.scratch_bytes == bar().nbytes
    assert not (tmp_path / "x.safetensors").exists()


def test_teachers_of_another_unit_or_scale_are_refused(pair, tmp_path):
    (tmp_path / "cm").mkdir()
    law = Calibration(2000.0, -500.0, "linear", pseudo=False)
    learned(
        noisy_and_clean(tmp_path / "cm", bar() / 1000, 0.2, unit="1/cm", calibration=law), tmp_path / "cm.safetensors"
    )
    learned(pair, tmp_path / "half.safetensors", normalisation=(0.0, 600.0))
    for name, said in (
        ("cm", "the input is in mgHA/cm3, but .* on 1/cm"),
        ("half", "trained on 0 to 600 .* 0 to 1200"),
    ):
        with pytest.raises(UsageError, match=f"teacher unet2d.*{said}"):
            learned(pair, tmp_path / "x.safetensors", teachers=(str(tmp_path / f"{name}.safetensors"),))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"teachers": TWO, "teacher_share": 0.0}, "more than 0, and at most 1"),
        ({"teachers": ("unet2d",)}, "must be trained first"),
        ({"teachers": ("gausian",)}, "did you mean 'gaussian'"),
        ({"teachers": TWO, "recipe": {"pairs": "noise2self"}}, "leave out --pairs"),
    ],
)
def test_what_cannot_teach_is_refused(pair, tmp_path, asked, said):
    with pytest.raises(UsageError, match=said):
        learned(pair, tmp_path / "x.safetensors", **asked)


def test_stacks_of_several_voxel_sizes_are_learned_from_only_when_asked(tmp_path):
    paths = []
    for number, side in enumerate((0.02, 0.06)):
        (tmp_path / str(number)).mkdir()
        paths += [noisy_and_clean(tmp_path / str(number), bar() + number, 200, spacing=(side,) * 3)]
    noisy, clean = zip(*paths, strict=True)
    recipe, saving = Recipe(**SMALL, steps=2), Saving(output=tmp_path / "x.safetensors", picture=False)
    with pytest.raises(UsageError, match="of the same voxels"):
        train_on(noisy, clean, recipe, saving)
    train_on(noisy, clean, recipe, saving, of_any_voxels=True)
    made = Checkpoint.load(saving.output)
    assert (made.spacing, made.training["voxel_mm"]) == ((None, None, None), [0.02, 0.06])
