"""`measure`: what is asked for, what is refused, and that no way of asking changes a number."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from tests.made import numbers, stack, unread

from bonectl.core.calibration import Calibration
from bonectl.core.header import SINOGRAMS, Header
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.ops.measure import measure

STREAMED = "bvtv + surface + euler + smi"


def bone(shape=(36, 30, 33), seed=0, noise=30.0):
    rng = np.random.default_rng(0)
    mask = gaussian_filter(rng.normal(size=shape), 2.5) > 0.08
    grey = gaussian_filter(np.where(mask, 1050.0, 0.0), 0.7)
    return (grey + np.random.default_rng(seed).normal(0, noise, shape)).astype(np.float32)


# ---- one number, however asked --------------------------------------------------------------------------------


@pytest.mark.parametrize("slab", [1, 5, 17, 99])
def test_slabs_change_nothing(slab):
    names = f"{STREAMED} + bmd + tmd"
    assert measure(stack(bone(), slab=slab), metrics=names).to_tsv() == measure(stack(bone()), metrics=names).to_tsv()


def test_streaming_gives_what_holding_gives():
    streamed = measure(stack(bone()), metrics=f"{STREAMED} + bmd + tmd", threshold=500)
    held = measure(stack(bone()), metrics=f"{STREAMED} + bmd + tmd + components", threshold=500)
    assert numbers(streamed) == {k: v for k, v in numbers(held).items() if k in numbers(streamed)}


def test_streaming_pulls_no_slab_ahead():
    """Bounded memory: when a slab is asked for, those before the last block are gone."""
    import weakref

    array, alive, most = bone((96, 24, 24)), [], 0

    def slabs():
        nonlocal most
        for start in range(0, 96, 4):
            piece = array[start : start + 4].copy()
            alive.append(weakref.ref(piece))
            yield piece
            del piece
            most = max(most, sum(ref() is not None for ref in alive))

    measure(Stack(stack(array).header, slabs()), metrics=STREAMED)
    assert most <= 8  # two blocks of 16 slices


def test_a_mask_and_its_volume_have_the_same_numbers():
    grey = bone()
    mask = (grey > 525).astype(np.uint8) * 255
    names = f"{STREAMED} + components + connd + tbth(convention=bonej)"
    assert numbers(measure(stack(mask, "label"), metrics=names)) == numbers(measure(stack(grey), metrics=names))


def test_attenuation_with_a_calibration_is_measured_as_density():
    law = Calibration(slope=300.0, intercept=-150.0, source="energy(kev=25)")
    grey = bone()
    table = measure(stack(law.attenuation(grey), "1/cm", calibration=law), metrics="bmd + bvtv")
    assert table["bmd"] == pytest.approx(grey.mean(), rel=1e-4)
    assert table.conditions["unit"] == "mgHA/cm3"
    assert table.conditions["calibration"] == "energy(kev=25)"


def test_a_pseudo_calibration_says_so():
    law = Calibration(slope=1.0, intercept=0.0, source="peaks", pseudo=True)
    assert "pseudo" in measure(stack(bone(), calibration=law), metrics="bvtv").conditions["calibration"]


# ---- thresholds -----------------------------------------------------------------------------------------------


def test_the_threshold_and_its_rule_are_always_told():
    for threshold, rule in ((None, "midpoint"), (400, "fixed"), ("400", "fixed"), ("otsu(sigma=1)", "otsu")):
        conditions = measure(stack(bone()), metrics="bvtv", threshold=threshold).conditions
        assert conditions["threshold_rule"].startswith(rule)
        assert np.isfinite(conditions["threshold"])
        assert conditions["threshold_unit"] == "mgHA/cm3"
    assert measure(stack(bone()), metrics="bvtv", threshold="400").conditions["threshold"] == 400


def test_the_threshold_of_the_reference_holds_for_both():
    clean, noisy = bone(noise=5), bone(seed=1, noise=200)
    table = measure(
        stack(noisy, "grey"), reference=stack(clean, "grey"), metrics="bvtv", threshold="reference(sigma=0)"
    )
    own = measure(stack(clean, "grey"), metrics="bvtv", threshold="otsu")
    assert table.conditions["threshold"] == table.conditions["reference_threshold"] == own.conditions["threshold"]
    assert table.row("bvtv").reference == own["bvtv"]
    assert "reference" in table.conditions["threshold_rule"]
    default = measure(stack(noisy, "grey"), reference=stack(clean, "grey"), metrics="bvtv")
    assert default.conditions["threshold"] == own.conditions["threshold"]


def test_otsu_with_a_reference_is_of_each():
    clean, noisy = bone(noise=5), bone(seed=1, noise=200)
    table = measure(stack(noisy), reference=stack(clean), metrics="bvtv", threshold="otsu")
    assert table.conditions["threshold"] != table.conditions["reference_threshold"]


def test_a_mask_may_be_cut_at_a_value():
    labels = np.zeros((6, 6, 6), np.uint8)
    labels[1:3], labels[3:5] = 1, 2
    assert measure(stack(labels, "label"), metrics="bvtv")["bv_voxels"] == 144
    assert measure(stack(labels, "label"), metrics="bvtv", threshold=1)["bv_voxels"] == 72


def test_a_grey_volume_against_a_mask():
    grey = bone()
    mask = (grey > 525).astype(np.uint8)
    table = measure(stack(grey), reference=stack(mask, "label"), metrics="bvtv + dice", threshold=525)
    assert (table["dice"], table.row("bvtv").difference) == (1, 0)
    table = measure(stack(mask, "label"), reference=stack(grey), metrics="bvtv + dice")
    assert (table["dice"], table.row("bvtv").difference) == (1, 0)


# ---- volume of interest ---------------------------------------------------------------------------------------


def test_the_cylinder_is_the_inscribed_one():
    labels = np.ones((4, 41, 41), np.uint8)
    labels[0] = 0
    table = measure(stack(labels, "label"), metrics="bvtv", mask="cylinder")
    assert table["bvtv"] == 0.75
    assert table["tv"] == pytest.approx(np.pi * (20.5 * 0.02) ** 2 * 0.08, rel=0.01)
    assert table.conditions["volume_of_interest"] == "cylinder"


@pytest.mark.parametrize("names", ["bvtv + euler", "bvtv + euler + components"])
def test_a_mask_bounds_the_volume_streaming_or_not(names):
    grey = bone()
    inside = np.zeros(grey.shape, np.uint8)
    inside[5:30, 4:20] = 7
    table = measure(stack(grey), metrics=names, mask=stack(inside, "label"))
    assert table["tv"] == pytest.approx(25 * 16 * 33 * 0.02**3)
    assert table["bv_voxels"] == np.count_nonzero((grey > 525) & (inside > 0))
    cropped = measure(stack(grey[5:30, 4:20]), metrics=names)
    assert (table["chi"], table["dchi"]) == (cropped["chi"], cropped["dchi"])


# ---- comparison -----------------------------------------------------------------------------------------------


def test_everything_the_data_allow_is_measured_by_default():
    table = measure(stack(bone()), reference=stack(bone(seed=1)))
    names = set(numbers(table))
    assert {"bvtv", "bs", "chi", "components", "connd", "tbth", "tbsp", "tbn", "smi", "da", "bmd", "tmd"} <= names
    assert {"psnr", "ssim", "dice", "bmd_distance"} <= names
    assert all(row.reference is not None for row in table.rows if row.number.name in {"bvtv", "chi", "tbth", "tmd"})
    assert all(row.reference is None for row in table.rows if row.number.name in {"psnr", "ssim", "dice"})
    assert {h.name for h in table.histograms} == {"bmd", "tmd"}


def test_a_volume_against_itself_has_no_error():
    table = measure(stack(bone()), reference=stack(bone()), metrics=f"{STREAMED} + connd + tmd + dice + ssim")
    assert all(row.difference == 0 for row in table.rows if row.reference is not None)
    assert table["dice"] == 1


def test_what_the_data_do_not_allow_is_left_out_unless_asked_for():
    flat = stack(bone(), "grey", spacing=(0.04, 0.02, 0.02))
    assert "tbth" not in numbers(measure(flat))
    with pytest.raises(UsageError, match="needs cubic voxels"):
        measure(stack(bone(), "grey", spacing=(0.04, 0.02, 0.02)), metrics="tbth")


def test_known_answers_stand_beside():
    table = measure(stack(bone(), answers={"bvtv": 0.25, "connd_per_mm3": 3.0}), metrics="bvtv + connd")
    assert (table.row("bvtv").reference, table.row("connd").reference) == (0.25, 3.0)
    assert table.reference


# ---- refused --------------------------------------------------------------------------------------------------


def scan(unit="line integral"):
    header = Header(shape=(4, 5, 6), axes=SINOGRAMS, unit=unit)
    return Stack.of(np.zeros((4, 5, 6), np.float32), header)


PLAIN = Header(shape=(4, 5, 6), spacing=(0.02,) * 3, unit="mgHA/cm3")


@pytest.mark.parametrize(
    ("header", "options", "message"),
    [
        (scan().header, {}, "reconstruct"),
        (PLAIN.replace(unit="counts"), {}, "counts"),
        (PLAIN.replace(spacing=(None,) * 3), {}, "--voxel-size"),
        (PLAIN, {"metrics": "bvtf"}, "did you mean 'bvtv'"),
        (PLAIN, {"metrics": "tbth(rule=1)"}, "no knob 'rule'"),
        (PLAIN, {"metrics": "2*bvtv"}, "no weight"),
        (PLAIN, {"metrics": "psnr"}, "give --reference"),
        (PLAIN, {"threshold": "otzu"}, "did you mean 'otsu'"),
        (PLAIN, {"threshold": "reference"}, "needs a --reference"),
        (PLAIN.replace(unit="label"), {"threshold": "otsu"}, "cut at a value"),
        (PLAIN, {"mask": "sphere"}, "cylinder"),
        (PLAIN, {"mask": unread(PLAIN.replace(shape=(4, 5, 7), unit="label"))}, r"\(4, 5, 7\)"),
        (PLAIN, {"reference": unread(PLAIN.replace(shape=(4, 5, 7)))}, r"\(4, 5, 7\)"),
        (PLAIN, {"reference": unread(PLAIN.replace(unit="1/cm"))}, "bring both to one unit"),
        (PLAIN, {"reference": unread(PLAIN.replace(spacing=(0.03,) * 3))}, "0.03 mm along z"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_before_a_voxel_is_read(header, options, message):
    with pytest.raises(UsageError, match=message):
        measure(unread(header), **options)


NAMES = ["bvtv", "bvtv + components"]


@pytest.mark.parametrize("names", NAMES)
def test_a_volume_without_bone_is_refused(names):
    with pytest.raises(DataError, match=r"holds no bone: no voxel is > 525 mgHA/cm3"):
        measure(stack(np.zeros((4, 5, 6), np.float32)), metrics=names)
    with pytest.raises(DataError, match="holds no bone"):
        measure(stack(np.zeros((4, 5, 6), np.uint8), "label"), metrics=names)


@pytest.mark.parametrize("names", NAMES)
def test_a_volume_of_nothing_but_bone_is_refused(names):
    with pytest.raises(DataError, match="nothing but bone"):
        measure(stack(np.full((4, 5, 6), 900, np.float32)), metrics=names)


@pytest.mark.parametrize("names", NAMES)
def test_an_empty_mask_is_refused(names):
    with pytest.raises(DataError, match="mask is empty"):
        measure(stack(bone()), metrics=names, mask=stack(np.zeros((36, 30, 33), np.uint8), "label"))


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_with_their_place(names, wrong):
    grey = bone()
    grey[20, 3, 4] = wrong
    with pytest.raises(DataError, match=r"the first at \(20, 3, 4\)"):
        measure(stack(grey), metrics=names)


def test_an_empty_reference_is_named():
    with pytest.raises(DataError, match="the reference holds no bone"):
        measure(stack(bone()), reference=stack(np.zeros((36, 30, 33), np.float32)), metrics="bvtv")


def test_one_bone_voxel_has_numbers():
    grey = np.zeros((12, 12, 12), np.float32)
    grey[5, 6, 7] = 1000
    table = measure(stack(grey))
    assert (table["bv_voxels"], table["chi"], table["components"], table["conn"]) == (1, 1, 1, 0)
    assert 0 < table["tbth"] <= 0.04


def test_a_single_voxel_is_refused():
    with pytest.raises(DataError, match="nothing but bone"):
        measure(stack(np.full((1, 1, 1), 1000, np.float32)), metrics="bvtv")


def test_a_volume_cut_short_is_refused():
    header = stack(bone()).header
    for names in NAMES:
        with pytest.raises(DataError, match="slices"):
            measure(Stack(header, iter([bone()[:20]])), metrics=names)


# ---- trust ----------------------------------------------------------------------------------------------------


def test_a_noisy_volume_is_not_to_be_trusted():
    table = measure(stack(bone(noise=400.0)), metrics="components + connd + tbth + tbsp")
    assert any("specks and" in line for line in table.warnings)
    assert table.to_json()["warnings"] == list(table.warnings)


def test_a_mask_with_an_empty_shell_is_not_to_be_trusted_streamed_or_held():
    mask = np.pad(gaussian_filter(np.random.default_rng(0).normal(size=(40, 40, 40)), 2.0) > 0, 1).astype(np.uint8)
    for names in ("bvtv", "bvtv + components"):
        assert any(
            "--crop 1:-1,1:-1,1:-1" in line for line in measure(stack(mask, unit="label"), metrics=names).warnings
        )
        assert measure(stack(mask[1:-1, 1:-1, 1:-1], unit="label"), metrics=names).warnings == ()


def test_the_width_is_that_of_the_volume_of_interest():
    """Plates 4 thick, 8 apart: 60 voxels are wide enough, the inner 36 of a mask are not; its walls cut no gap."""
    mask = np.zeros((60, 60, 60), np.uint8)
    for start in range(2, 60, 12):
        mask[start : start + 4] = 1
    inside = np.zeros_like(mask)
    inside[:, 12:48] = 1
    assert not measure(stack(mask, "label"), metrics="tbsp").warnings
    assert (
        "Tb.Sp wide, under 5" in measure(stack(mask, "label"), metrics="tbsp", mask=stack(inside, "label")).warnings[0]
    )
