"""Pairs lie voxel on voxel, or are refused."""

import numpy as np
import pytest

from bonectl.core import kit
from bonectl.core.header import Header
from bonectl.core.spec import parse
from bonectl.errors import UsageError
from bonectl.learning.sample import Patch, Volume

RANDOM = np.random.default_rng(0)


def volume(name="a", shape=(8, 10, 12), **changes):
    values = np.random.default_rng(len(name)).random(shape)
    return Volume(values, Header(shape=shape, **({"unit": "mgHA/cm3", "spacing": (0.02,) * 3} | changes)), name)


def patch(**changes):
    place = {"volume": 0, "first": 2, "depth": 3, "row": 1, "column": 4, "side": 5, "begin": 0, "end": 8}
    return Patch(**(place | changes))


def bind(text, inputs, targets=()):
    return kit.bind("pairings", parse(text))(inputs, targets)


def test_supervised_cuts_both_at_the_same_place():
    noisy, clean = volume("noisy"), volume("clean")
    pairing = bind("supervised", [noisy], [clean])
    x, t = pairing.cut(patch(), 1, RANDOM)
    np.testing.assert_array_equal(x, noisy.values[1:6, 1:6, 4:9].astype(np.float32))
    np.testing.assert_array_equal(t, clean.values[2:5, 1:6, 4:9].astype(np.float32))
    assert x.dtype == t.dtype == np.float32


def test_white_adds_noise_of_a_strength_of_its_own_to_clean_voxels():
    clean = volume("clean", shape=(8, 100, 100))
    pairing = bind("white(least=0.02, most=0.2)", [clean])
    spot = patch(side=90, row=0, column=0)
    strengths = []
    for seed in range(12):
        x, t = pairing.cut(spot, 1, np.random.default_rng(seed))
        np.testing.assert_array_equal(t, clean.values[2:5, :90, :90].astype(np.float32))
        strengths.append(np.std(x[1:-1] - t) / 1200)
        assert abs(np.mean(x[1:-1] - t)) < 5 * strengths[-1] * 1200 / 90
    assert min(strengths) > 0.019
    assert max(strengths) < 0.21
    assert max(strengths) > 2 * min(strengths)
    again = pairing.cut(spot, 1, np.random.default_rng(11))[0]
    assert again.tobytes() == x.tobytes()


def test_white_gives_a_slice_that_stands_in_twice_one_noise():
    x, _ = bind("white", [volume("clean")]).cut(patch(first=0, depth=2), 2, RANDOM)
    np.testing.assert_array_equal(x[0], x[1])
    np.testing.assert_array_equal(x[1], x[2])


@pytest.mark.parametrize(
    ("text", "targets", "message"),
    [
        ("white", ["clean"], "no --target"),
        ("white(least=0)", [], "least up to most"),
        ("white(least=0.3, most=0.2)", [], "least up to most"),
    ],
)
def test_white_refuses(text, targets, message):
    with pytest.raises(UsageError, match=message):
        bind(text, [volume("clean")], [volume(name) for name in targets])


def test_noise2self_never_shows_a_slice_its_own_values():
    """Each slice holds its own number: none may be among those that stand beside it, at the ends neither."""
    numbers = np.broadcast_to(np.arange(8.0)[:, None, None], (8, 10, 12))
    noisy = Volume(numbers, Header(shape=(8, 10, 12), unit="mgHA/cm3", spacing=(0.02,) * 3), "noisy")
    pairing = bind("noise2self", [noisy])
    assert not pairing.clean
    for first, begin, end in [(0, 0, 8), (5, 0, 8), (1, 0, 4), (2, 2, 8), (5, 3, 8), (5, 5, 8)]:
        x, t = pairing.cut(patch(first=first, begin=begin, end=end), 2, RANDOM)
        assert t[:, 0, 0].tolist() == [first, first + 1, first + 2]
        assert x.min() >= begin
        assert x.max() < end
        for place, own in enumerate(t[:, 0, 0]):
            beside = x[[place, place + 1, place + 3, place + 4], 0, 0]
            assert own not in beside
            if begin + 2 <= own < end - 2:
                assert beside.tolist() == [own - 2, own - 1, own + 1, own + 2]


def test_noise2self_wants_neighbours_and_no_target():
    with pytest.raises(UsageError, match="leave out --target"):
        bind("noise2self", [volume("low")], [volume("clean")])
    with pytest.raises(UsageError, match="low: 2 slices are held out; noise2self needs 3 .* change --held-out"):
        bind("noise2self", [volume("low")]).cut(patch(first=6, depth=2, begin=6, end=8), 2, RANDOM)


@pytest.mark.parametrize(("views", "seen"), [(30, 90), (None, None)])
def test_noise2inverse_says_of_how_many_views_its_inputs_are(views, seen):
    """`denoise` warned of 120 views, at 30 in training, where the mean of three times 30 was trained on."""
    acquisition = {} if views is None else {"views": views}
    splits = [volume(name, acquisition=acquisition) for name in "abcd"]
    (header,) = bind("noise2inverse", splits).headers
    assert header.acquisition.get("views") == seen


