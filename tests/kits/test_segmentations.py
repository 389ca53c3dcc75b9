"""Thresholds: given, half-way, Otsu's; the published one to its digits."""

import numpy as np
import pytest
import tifffile
from skimage.filters import threshold_otsu

from bonectl.core import kit
from bonectl.core.spec import parse
from bonectl.errors import DataError, UsageError
from bonectl.morphology.threshold import Volume


def segmentation(text):
    return kit.bind("segmentations", parse(text))


def two_classes(dtype=np.float32):
    rng = np.random.default_rng(0)
    values = np.where(rng.random((20, 20, 20)) < 0.2, 180, 50) + rng.normal(0, 12, (20, 20, 20))
    return values.clip(0, 255).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_otsu_is_scikit_images(dtype):
    """Between two classes with nothing between them it lies in the middle, scikit-image's at the lower one."""
    values = two_classes(dtype)
    cut = segmentation("otsu")(Volume(values, "grey"))
    lowest, gap = threshold_otsu(values), values[values > threshold_otsu(values)].min()
    assert cut.value == pytest.approx((lowest + gap) / 2, abs=0.5)
    assert np.count_nonzero(cut.bone(values)) == np.count_nonzero(values > lowest)
    dense = values[values < 60].astype(np.float64)[:2000, None, None]
    if dtype in (np.float32, np.float64):
        assert segmentation("otsu")(Volume(dense, "grey")).value == pytest.approx(threshold_otsu(dense), rel=1e-12)
    else:  # halfway to the next level
        assert segmentation("otsu")(Volume(dense, "grey")).value == threshold_otsu(dense.astype(int)) + 0.5


def test_otsu_looks_only_inside_the_volume_of_interest():
    values = two_classes()
    voi = np.ones(values.shape, bool)
    voi[:, :, 10:] = False
    values[:, :, 10:] = 1e4
    cut = segmentation("otsu")(Volume(values, "grey", voi))
    assert cut.value == segmentation("otsu")(Volume(values[:, :, :10].copy(), "grey")).value


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("lhdl3155_trabecular_19p5um_u8.tif", 80.92566),
        ("lhdl2923_cylinder_z000-256_19p5um_u8.tif", 75.8765563570748),
    ],
)
def test_otsu_after_a_gaussian_gives_the_published_thresholds_and_masks(shared_data, name, published):
    values = tifffile.imread(shared_data / name)
    cut = segmentation("otsu(sigma=1)")(Volume(values, "grey"))
    assert cut.value == pytest.approx(published, rel=2e-7)  # filtered in float32, published from float64
    mask = tifffile.imread(
        shared_data
        / name.replace("_trabecular_19p5um_u8", "_mask_gauss1_otsu").replace("_19p5um_u8", "_mask_gauss1_otsu")
    )
    inner = (slice(4, -4),) * 3  # the published filter continues the border by another rule
    assert np.count_nonzero((cut.bone(values) != (mask > 0))[inner]) <= 1


def test_midpoint_is_half_way_and_needs_mineral_density():
    assert segmentation("midpoint")("mgHA/cm3").value == 525
    assert segmentation("midpoint(marrow=-50, bone=950)")("mgHA/cm3").value == 450
    with pytest.raises(UsageError, match="needs mineral density"):
        segmentation("midpoint")("1/cm")
    with pytest.raises(UsageError, match="bone must be the denser"):
        segmentation("midpoint(marrow=900, bone=100)")("mgHA/cm3")


def test_a_voxel_of_exactly_the_threshold_is_marrow():
    cut = segmentation("fixed(value=3)")("grey")
    assert cut.bone(np.array([[[2, 3, 4]]])).tolist() == [[[False, False, True]]]


def test_nonsense_is_refused():
    with pytest.raises(DataError, match="every value is 7"):
        segmentation("otsu")(Volume(np.full((3, 3, 3), 7.0), "grey"))
    with pytest.raises(UsageError, match="at least 2"):
        segmentation("otsu(bins=1)")(Volume(two_classes(), "grey"))
    with pytest.raises(UsageError, match="finite"):
        kit.load("segmentations", "fixed")("grey", value=float("nan"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16, np.int32, np.uint32])
@pytest.mark.parametrize("hot", [1, 3])
def test_a_hot_voxel_moves_no_threshold(dtype, hot):
    """One of 32 thousand at the end of the type set it to half the range: no bone, or all of it."""
    rng = np.random.default_rng(1)
    values = (np.where(rng.random((32, 32, 32)) < 0.25, 200, 100) + rng.normal(0, 10, (32, 32, 32))).astype(dtype)
    clean = segmentation("otsu")(Volume(values, "grey"))
    values[tuple(rng.integers(0, 32, (3, hot)))] = np.iinfo(dtype).max if np.dtype(dtype).kind != "f" else 1e7
    cut = segmentation("otsu")(Volume(values, "grey"))
    assert cut.value == pytest.approx(clean.value, rel=0.05)
    assert cut.bone(values).mean() == pytest.approx(0.25, abs=0.01)
    assert "left out" in cut.rule
    assert not cut.doubts


def test_a_class_that_is_next_to_empty_is_said():
    values = two_classes()
    values[0, 0, :12] = 1e5  # 0.15 %, too many to be left out
    assert "extreme values" in segmentation("otsu")(Volume(values, "grey")).doubts[0]
    assert not segmentation("otsu")(Volume(two_classes(), "grey")).doubts


@pytest.mark.parametrize(("low", "high"), [(-128, 127), (0, 1), (-1, 0)])
def test_signed_levels_have_their_middle(low, high):
    values = np.where(two_classes() > 110, high, low).astype(np.int8)
    cut = segmentation("otsu")(Volume(values, "grey"))
    assert cut.value == (low + high) / 2
    assert np.array_equal(cut.bone(values), values == high)


def test_whole_numbers_have_their_threshold_whatever_their_type():
    values = two_classes(np.uint8)
    values[3, 3, 3:7] = (100, 120, 90, 130)
    one = segmentation("otsu")(Volume(values, "grey")).value
    for other in (np.int16, np.uint32, np.float32, np.float64):
        assert segmentation("otsu")(Volume(values.astype(other), "grey")).value == one
    assert segmentation("otsu")(Volume(257 * values.astype(np.uint16), "grey")).value == 257 * one
    assert segmentation("otsu")(Volume(255 - values, "grey")).value == pytest.approx(255 - one, abs=1)
