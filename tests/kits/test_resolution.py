"""Fourier shell correlation against what is known of it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bonectl.core.cells import BONE
from bonectl.core.cut import Cut
from bonectl.core.specimen import Specimen
from bonectl.errors import UsageError
from bonectl.metrics.resolution import crossing, resolution, shell_correlation


def specimen(grey, side=0.02):
    labels = np.full(grey.shape, BONE, np.uint8)
    return Specimen(labels, (side,) * 3, "mgHA/cm3", Cut(0.5, "mgHA/cm3", "test"), grey)


def white(seed, shape=(40, 48, 52)):
    return np.random.default_rng(seed).normal(size=shape)


def numbers(a, b, **knobs):
    return {number.name: number.value for number in resolution(specimen(a), specimen(b), **knobs)}


def test_a_volume_agrees_with_itself_up_to_the_nyquist_frequency():
    assert shell_correlation(white(0), 3 * white(0) + 7)[1:] == pytest.approx(np.ones(24))
    assert numbers(white(0), white(0)) == {"fsc": 1.0, "resolution": pytest.approx(0.04)}


def test_blur_alone_changes_no_correlation_and_noise_does():
    signal = white(0)
    assert shell_correlation(gaussian_filter(signal, 0.5, mode="wrap"), signal)[2:12].min() > 0.9
    noisy = signal + white(1)  # correlation with the clean one: 1 / sqrt(1 + 1) everywhere
    assert shell_correlation(noisy, signal)[4:] == pytest.approx(np.full(21, 0.5**0.5), abs=0.06)
    assert abs(shell_correlation(white(2), signal)[6:]).max() < 0.15


def test_the_crossing_is_where_signal_falls_below_noise():
    """Signal with a Gaussian spectrum of amplitude exp(-(f/s)²), white noise: FSC = 1/sqrt(1 + n² / amplitude²)."""
    shape, width, level = (64, 64, 64), 0.5, 0.3
    f = [2 * np.fft.fftfreq(n) for n in shape]
    radius = np.sqrt(f[0][:, None, None] ** 2 + f[1][:, None] ** 2 + f[2] ** 2)
    signal = np.fft.ifftn(np.fft.fftn(white(0, shape)) * np.exp(-((radius / width) ** 2))).real
    noisy = signal + level * white(1, shape)
    # 1 / sqrt(1 + n²/a²) = 1/2 at a = n / sqrt(3)
    expected = width * np.sqrt(-np.log(level / np.sqrt(3)))
    found = numbers(noisy, signal)
    assert found["fsc"] == pytest.approx(expected, rel=0.05)
    assert found["resolution"] == pytest.approx(2 * 0.02 / found["fsc"])


def test_crossing_is_linear_between_shells():
    assert crossing(np.array([0, 1, 0.8, 0.4, 0.9]), 0.5) == pytest.approx((2 + 0.75) / 4)
    assert crossing(np.array([0, 1, 0.8, 0.7, 0.6]), 0.5) == 1.0
    assert crossing(np.array([1, 0.2, 0.8, 0.7, 0.6]), 0.5) == 0.0


def test_what_is_refused():
    with pytest.raises(UsageError, match="between 0 and 1"):
        numbers(white(0), white(0), level=1.0)
    with pytest.raises(UsageError, match="at least 8"):
        numbers(white(0)[:, :4], white(0)[:, :4])
