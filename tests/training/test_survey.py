"""What is looked at before a run: noise, shifts, digests."""

from math import inf, isnan, nan

import numpy as np
import pytest
from tests.made import rods

from bonectl.core.header import Header
from bonectl.learning.noise import Level, noise
from bonectl.learning.sample import Volume
from bonectl.training.survey import digests, shift
from bonectl.training.validation import decibel


def drawn(seed, shape, sd=1.0):
    return np.random.default_rng(seed).normal(0, sd, shape)


def blocks():
    """Squares of bone and marrow."""
    return 1000.0 * np.kron(np.random.default_rng(1).integers(2, size=(8, 8)), np.ones((16, 16)))


@pytest.mark.parametrize("sd", [5.0, 50.0, 500.0])
def test_noise_reads_as_its_deviation_beside_edges_and_a_field_of_view(sd):
    values = blocks() + drawn(0, (128, 128), sd)
    y, x = np.mgrid[:128, :128] - 63.5
    values[y**2 + x**2 > 63**2] = 0
    assert noise(values) == pytest.approx(sd, rel=0.25)


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (3, 3), (40, 40)])
def test_what_is_flat_slanted_or_tiny_has_no_noise(shape):
    y, x = np.mgrid[: shape[0], : shape[1]]
    assert noise(np.full(shape, 7.0)) == 0
    assert noise(3.0 * y - 2.0 * x) == 0


def test_a_level_is_the_range_and_the_noise_of_slices():
    slices = [drawn(seed, (64, 64), sd) for seed, sd in enumerate((1.0, 2.0, 4.0))]
    level = Level.of(slices)
    assert [level.noise_least, level.noise_median, level.noise_most] == pytest.approx([1, 2, 4], rel=0.25)
    assert level.most == pytest.approx(4 * 3.29, rel=0.25)


@pytest.mark.parametrize("moved", [(0, 0), (1, 0), (0, -3), (3, -2), (-7, 5)])
@pytest.mark.parametrize("sd", [100.0, 600.0])
def test_a_shift_is_found_in_noise(moved, sd):
    clean = rods((2, 96, 110))[1]
    noisy = np.roll(clean, moved, (0, 1)) + drawn(3, clean.shape, sd)
    assert shift(noisy.astype(np.float32), clean) == (None if moved == (0, 0) else moved)


def test_no_shift_is_found_where_there_is_nothing_to_see():
    flat = np.ones((64, 64), np.float32)
    assert shift(flat, flat) is None
    for seed in range(20):
        values = drawn(seed, (64, 64)).astype(np.float32)
        assert shift(values, flat) is None
        assert shift(values, drawn(seed + 100, (64, 64)).astype(np.float32)) is None


def test_a_digest_is_that_of_the_values_in_any_type_and_of_no_others():
    values = np.arange(24).reshape(2, 3, 4)
    kinds = [values.astype(kind) for kind in ("<f4", ">f4", "<f8", "<i2")] + [values[:, ::-1].astype("<f4")]
    volumes = [Volume(each, Header(shape=each.shape, dtype=each.dtype.str.replace(">", "<")), "a") for each in kinds]
    *alike, other = digests(volumes)
    assert len(set(alike)) == 1
    assert other not in alike
    longer = Volume(kinds[0].reshape(2, 4, 3), Header(shape=(2, 4, 3)), "a")
    assert digests([longer])[0] not in alike


def test_an_error_that_is_no_number_is_no_perfect_one():
    """A mean squared error of NaN gave inf dB."""
    assert isnan(decibel(nan))
    assert decibel(0.0) == inf
    assert decibel(0.01) == pytest.approx(20)
