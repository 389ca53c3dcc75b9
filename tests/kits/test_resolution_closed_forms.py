"""Resolution beside closed forms: Fourier shells of known power spectra, and edges blurred by a known Gaussian."""

from math import log, pi, sqrt

import numpy as np
import pytest
from scipy.special import erf
from tests import made
from tests.made import measured

from bonectl.metrics.fsc import shells

SIDE = 0.0195


def specimen(grey, cut=0.5):
    return made.specimen(grey > cut, (SIDE,) * 3, grey, "mgHA/cm3", cut=cut)


# ---- Fourier shells -----------------------------------------------------------------------------------------------

CUBE = (96, 96, 96)
RUNS = 8

# Width of the signal's spectrum [share of the Nyquist frequency], and standard deviation of the noise.
SPECTRA = [(0.35, 0.2), (0.5, 0.25), (0.6, 0.5)]


def white(*key):
    return np.random.default_rng(key).normal(size=CUBE)


def signal(width, run):
    """A field of power S(f) = exp(-2 (f / width)²), beside which white noise of variance 1 has power 1."""
    f = [2 * np.fft.fftfreq(n) for n in CUBE]
    square = f[0][:, None, None] ** 2 + f[1][:, None] ** 2 + f[2] ** 2
    return np.fft.ifftn(np.fft.fftn(white(run, 0)) * np.exp(-square / width**2)).real


def correlation(frequency, width, noise):
    """S / (S + N), of two copies with noise of their own."""
    power = np.exp(-2 * (frequency / width) ** 2)
    return power / (power + noise**2)


@pytest.mark.parametrize(("width", "noise"), SPECTRA)
def test_noisy_copies_of_one_field_correlate_as_their_power_spectra_say(width, noise):
    """Two copies S / (S + N); a copy and the field itself, the root of that. In every shell, in the mean of 8 draws.

    Each shell is held to 3 standard errors, (1 - FSC²) / sqrt(coefficients) for one draw; the first two are a few
    coefficients of a steep spectrum.
    """
    halves, truths = [], []
    for run in range(RUNS):
        field = signal(width, run)
        one, two = (field + noise * white(run, k) for k in (1, 2))
        curve, coefficients = shells(one, two)
        halves.append(curve)
        truths.append(shells(one, field)[0])
    wanted = correlation(np.linspace(0, 1, curve.size), width, noise)
    for found, expected in ((halves, wanted), (truths, np.sqrt(wanted))):
        error = (1 - expected**2) / np.sqrt(coefficients * RUNS)
        off = np.abs(np.mean(found, axis=0) - expected)
        assert (off < 3 * error)[3:].all()
        assert off[3:].max() < 0.035


@pytest.mark.parametrize(("width", "noise"), SPECTRA)
@pytest.mark.parametrize(("criterion", "level"), [("halves", 0.143), ("reference", sqrt(0.143))])
def test_the_crossing_is_where_the_spectra_have_it(criterion, level, width, noise):
    """Where the power of the signal is N T / (1 - T), T the correlation of two copies: 0.5 % in the mean of 8."""
    ratio = level if criterion == "halves" else level**2
    expected = width * sqrt(-log(noise**2 * ratio / (1 - ratio)) / 2) / (2 * SIDE)
    found = []
    for run in range(RUNS):
        field = signal(width, run)
        other = field if criterion == "reference" else field + noise * white(run, 2)
        found.append(measured(f"fsc(criterion={criterion})", specimen(field + noise * white(run, 1)), specimen(other)))
    frequency = np.array([there["fsc_frequency"] for there in found])
    assert frequency.mean() == pytest.approx(expected, rel=0.005)
    assert np.abs(frequency / expected - 1).max() < 0.03
    assert [there["fsc_resolution"] for there in found] == pytest.approx(1 / frequency)


# ---- edges --------------------------------------------------------------------------------------------------------

N = 56
RADIUS = 20.0
SIGMAS = (0.8, 1.2, 1.8)


def surface(kind, seed, fine=1):
    """Signed distance to a tilted plane or to a ball, at a random place [voxel]; bone positive, on `fine`³ points."""
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    places = (np.arange(fine * N) + 0.5) / fine - 0.5
    z, y, x = np.meshgrid(*(places - c for c in (N - 1) / 2 + rng.uniform(-0.5, 0.5, 3)), indexing="ij", sparse=True)
    if kind == "plane":
        return axis[0] * z + axis[1] * y + axis[2] * x
    return RADIUS - np.sqrt(z * z + y * y + x * x)


def sharp(kind, seed):
    """Share of each voxel inside, from 4³ points."""
    inside = surface(kind, seed, 4) > 0
    return inside.reshape(N, 4, N, 4, N, 4).mean((1, 3, 5), dtype=np.float32)


def blurred(kind, seed, sigma):
    """The same after a Gaussian, at the voxel centres and by formula: no box of a voxel is in it."""
    depth, root = surface(kind, seed), sqrt(2) * sigma
    if kind == "plane":
        return 0.5 * (1 + erf(depth / root))
    near, far, r = depth, 2 * RADIUS - depth, np.maximum(RADIUS - depth, 1e-6)
    tails = np.exp(-((near / root) ** 2)) - np.exp(-((far / root) ** 2))
    return 0.5 * (erf(near / root) + erf(far / root)) - sigma / (sqrt(2 * pi) * r) * tails


# Largest error of edge_sigma over the poses below. Binning by signed distance elsewhere: 4, 8 and 8 % at 0.8, 1.2, 2.
CLOSE = {"plane": 0.02, "ball": 0.004}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("kind", list(CLOSE))
def test_an_edge_has_the_spread_of_its_gaussian_and_its_mtf(kind, sigma, seed):
    """MTF(f) = exp(-2 π² σ² f²), which is 10 % at sqrt(ln 10 / 2) / (π σ); σ in mm, f in 1/mm."""
    there = measured("mtf", specimen(blurred(kind, seed, sigma)), specimen(sharp(kind, seed)))
    spread = sigma * SIDE
    assert there["edge_sigma"] == pytest.approx(spread, rel=CLOSE[kind])
    assert there["mtf10"] == pytest.approx(sqrt(log(10) / 2) / (pi * spread), rel=CLOSE[kind])
    assert np.exp(-2 * (pi * there["edge_sigma"] * there["mtf10"]) ** 2) == pytest.approx(0.1)
    assert there["mtf10_um"] == pytest.approx(500 / there["mtf10"])


@pytest.mark.parametrize("sigma", SIGMAS)
def test_a_plane_stays_and_a_ball_shrinks_by_its_curvature(sigma):
    """Across a ball of radius R a Gaussian shifts the edge inwards by σ²/R, to first order in σ/R."""
    shifts = {
        kind: measured("mtf", specimen(blurred(kind, 1, sigma)), specimen(sharp(kind, 1)))["edge_shift"]
        for kind in CLOSE
    }
    assert shifts["plane"] == pytest.approx(0, abs=0.002 * SIDE)
    assert shifts["ball"] == pytest.approx(sigma**2 / RADIUS * SIDE, abs=0.004 * SIDE)
