"""Label images of several bones: one is chosen, or it is said that they are taken as one."""

import numpy as np
import pytest
from tests import made

from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.measuring.labels import all_of, chosen
from bonectl.ops.measure import measure

SIDE = (0.02, 0.02, 0.02)


def stack(values, unit="label"):
    return made.stack(values, unit, spacing=SIDE)


def two_bones(dtype=np.uint8):
    """Boxes of labels 2 and 7: 4 x 5 x 6 and 3 x 3 x 3 voxels."""
    image = np.zeros((40, 12, 14), dtype)
    image[2:6, 2:7, 2:8] = 2
    image[30:33, 5:8, 5:8] = 7
    return image


def noted(*args, **options):
    with made.heard() as heard:
        table = measure(*args, **options)
    return table, [line for line in heard if "label" in line]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64])
@pytest.mark.parametrize(("label", "voxels"), [(2, 120), (7, 27)])
def test_one_label_is_one_bone(dtype, label, voxels):
    for unit in ("label", "grey"):
        one = chosen(stack(two_bones(dtype), unit), label, "the volume")
        table, said = noted(one, metrics="bvtv + components")
        assert (table["bv_voxels"], table["components"], said) == (voxels, 1, [])


@pytest.mark.parametrize("metrics", ["bvtv", "components"])
def test_several_labels_as_one_are_told(metrics):
    """Streamed or held."""
    _, said = noted(stack(two_bones()), metrics=metrics)
    assert said == ["the volume holds labels 2, 7, measured as one; --label N measures one alone"]


def test_grey_values_that_look_like_labels_are_told():
    _, said = noted(stack(two_bones(), "grey"), metrics="bvtv", threshold=1)
    told = "the volume holds 0 and 2, 7 alone, as a label image does; --input-unit label takes it as one"
    assert said == [f"do not trust: {told}"]
    grey = np.random.default_rng(0).integers(0, 200, (20, 20, 20)).astype(np.uint8)
    assert noted(stack(grey, "grey"), metrics="bvtv", threshold=100)[1] == []
    assert noted(stack(np.uint8(255) * (grey > 100), "label"), metrics="bvtv")[1] == []


def test_a_region_of_several_labels_is_told_and_one_can_be_taken():
    density = np.random.default_rng(0).uniform(0, 1000, (40, 12, 14)).astype(np.float32)
    _, said = noted(stack(density, "mgHA/cm3"), mask=stack(two_bones()), metrics="bvtv", threshold=500)
    assert said == ["the mask holds labels 2, 7, taken as one; --mask-label N takes one alone"]
    region = chosen(stack(two_bones()), 7, "the mask")
    table, said = noted(stack(density, "mgHA/cm3"), mask=region, metrics="bvtv", threshold=500)
    assert (table["tv"], said) == (pytest.approx(27 * 0.02**3), [])


def test_many_labels_are_told_in_short():
    image = np.arange(20 * 20 * 20).reshape(20, 20, 20).astype(np.int32)
    _, said = noted(stack(image), metrics="bvtv", mask="cylinder", threshold=100)
    assert said[0].startswith("the volume holds labels 1, 2, 3, 4, 5, 6, 7, 8, ..., measured as one")


@pytest.mark.parametrize("metrics", ["bvtv", "components"])
def test_a_label_that_is_not_there_is_refused_with_those_that_are(metrics):
    with pytest.raises(DataError, match="the volume has no voxel of label 3; it has 2, 7"):
        measure(chosen(stack(two_bones()), 3, "the volume"), metrics=metrics)


def test_grey_values_have_no_labels():
    with pytest.raises(UsageError, match="label 1 of the volume, which is no label image but in 'mgHA/cm3', f4"):
        chosen(stack(two_bones(np.float32), "mgHA/cm3"), 1, "the volume")


@pytest.mark.parametrize("metrics", ["bvtv", "components"], ids=["stream", "hold"])
def test_a_label_below_0_is_refused_and_said(metrics):
    """It was marrow, where the manual said that all but 0 is bone: 255 cast to int8 is -1."""
    bones = two_bones(np.int8)
    bones[0, 0, 0] = -1
    with pytest.raises(DataError, match="label -1"):
        measure(stack(bones), metrics=metrics)
    value = measure(stack(bones), metrics=metrics, threshold=0).rows[0].number.value
    assert value == measure(stack(np.maximum(bones, 0)), metrics=metrics).rows[0].number.value
    with pytest.raises(DataError, match="the reference has label -1"):
        measure(stack(np.maximum(bones, 0)), metrics="dice", reference=stack(bones))
    region = np.full(bones.shape, -1, np.int8)
    assert measure(stack(np.maximum(bones, 0)), metrics=metrics, mask=stack(region)).rows[0].number.value == value


def test_all_labels_are_found_by_rising_number():
    image = np.zeros((9, 4, 4), np.uint16)
    image[0, 0, 0], image[8, 0, 0], image[4] = 900, 3, 41
    assert all_of(stack(image), "the volume") == all_of(stack(image, "grey"), "the volume") == [3, 41, 900]
    assert all_of(stack(image.astype(np.float32)), "the volume") == [3, 41, 900]
    assert all_of(stack(image > 0), "the volume") == [1]


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((3, 4, 5), np.uint8), "the volume has no label: all voxels are 0"),
        (np.int16(-2) * two_bones(np.int16), "the volume has label -14"),
        (two_bones(np.float32) / 4, "the volume has the value 0.5"),
        (np.arange(20 * 20 * 20, dtype=np.int32).reshape(20, 20, 20), "more than 4096 labels"),
    ],
)
def test_images_without_labels_or_of_nothing_but_labels_are_refused(image, said):
    with pytest.raises(DataError, match=said):
        all_of(stack(image), "the volume")


def test_a_label_image_that_is_cut_as_grey_is_told_in_the_table():
    from bonectl.ops.measure import measure

    labels = np.zeros((6, 12, 12), np.uint8)
    for label in (1, 2, 3):
        labels[:, 3 * label - 1 : 3 * label + 1, 2:10] = label
    stack = Stack.of(labels, Header(shape=labels.shape, dtype="|u1", unit="grey", spacing=(0.02,) * 3))
    table = measure(stack, metrics="bvtv")
    assert table["bvtv"] < (labels > 0).mean()
    assert any("--input-unit label takes it as one" in warning for warning in table.warnings)
