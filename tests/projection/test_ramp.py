"""The ramp filter at every length that a detector can ask for."""

from math import pi

import numpy as np
import pytest
from scipy.fft import next_fast_len

from bonectl.methods._ramp import padded_length
from bonectl.projection.ramp import ramp


def _by_the_sum(length: int) -> float:
    """The ramp at the mean, from its impulse response term by term."""
    return (
        0.25 - sum(2 / (pi * n) ** 2 for n in range(1, length // 2, 2)) - ((length // 2) % 2) / (pi * length / 2) ** 2
    )


@pytest.mark.parametrize("length", [*range(2, 64, 2), 96, 1458, 2916, 4374, 5832, 8748, 11664, 17496])
def test_the_mean_is_what_the_impulse_response_sums_up_to(length: int) -> None:
    assert ramp(length)[0] == pytest.approx(_by_the_sum(length), abs=1e-12)


def test_every_length_that_detectors_up_to_4096_columns_ask_for_is_a_ramp() -> None:
    for length in {padded_length(columns) for columns in range(1, 4097)}:
        frequency = np.arange(length // 2 + 1) / length
        assert np.abs(ramp(length) - frequency).max() < 1 / length, length


def test_a_padded_length_is_even_and_holds_the_detector_twice() -> None:
    for columns in range(1, 4097):
        length = padded_length(columns)
        assert length % 2 == 0
        assert length >= 2 * columns
        assert length == next_fast_len(length, real=True)