def test_context_stops_at_the_slices_that_may_be_read():
    noisy = volume("noisy")
    pairing = bind("supervised", [noisy], [noisy])
    x, _ = pairing.cut(patch(first=4, depth=2, begin=4, end=6), 2, RANDOM)
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
    with pytest.raises(UsageError, match="2 inputs but 1 target;"):
        bind("supervised", [volume(), volume()], [volume()])


def test_noise2inverse_predicts_each_split_from_the_mean_of_the_others():
    splits = [volume("a"), volume("bb"), volume("ccc")]
    pairing = bind("noise2inverse(splits=3)", splits)
    assert len(pairing.headers) == 1
    seen = set()
    for seed in range(20):
        x, t = pairing.cut(patch(), 0, np.random.default_rng(seed))
        values = [split.crop(np.arange(2, 5), patch()) for split in splits]
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


def bone(shape=(9, 48, 40), unit="mgHA/cm3", **changes):
    y, x = np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij")
    slices = 900.0 * ((np.hypot(y - 24, x - 20) < 16) & (np.sin(y / 2) * np.sin(x / 2.5) > 0))
    values = np.broadcast_to(slices, shape).astype(np.float32)
    return Volume(values, Header(shape=shape, unit=unit, spacing=(0.02,) * 3, **changes), "bone")


WHOLE = {"first": 2, "depth": 4, "row": 0, "column": 0, "side": 40, "end": 9}


def test_lowdose_noise_is_that_of_simulate_and_reconstruct():
    from bonectl.core.stack import Stack
    from bonectl.ops.reconstruct import reconstruct
    from bonectl.ops.simulate import simulate
    from bonectl.scanning.detector import Detector

    clean = bone()

    def by_commands(photons):
        detector = Detector(photons=photons, blur=0.0, oversample=1)
        scan = simulate(
            Stack.of(clean.values, clean.header), geometry="parallel(views=60)", energy=25.0, detector=detector
        )
        return reconstruct(scan, unit="mgHA/cm3").collect()

    def by_pairing(photons):
        pairing = bind(f"lowdose(views=60, least={photons}, most={photons})", [clean])
        noisy, target = pairing.cut(patch(**WHOLE), 0, np.random.default_rng(0))
        np.testing.assert_array_equal(target, clean.values[2:6, :40, :40])
        return noisy

    quiet = by_pairing(1e9)
    theirs = by_commands(1e9)
    rows, columns = ((s - n) // 2 for s, n in zip(theirs.shape[1:], (48, 40), strict=True))
    theirs = theirs[2:6, rows : rows + 40, columns : columns + 40]
    assert np.abs(quiet - theirs).max() < 20  # mgHA/cm³, of 900: sub-pixels of the detector differ
    noise = (by_pairing(3e3) - quiet).std()
    expected = (by_commands(3e3)[2:6, rows : rows + 40, columns : columns + 40] - theirs).std()
    assert expected > 100
    assert noise == pytest.approx(expected, rel=0.05)


def test_lowdose_draws_anew_and_repeats_by_its_key():
    pairing = bind("lowdose(views=20)", [bone()])
    one, again, other = (pairing.cut(patch(**WHOLE), 1, np.random.default_rng(seed))[0] for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert one.shape == (6, 40, 40)
    spreads = [
        (pairing.cut(patch(**WHOLE), 0, np.random.default_rng(seed))[0] - bone().values[2:6, :40, :40]).std()
        for seed in range(12)
    ]
    assert max(spreads) > 1.5 * min(spreads)  # doses differ tenfold


def test_lowdose_context_repeats_the_outermost_slice_noise_and_all():
    pairing = bind("lowdose(views=20)", [bone()])
    noisy, _ = pairing.cut(patch(**(WHOLE | {"first": 0})), 2, np.random.default_rng(0))
    np.testing.assert_array_equal(noisy[0], noisy[2])
    np.testing.assert_array_equal(noisy[1], noisy[2])
    assert not np.array_equal(noisy[2], noisy[3])


def test_lowdose_says_how_it_scans():
    ranged, fixed = (bind(text, [bone()]).headers[0] for text in ("lowdose", "lowdose(least=5e3, most=5e3)"))
    assert ranged.acquisition == {"views": 180, "photons_least": 3e3, "photons_most": 3e4}
    assert fixed.acquisition == {"views": 180, "photons": 5e3}


@pytest.mark.parametrize(
    ("text", "targets", "changes"),
    [
        ("lowdose", 1, {}),
        ("lowdose(views=0)", 0, {}),
        ("lowdose(least=1e4, most=1e3)", 0, {}),
        ("lowdose(energy=1.0)", 0, {}),
        ("lowdose", 0, {"unit": "grey"}),
        ("lowdose", 0, {"unit": "label"}),
    ],
)
def test_what_lowdose_refuses(text, targets, changes):
    with pytest.raises(UsageError):
        bind(text, [bone(**changes)], [bone()] * targets)
