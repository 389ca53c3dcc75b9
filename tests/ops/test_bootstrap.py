"""Intervals by block bootstrap: of sums that are right, at their stated confidence, and absent where they would lie."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import norm
from tests import made

from bonectl.core.header import Header
from bonectl.errors import UsageError
from bonectl.measuring import bootstrap
from bonectl.measuring.request import Request
from bonectl.morphology import cells, lines, rim, tapers
from bonectl.morphology.parted import PartedSums
from bonectl.ops import measure as ops
from bonectl.ops.measure import measure

SIDE = 0.02


def examine(volume, **asked):
    """The numbers, and the volumes that they were measured in."""
    return ops.examine(volume, Request(keep=True, **asked))


def field(seed, shape, sigma):
    """A stationary Gaussian field of mean 0 and SD 1, correlated over `sigma` voxels."""
    noise = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return gaussian_filter(noise, sigma, mode="wrap") * (2 * np.sqrt(np.pi) * sigma) ** 1.5


def stack(values, unit="grey"):
    return made.stack(values, unit, spacing=(SIDE,) * 3)


@pytest.fixture(scope="module")
def bone():
    return 1000 * (field(1, (64, 60, 56), 2.0) > 0.8).astype(np.float32)


@pytest.fixture(scope="module")
def noisy(bone):
    return bone + np.random.default_rng(2).normal(0, 250, bone.shape).astype(np.float32)


@pytest.fixture(scope="module")
def against(bone, noisy):
    return measure(
        stack(noisy, "mgHA/cm3"),
        reference=stack(bone, "mgHA/cm3"),
        metrics="bvtv + surface + euler + connd + components + tbth + tbsp + tbn + bmd + psnr + dice",
        intervals=0.3,
    )


@pytest.mark.parametrize("mask", [False, True])
def test_what_all_windows_see_is_the_whole(bone, mask):
    """Voxels, cells, lines and the rim, each counted once altogether, with a mask and without."""
    labels = np.where(bone > 0, cells.BONE, cells.MARROW).astype(np.uint8)
    if mask:
        z, y, x = np.mgrid[:64, :60, :56]
        labels *= (z - 31.5) ** 2 + (y - 29.5) ** 2 + (x - 27.5) ** 2 < 26**2
    seen, whole = tapers.sub_volumes(labels, (3, 4, 5)), cells.count([labels])
    np.testing.assert_array_equal(seen.cells(labels, whole).sum(0), whole.number * tapers.TOGETHER)
    assert seen.sums(labels == cells.BONE).sum() == whole.bone_voxels * tapers.TOGETHER
    for number, counted in ((lines.number, lines.count([labels])), (rim.number, rim.count([labels]))):
        np.testing.assert_array_equal(seen.about(labels, number)[0].sum(0), counted.number * tapers.TOGETHER)
    volumes = seen.sums(labels > 0)
    assert volumes.min() >= tapers.LEAST_SHARE * volumes.max()
    assert (seen.parts < 60) == mask
    assert 1 < seen.spread < 2.6
    assert 20 < seen.freedom < seen.parts - 1


def test_a_window_falls_off_to_the_centres_of_its_neighbours_and_not_at_the_border():
    labels = np.full((8, 8, 30), cells.MARROW, np.uint8)
    seen = tapers.sub_volumes(labels, (1, 1, 3))
    one = np.zeros(labels.shape)
    for place, weights in ((0, (1, 0, 0)), (10, (0.45, 0.55, 0)), (14, (0.05, 0.95, 0)), (29, (0, 0, 1))):
        one[:] = 0
        one[4, 4, place] = 1
        np.testing.assert_allclose(seen.sums(one) / tapers.TOGETHER, weights, atol=0.01)
    halves = seen.of_halves(np.tile(np.eye(6), (4, 1))) / tapers.TOGETHER / 4
    np.testing.assert_allclose(halves.sum(0), 1)
    np.testing.assert_allclose(halves[:, [0, 2, 3]].T, ((1, 0, 0), (0.25, 0.75, 0), (0, 0.75, 0.25)))


@pytest.mark.parametrize("shape", [(2, 2, 2), (3, 3, 3), (2, 3, 4)])
@pytest.mark.parametrize("mask", [False, True])
def test_the_factor_of_a_sum_of_independent_voxels_is_right(shape, mask):
    """The mean square of the resampled deviation, over many noises, is the variance of the sum."""
    labels = np.full((24, 26, 28), cells.MARROW, np.uint8)
    if mask:
        y, x = np.mgrid[:26, :28]
        labels *= (y - 12.5) ** 2 + (x - 13.5) ** 2 < 12**2
    seen, inside = tapers.sub_volumes(labels, shape), labels > 0
    found, rng = [], np.random.default_rng(0)
    for _ in range(150):
        noise = np.where(inside, rng.normal(size=labels.shape), 0)
        noise -= np.where(inside, noise.sum() / inside.sum(), 0)
        found.append(np.square(seen.sums(noise) / tapers.TOGETHER).sum())
    assert seen.spread**2 * np.mean(found) == pytest.approx(inside.sum(), rel=0.12)
    assert 2 * np.mean(found) ** 2 / np.var(found) == pytest.approx(seen.freedom, rel=0.45)


def test_sums_on_a_coarser_grid_are_kept_whole(bone):
    labels = np.where(bone > 0, cells.BONE, cells.MARROW).astype(np.uint8)
    seen = tapers.sub_volumes(labels, (3, 4, 5))
    for shape in ((9, 8, 7), (2, 2, 2)):
        assert seen.sums(np.ones(shape)).sum() == np.prod(shape) * tapers.TOGETHER


@pytest.mark.parametrize("shape", [(2, 2, 2), (3, 3, 3)])
def test_95_percent_intervals_of_a_mean_of_independent_voxels_hold_it_in_95_percent(shape):
    """Of 400 noises; the SD of a share of 95 % is 1.1 %. By the factor's inverse 8 windows hold it in half of them."""
    labels = np.full((12, 14, 16), cells.MARROW, np.uint8)
    seen, rng, held = tapers.sub_volumes(labels, shape), np.random.default_rng(5), 0
    volumes = seen.sums(labels > 0)
    for _ in range(400):
        noise = rng.normal(size=labels.shape)
        sums = seen.sums(noise)
        weights = rng.multinomial(seen.parts, np.full(seen.parts, 1 / seen.parts), 100)
        around = bootstrap._interval(weights @ sums / (weights @ volumes), noise.mean(), seen=seen, source="")
        held += around.low <= 0 <= around.high
    assert 0.92 <= held / 400 <= 0.975


