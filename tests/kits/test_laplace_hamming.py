"""The Laplace-Hamming filter against its definition, and filters before a threshold in a stream."""

from math import cos, pi

import numpy as np
import pytest
from tests import made

from bonectl.core import kit
from bonectl.core.spec import parse
from bonectl.errors import UsageError
from bonectl.morphology.threshold import Gaussian
from bonectl.ops.measure import measure

SPACING = (0.07, 0.06, 0.065)


def cut(text="laplace_hamming", unit="mgHA/cm3", spacing=SPACING):
    return kit.bind("segmentations", parse(text))(unit, spacing)


def volume(array, slab=None):
    return made.stack(array, spacing=(0.06,) * 3, slab=slab)


@pytest.mark.parametrize("mode", [(0, 0, 0), (3, 0, 0), (0, 7, 0), (2, 5, 6), (0, 0, 13), (20, 20, 20)])
@pytest.mark.parametrize("knobs", ["", "(epsilon=0.5, cutoff=0.4)", "(epsilon=0, cutoff=0.2, amplitude=0.5)"])
def test_each_wave_is_raised_by_the_published_transfer_function(mode, knobs):
    """(1 - eps + eps k²) (1 - A/2 + A/2 cos(pi k / K)) / (1 - eps), k [cycles/mm], K = cutoff / shortest side."""
    spec = parse(f"laplace_hamming{knobs}")
    eps, share, amp = (spec.knobs.get(k, d) for k, d in (("epsilon", 0.45), ("cutoff", 0.3), ("amplitude", 1.0)))
    shape = (24, 26, 28)
    waves = [np.cos(pi * m * (np.arange(n) + 0.5) / n) for m, n in zip(mode, shape, strict=True)]
    wave = waves[0][:, None, None] * waves[1][:, None] * waves[2]
    k = np.sqrt(sum((m / (2 * n * s)) ** 2 for m, n, s in zip(mode, shape, SPACING, strict=True)))
    end = share / 0.06
    gain = ((1 - eps) + eps * k**2) / (1 - eps) * (1 - amp / 2 + amp / 2 * cos(pi * k / end)) if k < end else 0
    assert cut(str(spec)).filter(wave) == pytest.approx(gain * wave, abs=2e-5 * max(1, gain))


def test_it_is_the_fourier_filter_of_the_mirrored_volume():
    values = np.random.default_rng(0).normal(400, 200, (9, 12, 10))
    mirrored = np.pad(values, [(0, n) for n in values.shape], mode="symmetric")
    k = np.meshgrid(*(np.fft.fftfreq(n, s) for n, s in zip(mirrored.shape, SPACING, strict=True)), indexing="ij")
    there = cut()
    spectrum = np.fft.fftn(mirrored) * there.filter.response(sum(np.square(part) for part in k))
    expected = np.fft.ifftn(spectrum).real[:9, :12, :10]
    assert there.filter(values) == pytest.approx(expected, abs=1e-2)


def test_the_threshold_is_that_of_ipl():
    """475 permille of a scale that ends at 200000, of (2 pi)² (1 - eps) times native values, 8192 per 1/cm."""
    attenuation = 0.475 * 200_000 / ((2 * pi) ** 2 * (1 - 0.45) * 8192)
    assert attenuation == pytest.approx(0.534, abs=1e-3)
    assert cut().value == pytest.approx(1662.52405 * attenuation - 398.609009, abs=2)


def test_density_may_be_filtered_as_attenuation():
    mu = np.random.default_rng(1).uniform(0.1, 0.8, (8, 9, 10))
    a = cut("laplace_hamming(value=0.5)", "1/cm").bone(mu)
    b = cut(f"laplace_hamming(value={1600 * 0.5 - 400})").bone(1600 * mu - 400)
    assert (a == b).mean() > 0.99  # float32


def test_a_wide_structure_keeps_its_value_and_a_thin_one_comes_back():
    values = np.zeros((8, 8, 120), np.float32)
    values[:, :, 60:] = 900
    values[:, :, 20] = 700  # a strut of one voxel, of partial volume
    blurred = np.apply_along_axis(
        lambda row: np.convolve(np.pad(row, 2, "edge"), [0.1, 0.2, 0.4, 0.2, 0.1], "valid"), 2, values
    )
    there = cut(spacing=(0.0607,) * 3)
    filtered = there.filter(blurred)
    assert filtered[:, :, 100:].mean() == pytest.approx(900, rel=0.01)
    assert blurred[4, 4, 20] < 300 < filtered[4, 4, 20]
    bone = there.bone(blurred)[4, 4]
    assert np.flatnonzero(bone[40:])[0] == pytest.approx(20, abs=1)  # the edge stays where it was


def test_nonsense_is_refused():
    for text in ("epsilon=1", "epsilon=-0.1", "cutoff=0", "amplitude=1.5"):
        with pytest.raises(UsageError, match=text.partition("=")[0]):
            cut(f"laplace_hamming({text})")
    with pytest.raises(UsageError, match="finite"):
        kit.load("segmentations", "laplace_hamming")("1/cm", SPACING, value=float("inf"))
    with pytest.raises(UsageError, match="sigma=-1"):
        kit.bind("segmentations", parse("fixed(sigma=-1)"))("grey")


def test_the_filter_is_told_with_the_threshold():
    grey = np.random.default_rng(0).uniform(0, 1000, (10, 12, 14)).astype(np.float32)
    there = measure(volume(grey), metrics="bvtv", threshold="laplace_hamming").conditions
    assert there["threshold_rule"] == "laplace_hamming"
    assert there["threshold_filter"] == "laplace_hamming(epsilon=0.45, cutoff=0.3, amplitude=1)"
    there = measure(volume(grey), metrics="bvtv", threshold="fixed(sigma=0.8)").conditions
    assert there["threshold_filter"] == "gaussian(sigma=0.8 voxels)"
    assert measure(volume(grey), metrics="bvtv", threshold=500).conditions["threshold_filter"] == "none"


@pytest.mark.parametrize("sigma", [0.6, 0.9, 1.7, 6.0])
def test_a_gaussian_reaches_as_far_as_it_says(sigma):
    there = Gaussian(sigma)
    middle = there.reach + 2
    line = np.zeros((2 * middle + 1, 1, 1), np.float32)
    line[middle] = 1
    away = np.flatnonzero(there(line)[:, 0, 0]) - middle
    assert (away.min(), away.max()) == (-there.reach, there.reach)


@pytest.mark.parametrize("slab", [1, 7, 50])
@pytest.mark.parametrize("sigma", [0.6, 1.7, 6.0])
def test_a_gaussian_in_a_stream_is_that_of_the_whole_volume(slab, sigma):
    grey = np.random.default_rng(0).uniform(0, 1000, (50, 20, 18)).astype(np.float32)
    threshold = f"fixed(value=500, sigma={sigma})"
    held = measure(volume(grey), metrics="bvtv + euler + bmd + tmd + components", threshold=threshold)
    streamed = measure(volume(grey, slab), metrics="bvtv + euler + bmd + tmd", threshold=threshold)
    numbers = {row.number.name: row.number.value for row in held.rows}
    assert all(numbers[row.number.name] == row.number.value for row in streamed.rows)
