"""Pairs lie voxel on voxel, or are refused."""

import numpy as np
import pytest

from bonectl.core import kit
from bonectl.core.header import Header
from bonectl.core.sample import Volume, Window
from bonectl.core.spec import parse
from bonectl.errors import UsageError

RANDOM = np.random.default_rng(0)


def volume(name="a", shape=(8, 10, 12), **changes):
    values = np.random.default_rng(len(name)).random(shape)
    return Volume(values, Header(shape=shape, **({"unit": "mgHA/cm3", "spacing": (0.02,) * 3} | changes)), name)


def window(**changes):
    place = {"volume": 0, "first": 2, "depth": 3, "row": 1, "column": 4, "side": 5, "begin": 0, "end": 8}
    return Window(**(place | changes))


def bind(text, inputs, targets=()):
    return kit.bind("pairings", parse(text))(inputs, targets)


def test_supervised_cuts_both_at_the_same_place():
    noisy, clean = volume("noisy"), volume("clean")
    pairing = bind("supervised", [noisy], [clean])
    x, t = pairing.cut(window(), 1, RANDOM)
    np.testing.assert_array_equal(x, noisy.values[1:6, 1:6, 4:9].astype(np.float32))
    np.testing.assert_array_equal(t, clean.values[2:5, 1:6, 4:9].astype(np.float32))
    assert x.dtype == t.dtype == np.float32


def test_context_stops_at_the_slices_that_may_be_read():
    noisy = volume("noisy")
    pairing = bind("supervised", [noisy], [noisy])
    x, _ = pairing.cut(window(first=4, depth=2, begin=4, end=6), 2, RANDOM)
    np.testing.assert_array_equal(x, noisy.values[[4, 4, 4, 5, 5, 5], 1:6, 4:9].astype(np.float32))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (8, 10, 13)}, "8 × 10 × 12.*8 × 10 × 13"),
        ({"unit": "1/cm"}, "mgHA/cm3.*1/cm"),
        ({"spacing": (0.02, 0.02, 0.021)}, "0.02 mm along x.*0.021"),
        ({"axes": ("view", "row", "col")}, "z, y, x.*view, row, col"),
    ],
)
def test_stacks_that_are_no_pair(changes, message):
    with pytest.raises(UsageError, match=message):
        bind("supervised", [volume("low")], [volume("clean", **changes)])


def test_unknown_spacing_is_no_contradiction():
    bind("supervised", [volume("low")], [volume("clean", spacing=(None,) * 3)])


def test_each_input_needs_its_target():
    with pytest.raises(UsageError, match="2 inputs but 1 targets"):
        bind("supervised", [volume(), volume()], [volume()])


def test_noise2inverse_predicts_each_split_from_the_mean_of_the_others():
    splits = [volume("a"), volume("bb"), volume("ccc")]
    pairing = bind("noise2inverse(splits=3)", splits)
    assert len(pairing.headers) == 1
    seen = set()
    for seed in range(20):
        x, t = pairing.cut(window(), 0, np.random.default_rng(seed))
        values = [split.crop(np.arange(2, 5), window()) for split in splits]
        held = next(i for i in range(3) if np.array_equal(t, values[i]))
        seen.add(held)
        np.testing.assert_allclose(x, (sum(values) - values[held]) / 2, rtol=1e-6)
    assert seen == {0, 1, 2}


@pytest.mark.parametrize(
    ("text", "count", "targets"),
    [("noise2inverse(splits=1)", 1, 0), ("noise2inverse(splits=3)", 4, 0), ("noise2inverse(splits=2)", 2, 1)],
)
def test_noise2inverse_wants_whole_groups_without_targets(text, count, targets):
    with pytest.raises(UsageError):
        bind(text, [volume()] * count, [volume()] * targets)