def test_every_part_drawn_once_gives_the_numbers_themselves(bone, noisy):
    """What is resampled is the number that is printed, not a relative of it."""
    names = "bvtv + surface + euler + smi + connd + tbth(convention=bonej) + tbsp + tbn + bmd + tmd + density_spread"
    found = examine(stack(bone + noisy / 100, "mgHA/cm3"), metrics=names, threshold=500.0, intervals=0.3)
    seen, _ = bootstrap._sub_volumes(found.specimen, 0.3)
    sums = PartedSums.of(found.specimen.labels, found.specimen.grey, found.specimen, seen)
    statistics = list(bootstrap._statistics(bootstrap_parts(names), found.specimen, sums, seen))
    values = bootstrap._drawn(statistics, np.ones((1, seen.parts), np.int64), sums.volumes)
    table = {row.number.name: row.number.value for row in found.table.rows}
    missing = table.keys() - values.keys()
    assert missing == {"tbth_max", "tbsp_max"}
    for name, (value,) in values.items():
        if name.startswith("connd"):  # 1 / TV, which does not vary, is not in what is drawn
            value += 1 / table["tv"]
        assert value == pytest.approx(table[name], rel=2e-6, abs=1e-9), name


def bootstrap_parts(names):
    from bonectl.measuring.plan import parts_of

    return parts_of(names, Header(shape=(8, 8, 8), spacing=(SIDE,) * 3, unit="mgHA/cm3"), compared=False)


def test_with_a_reference_the_interval_is_of_the_difference(against):
    for name in ("bvtv", "bs", "chi", "conn", "connd", "tbth", "tbsp", "tbn", "bmd", "bmd_sd"):
        row = against.row(name)
        assert row.interval is None, name
        assert row.difference_interval is not None, name
        assert row.difference_interval.low <= row.difference_interval.high
    for name in ("dice", "psnr", "rmse"):
        around = against.row(name).interval
        assert around.low < against[name] < around.high, name


