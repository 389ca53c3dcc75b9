"""Draws belong to a key: the same key the same draws, another key independent ones."""

import numpy as np

from bonectl.core.draws import generator


def test_same_key_same_draws_and_other_keys_other_draws():
    base = generator(1, "poisson", 3).random(1000)
    np.testing.assert_array_equal(generator(1, "poisson", 3).random(1000), base)
    for other in (
        generator(2, "poisson", 3),
        generator(1, "poisson", 4),
        generator(1, "gain", 3),
        generator(1, "poisson", "3"),
    ):
        assert abs(np.corrcoef(other.random(1000), base)[0, 1]) < 0.1


def test_known_first_draw_stays_what_it_was():
    """Published seeds must keep their meaning: this number changes only with a 'numbers changed' note."""
    assert generator(0, "poisson", 0).integers(0, 2**63) == 6466897498506065716
