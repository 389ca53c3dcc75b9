"""Numbers against a reference, beside closed forms: shells of frequency, surfaces, edges, thickness maps."""

from math import log, pi, sqrt

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from tests import made
from tests.made import measured

from bonectl.errors import UsageError
from bonectl.metrics.fsc import crossing, half_bit, shells
from bonectl.morphology.cells import BONE, MARROW
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.threshold import Threshold

SIDE = 0.02


def specimen(grey, cut=0.5, unit="mgHA/cm3", side=SIDE):
    return made.specimen(grey > cut, (side,) * 3, None if unit == "label" else grey, unit, cut=cut)


def white(seed, shape=(40, 48, 52)):
    return np.random.default_rng(seed).normal(size=shape)


def ball(radius, n=48, centre=(23.3, 23.8, 24.1)):
    """Share of each voxel inside a ball, from 4³ points."""
    fine = (np.arange(4 * n) + 0.5) / 4 - 0.5
    z, y, x = np.meshgrid(*(fine - c for c in centre), indexing="ij", sparse=True)
    inside = (z * z + y * y + x * x < radius**2).astype(np.float32)
    return inside.reshape(n, 4, n, 4, n, 4).mean((1, 3, 5))


# ---- Fourier shells -----------------------------------------------------------------------------------------------


def bandlimited(shape, width, seed=0):
    """White noise times exp(-(f / width)²), f in shares of the Nyquist frequency."""
    f = [2 * np.fft.fftfreq(n) for n in shape]
    radius = np.sqrt(f[0][:, None, None] ** 2 + f[1][:, None] ** 2 + f[2] ** 2)
    return np.fft.ifftn(np.fft.fftn(white(seed, shape)) * np.exp(-((radius / width) ** 2))).real


def test_a_volume_correlates_with_itself_in_every_shell():
    assert shells(white(0), 3 * white(0) + 7)[0][1:] == pytest.approx(np.ones(24))


def test_what_never_falls_has_no_crossing_and_no_number(heard):
    there = measured("fsc", specimen(white(0)), specimen(white(0)))
    assert np.isnan(list(there.values())).all()
    assert "no crossing" in heard[0]
    assert "stays above" in heard[0]


def test_what_never_agrees_has_no_crossing_either(heard):
    there = measured("fsc", specimen(white(0)), specimen(-white(0)))
    assert np.isnan(there["fsc_resolution"])
    assert "is below" in heard[0]


def test_blur_alone_changes_no_correlation_and_noise_does():
    signal = white(0)
    assert shells(gaussian_filter(signal, 0.5, mode="wrap"), signal)[0][2:12].min() > 0.9
    noisy = signal + white(1)  # correlation with the clean one: 1 / sqrt(1 + 1) everywhere
    assert shells(noisy, signal)[0][4:] == pytest.approx(np.full(21, 0.5**0.5), abs=0.06)
    assert abs(shells(white(2), signal)[0][6:]).max() < 0.15


@pytest.mark.parametrize("criterion", ["reference", "halves"])
def test_the_crossing_is_where_theory_has_it_and_both_criteria_agree(criterion):
    """Signal of amplitude a(f), noise n: against the truth 1/sqrt(1 + n²/a²), of two halves 1/(1 + n²/a²)."""
    shape, width, noise = (72, 72, 72), 0.5, 0.25
    signal = bandlimited(shape, width)
    other = signal if criterion == "reference" else signal + noise * white(2, shape)
    there = measured(f"fsc(criterion={criterion})", specimen(signal + noise * white(1, shape)), specimen(other))
    expected = width * sqrt(-log(noise * sqrt(0.143 / 0.857)))  # a² = n² T / (1 - T)
    assert there["fsc_frequency"] * 2 * SIDE == pytest.approx(expected, rel=0.01)
    assert there["fsc_resolution"] == pytest.approx(1 / there["fsc_frequency"])


def test_the_half_bit_curve_has_its_limits():
    """0.1716 for endless shells; 1 bit-wise undecidable ones lie at 1."""
    assert half_bit(np.array([1e12]))[0] == pytest.approx(0.2071 / 1.2071, abs=1e-4)
    assert half_bit(np.array([1.0]))[0] == pytest.approx(2.1173 / 2.1173, abs=1e-9)


def test_half_bit_lies_near_the_fixed_criterion_for_large_shells():
    shape = (72, 72, 72)
    signal = bandlimited(shape, 0.5)
    halves = [specimen(signal + 0.25 * white(seed, shape)) for seed in (1, 2)]
    fixed, curve = (measured(f"fsc(criterion={c})", *halves)["fsc_frequency"] for c in ("halves", "halfbit"))
    assert 0.9 * fixed < curve < fixed


def test_crossing_is_linear_between_shells():
    flat = np.full(5, 0.5)
    assert crossing(np.array([0, 1, 0.8, 0.4, 0.9]), flat) == pytest.approx((2 + 0.75) / 4)
    assert np.isnan(crossing(np.array([0, 1, 0.8, 0.7, 0.6]), flat))
    assert np.isnan(crossing(np.array([1, 0.2, 0.8, 0.7, 0.6]), flat))