def test_numbers_that_do_not_add_up_have_no_interval(against):
    for name in ("components", "cavities", "tbth_max", "tbsp_max"):
        row = against.row(name)
        assert row.interval is None, name
        assert row.difference_interval is None, name


def test_the_source_says_what_was_drawn(against):
    (source,) = against.interval_sources
    assert source == "95 %, bootstrap of 48 sub-volumes 0.32 x 0.3 x 0.373 mm apart, 500 draws, seed 0"


def test_the_seed_decides_and_nothing_else(bone, noisy):
    request = {"metrics": "bvtv + euler", "threshold": 500.0, "intervals": 0.3}
    one, again, other = (measure(stack(noisy), seed=seed, **request) for seed in (1, 1, 2))
    assert one.rows == again.rows
    assert one.row("bvtv").interval != other.row("bvtv").interval


def test_a_volume_that_equals_its_reference_differs_by_nothing(bone):
    table = measure(
        stack(bone), reference=stack(bone), metrics="bvtv + surface + euler", threshold=500.0, intervals=0.3
    )
    for row in table.rows:
        assert (row.difference_interval.low, row.difference_interval.high) == (0.0, 0.0)


def test_the_size_of_the_specimen_is_not_drawn(bone):
    """Total volume is known; bone volume varies as the fraction does."""
    table = measure(stack(bone), metrics="bvtv", threshold=500.0, intervals=0.3)
    tv, bv, bvtv = (table.row(name) for name in ("tv", "bv", "bvtv"))
    assert (tv.interval.low, tv.interval.high) == pytest.approx((tv.number.value,) * 2, rel=1e-4)
    assert bv.interval.low == pytest.approx(bvtv.interval.low * tv.number.value, rel=1e-3)


@pytest.mark.parametrize(
    ("one", "two", "four", "scaled"),
    [(5.0, 10.0, 20.0, 10.0), (-9.0, -19.0, -39.0, -19.0), (0.2, 0.2, 0.2, 0.2), (0.2, 0.201, 0.2015, 0.2)],
)
def test_numbers_that_grow_with_the_specimen_are_told_from_those_that_do_not(one, two, four, scaled):
    assert bootstrap._growth(one, two, four)(one, 2.0) == pytest.approx(scaled)


@pytest.mark.parametrize(
    ("one", "two", "four"), [(4.0, 16.0, 64.0), (float("nan"), 1.0, 1.0), (1.0, float("inf"), 1.0)]
)
def test_numbers_that_grow_in_no_plain_way_are_left_out(one, two, four):
    assert bootstrap._growth(one, two, four) is None


def test_a_number_that_is_0_of_the_whole_grows_as_others_do():
    """χ = 0: doubling shows nothing there, and it was taken for a number that does not grow."""
    sums = np.array([3, -1, 2, -4]) * tapers.TOGETHER
    weights = np.random.default_rng(0).multinomial(4, np.full(4, 0.25), 50)
    drawn = bootstrap._drawn([lambda w: {"chi": float(w @ sums)}], weights, np.full(4, 9.0 * tapers.TOGETHER))
    np.testing.assert_allclose(drawn["chi"], weights @ (3, -1, 2, -4), atol=1e-9)


def test_few_sub_volumes_are_refused_when_asked_for_and_noted_when_not(bone, noisy):
    with pytest.raises(
        UsageError, match=r"intervals need 8 sub-volumes, 0.9 mm apart there are 1 in 1.28 x 1.2 x 1.12 mm"
    ):
        measure(stack(bone), metrics="bvtv", threshold=500.0, intervals=0.9)
    small = (slice(None, 12),) * 3
    table = measure(stack(noisy[small]), reference=stack(bone[small]), metrics="bvtv", threshold=500.0)
    assert table.interval_sources == ()
    assert table.conditions["intervals"].startswith("none: intervals need 8 sub-volumes")


@pytest.mark.parametrize("wrong", ["-1", "nan", "often", 0.0])
def test_a_side_that_is_none_is_refused(bone, wrong):
    with pytest.raises(UsageError, match="give auto, none, or the least side"):
        measure(stack(bone), metrics="bvtv", threshold=500.0, intervals=wrong)


def test_sub_volumes_are_bounded_in_number(bone):
    assert np.prod(bootstrap._counts([1.3, 1.3, 1.3], 0.02)) <= bootstrap.MOST
    assert bootstrap._counts([1.3, 1.3, 0.65], 0.3) == (4, 4, 2)


