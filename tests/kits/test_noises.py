import numpy as np
import pytest

from bonectl.core.draws import generator
from bonectl.noises.electronic import electronic
from bonectl.noises.none import none
from bonectl.noises.poisson import poisson

SIZE = 200_000


@pytest.mark.parametrize("mean", [0.3, 1.0, 50.0, 1e4, 1e7])
def test_poisson_is_unbiased_with_the_mean_as_variance(mean):
    deviation = poisson(np.full(SIZE, mean), generator(3, mean.hex()))
    assert abs(deviation.mean()) < 5 * np.sqrt(mean / SIZE)
    spread = np.sqrt((2 + 1 / mean) / SIZE)  # of the sample variance of a Poisson variate, relative
    assert deviation.var() == pytest.approx(mean, rel=5 * spread)


def test_poisson_gives_whole_photons_and_nothing_for_nothing():
    counts = np.array([0.0, 0.4, 7.7, 1234.5])
    drawn = counts + poisson(counts, generator(0, "whole"))
    np.testing.assert_allclose(drawn, np.rint(drawn), atol=1e-9)
    assert drawn[0] == 0


def test_electronic_noise_does_not_depend_on_counts():
    dim, bright = np.zeros(SIZE), np.full(SIZE, 1e6)
    deviation = electronic(dim, generator(1, "e"), sd=5)
    assert deviation.std() == pytest.approx(5, rel=0.01)
    np.testing.assert_array_equal(deviation, electronic(bright, generator(1, "e"), sd=5))


def test_none_is_none():
    assert not none(np.full((2, 3), 9.0), generator(0)).any()