# ---- surfaces -----------------------------------------------------------------------------------------------------


def test_balls_in_each_other_are_as_far_apart_as_their_radii():
    there = measured("surface_distance", specimen(ball(18.0), unit="label"), specimen(ball(14.5), unit="label"))
    assert there["surface_distance"] == pytest.approx(3.5 * SIDE, rel=0.05)
    assert there["surface_distance_max"] < (3.5 + 1.1) * SIDE
    assert there["surface_distance_95"] == pytest.approx(3.5 * SIDE, abs=0.6 * SIDE)


def test_a_speck_is_the_largest_distance_until_purified():
    clean = ball(12.0)
    speck = clean.copy()
    speck[4, 24, 24] = 1
    there = measured("surface_distance", specimen(speck, unit="label"), specimen(clean, unit="label"))
    assert there["surface_distance_max"] > 6 * SIDE
    assert there["surface_distance_max_purified"] == 0
    assert there["surface_distance_from"] == 0 < there["surface_distance_to"]


def test_distance_is_in_millimetres_on_any_voxel():
    mask = np.zeros((12, 10, 10), bool)
    mask[2:4], moved = True, np.zeros((12, 10, 10), bool)
    moved[5:7] = True

    def plate(m):
        return Specimen(
            np.where(m, BONE, MARROW).astype(np.uint8), (0.05, 0.01, 0.02), "label", Threshold(0.5, "label", "t")
        )

    there = measured("surface_distance", plate(mask), plate(moved))
    assert there["surface_distance_max"] == pytest.approx(3 * 0.05)
    assert there["surface_distance"] == pytest.approx(2.5 * 0.05)


# ---- edges --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("sigma", [0.8, 1.2, 1.8])
def test_the_edge_of_a_blurred_ball_is_the_blur_and_the_voxel(sigma, noise):
    """Variances add: of the Gaussian, and 1/12 of the box of a voxel."""
    sharp = ball(17.0)
    image = gaussian_filter(sharp, sigma) + noise * white(3, sharp.shape)
    there = measured("mtf", specimen(image), specimen(sharp))
    expected = sqrt(sigma**2 + 1 / 12) * SIDE
    assert there["edge_sigma"] == pytest.approx(expected, rel=0.012)
    assert there["mtf10"] == pytest.approx(sqrt(log(10) / 2) / (pi * there["edge_sigma"]))
    assert there["mtf10_um"] == pytest.approx(500 / there["mtf10"])


def test_an_edge_that_moved_is_shifted_and_as_sharp():
    there = measured("mtf", specimen(gaussian_filter(ball(16.0), 1.0)), specimen(ball(17.0)))
    assert there["edge_shift"] == pytest.approx(SIDE, abs=0.06 * SIDE)
    assert there["edge_sigma"] == pytest.approx(sqrt(1 + 1 / 12) * SIDE, rel=0.01)


def test_the_reference_may_be_a_mask():
    image = specimen(gaussian_filter(ball(17.0), 1.2))
    there = measured("mtf", image, specimen(ball(17.0), unit="label"))
    assert there["edge_sigma"] == pytest.approx(sqrt(1.2**2 + 1 / 12) * SIDE, rel=0.01)


def test_walls_too_thin_for_an_edge_are_refused():
    with pytest.raises(UsageError, match="200 are needed"):
        measured("mtf", specimen(ball(3.0, 24, (11.0,) * 3)), specimen(ball(3.0, 24, (11.0,) * 3)))


# ---- thickness maps -----------------------------------------------------------------------------------------------


def slab(thickness, n=40):
    mask = np.zeros((n, n, n), np.float32)
    mask[10 : 10 + thickness] = 1
    return specimen(mask, unit="label")


def test_plates_differ_by_their_thickness():
    there = measured("tbth_distance", slab(10), slab(6))
    assert there["tbth_shift"] == pytest.approx(4 * SIDE, rel=0.03)
    assert there["tbth_distance"] == pytest.approx(4 * SIDE, rel=0.03)
    assert set(measured("tbth_distance", slab(6), slab(6)).values()) == {0.0}


def test_bones_without_a_common_voxel_have_no_difference():
    mask = np.zeros((40, 40, 40), np.float32)
    mask[25:31] = 1
    there = measured("tbth_distance", slab(6), specimen(mask, unit="label"))
    assert np.isnan(there["tbth_shift"])
    assert there["tbth_distance"] == pytest.approx(0, abs=0.01 * SIDE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fsc(criterion=rose)", "there are reference, halves, halfbit"),
        ("mtf(reach=0.2)", "at least 1 voxel"),
        ("tbth_distance(convention=mine)", "no thickness convention"),
    ],
)
def test_nonsense_knobs_are_refused(text, message):
    with pytest.raises(UsageError, match=message):
        measured(text, specimen(ball(6.0, 20, (9.0,) * 3)), specimen(ball(6.0, 20, (9.0,) * 3)))


def test_thin_slices_are_refused():
    thin = specimen(white(0)[:, :4])
    with pytest.raises(UsageError, match="at least 8"):
        measured("fsc", thin, thin)