def coverage(runs, shape, sigma, gaps):
    """How often intervals hold the truth, by number; BV/TV in closed form, the rest by the mean over all runs."""
    level, noise = 0.9, 0.35
    truth = norm.sf(level / np.hypot(1, noise)) - norm.sf(level)
    found = {}
    for run in range(runs):
        pad = int(4 * sigma) + 1
        wide = tuple(n + 2 * pad for n in shape)
        core = (slice(pad, -pad),) * 3
        clean = field(run, wide, sigma)
        other = clean + noise * field(10_000 + run, wide, 1.0)
        specimens = [np.ascontiguousarray(values[core]) for values in (other, clean)]
        side = gaps * bootstrap.plate_separation(
            examine(stack(specimens[1]), metrics="bvtv", threshold=level, intervals="none").specimen
        )
        table = measure(
            stack(specimens[0]),
            reference=stack(specimens[1]),
            metrics="bvtv + surface + euler + connd",
            threshold=level,
            intervals=side,
            seed=run,
        )
        for row in table.rows:
            if row.difference_interval is not None:
                ends = (row.difference, row.difference_interval.low, row.difference_interval.high)
                found.setdefault(row.number.name, []).append(ends)
    held = {}
    for name, ends in found.items():
        value, low, high = np.array(ends).T
        true = truth if name == "bvtv" else value.mean()
        held[name] = float(np.mean((low <= true) & (true <= high)))
    return held


@pytest.mark.slow
def test_95_percent_intervals_hold_the_truth_in_about_95_percent_of_volumes():
    """Noise on random bone; the true bias of BV/TV is Φ(-u / √(1 + s²)) - Φ(-u), of 96 volumes with 27 sub-volumes.

    The binomial SD of a share of 95 % over 96 runs is 2.2 %.
    """
    held = coverage(96, (48, 48, 48), 1.2, bootstrap.GAPS)
    shares = [held[name] for name in ("bvtv", "bstv", "chi", "dchi", "connd")]
    assert 0.93 <= np.mean(shares) <= 0.97, held
    assert 0.90 <= min(shares) <= max(shares) <= 0.99, held


@pytest.mark.slow
def test_intervals_of_one_volume_hold_the_mean_of_all_in_about_95_percent_of_them():
    """Random bone of three or four separations a side: 8 to 27 sub-volumes. The binomial SD of one share is 2.8 %."""
    found, pad = {}, 11
    for run in range(60):
        noise = np.random.default_rng(1000 + run).normal(size=(52 + 2 * pad,) * 3).astype(np.float32)
        values = gaussian_filter(noise, 2.5)[(slice(pad, -pad),) * 3] * (2 * np.sqrt(np.pi) * 2.5) ** 1.5
        names = "bvtv + surface + euler + connd + smi + tbth(convention=bonej) + tbsp(convention=bonej)"
        table = measure(stack((values > 0.6).astype(np.uint8), "label"), metrics=names, intervals="auto", seed=run)
        for name in ("bvtv", "bstv", "chi", "dchi", "connd", "smi", "tbth", "tbth_sd", "tbsp"):
            row = table.row(name)
            found.setdefault(name, []).append((row.number.value, row.interval.low, row.interval.high))
    held = {}
    for name, ends in found.items():
        value, low, high = np.array(ends).T
        held[name] = float(np.mean((low <= value.mean()) & (value.mean() <= high)))
    assert 0.93 <= np.mean(list(held.values())) <= 0.97, held
    assert min(held.values()) >= 0.88, held


def test_a_row_keeps_an_interval_that_it_has(bone):
    found = examine(stack(bone), metrics="bvtv", threshold=500.0, intervals=0.3)
    again = bootstrap.with_intervals(found.table, bootstrap_parts("bvtv"), (found.specimen,), side=0.4)
    assert again.row("bvtv").interval == found.table.row("bvtv").interval
    bare = replace(found.table, rows=tuple(replace(row, interval=None) for row in found.table.rows))
    drawn = bootstrap.with_intervals(bare, bootstrap_parts("bvtv"), (found.specimen,), side=0.4)
    assert drawn.row("bvtv").interval != found.table.row("bvtv").interval
