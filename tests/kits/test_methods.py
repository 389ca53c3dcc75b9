"""Reconstruction methods against objects that are known in closed form."""

import numpy as np
import pytest
import torch

from bonectl.core import kit
from bonectl.core.geometry import Angles
from bonectl.core.header import SINOGRAMS, Header
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.geometries.parallel import parallel
from bonectl.methods._quadrature import longer_side, missing_wedge, ray_weights, view_weights
from bonectl.methods._ramp import padded_length, response, truncated_rows
from bonectl.methods.cgls import cgls
from bonectl.methods.fbp import fbp
from bonectl.methods.fista import fista
from bonectl.methods.sirt import sirt
from bonectl.methods.tv import tv
from bonectl.ops.reconstruct import reconstruct
from bonectl.projection.projector import Projector

VOXEL = 0.02  # mm
SIZE = 128
VIEWS = 200
MIDDLE = (SIZE - 1) / 2


def disc_scan(geometry, radius, x, y, attenuation=2.0):
    """Exact line integrals of a disc of `attenuation` [1/cm]; lengths in voxels from the axis: (1, view, col)."""
    fine = (np.arange(16) + 0.5) / 16 - 0.5
    s = (np.arange(geometry.columns)[:, None] + fine - geometry.centre) * geometry.pitch / VOXEL
    t = geometry.angles.radians[:, None, None]
    chord = 2 * np.sqrt(np.maximum(0, radius**2 - (s - x * np.cos(t) - y * np.sin(t)) ** 2))
    return torch.from_numpy((attenuation * chord.mean(-1) * VOXEL / 10)[None].astype(np.float32))


def turned(degrees, **detector):
    """Views at given angles, on a detector of the width of the grid."""
    detector = {"columns": SIZE} | detector
    return parallel(SIZE, 1, VOXEL, views=len(degrees), **detector).replace(angles=Angles.of(degrees))


def distance(x, y):
    row, column = np.mgrid[:SIZE, :SIZE] - MIDDLE
    return np.hypot(column - x, row - y)


GEOMETRIES = {
    "half turn": parallel(SIZE, 1, VOXEL, views=VIEWS, columns=SIZE),
    "full turn": parallel(SIZE, 1, VOXEL, views=2 * VIEWS, arc=360.0, columns=SIZE),
    "backwards": parallel(SIZE, 1, VOXEL, views=VIEWS, arc=-180.0, start=20.0, columns=SIZE),
    "axis off": parallel(SIZE, 1, VOXEL, views=VIEWS, columns=150, centre=80.3),
    "fine pixels": parallel(SIZE, 1, VOXEL, views=VIEWS, columns=200, pitch=0.7 * VOXEL),
    "wide pixels": parallel(SIZE, 1, VOXEL, views=VIEWS, columns=100, pitch=1.3 * VOXEL),
    "irregular": parallel(SIZE, 1, VOXEL, views=300, columns=SIZE).replace(
        angles=Angles.of(np.sort(np.random.default_rng(0).uniform(0, 180, 300)))
    ),
    "golden": parallel(SIZE, 1, VOXEL, views=VIEWS, columns=SIZE).replace(
        angles=Angles.of(np.arange(VIEWS) * 111.246117975)
    ),
    "both ends": parallel(SIZE, 1, VOXEL, views=VIEWS + 1, arc=180.0 * (VIEWS + 1) / VIEWS, columns=SIZE),
    "both ends of a turn": turned(np.arange(2 * VIEWS + 1) * 180 / VIEWS),
    "540 degrees": turned(np.arange(3 * VIEWS) * 180 / VIEWS),
    "720 degrees": turned(-np.arange(4 * VIEWS) * 180 / VIEWS),
    "half acquisition": parallel(SIZE, 1, VOXEL, views=2 * VIEWS, arc=360.0, columns=70, centre=10.3),
    "half acquisition, other end": parallel(SIZE, 1, VOXEL, views=399, arc=-360.0, columns=70, centre=60.1),
    "half acquisition, golden": turned(np.arange(2 * VIEWS) * 111.246117975, columns=70, centre=10.3),
    "half acquisition, both ends": turned(np.arange(2 * VIEWS + 1) * 180 / VIEWS, columns=70, centre=20.0),
    "half acquisition, 720 degrees": turned(np.arange(4 * VIEWS) * 180 / VIEWS, columns=70, centre=10.3),
    "axis a little off, full turn": parallel(SIZE, 1, VOXEL, views=2 * VIEWS, arc=360.0, columns=SIZE, centre=66.0),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_fbp_of_a_disc_has_its_attenuation(name):
    """Mean over the disc within 1e-3 (irregular views: 5e-3), air at 0."""
    g = GEOMETRIES[name]
    volume = fbp(Projector(g), disc_scan(g, 40.0, 5.0, -3.0))[0].numpy()
    bound = 5e-3 if name == "irregular" else 1e-3
    assert volume[distance(5, -3) < 30].mean() == pytest.approx(2.0, rel=bound)
    air = (distance(5, -3) > 45) & (distance(0, 0) < SIZE / 2)
    assert abs(volume[air].mean()) <= 2 * bound


@pytest.mark.parametrize("window", ["ram-lak", "hann", "sinc2"])
@pytest.mark.parametrize("pixels", ["bandlimited", "strip"])
def test_windows_and_pixels_keep_the_mean(window, pixels):
    g = GEOMETRIES["half turn"]
    volume = fbp(Projector(g), disc_scan(g, 40.0, 0.0, 0.0), window=window, pixels=pixels)[0].numpy()
    assert volume[distance(0, 0) < 30].mean() == pytest.approx(2.0, rel=2e-3)


def test_smoother_windows_pass_less_noise():
    g = GEOMETRIES["half turn"]
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((1, VIEWS, SIZE)).astype(np.float32))
    kinds = ({}, {"window": "sinc2"}, {"window": "hann"}, {"window": "hann", "cutoff": 0.5})
    spread = [float(fbp(Projector(g), noise, **knobs).std()) for knobs in kinds]
    assert spread == sorted(spread, reverse=True)
    assert spread[-1] < 0.3 * spread[0]


def test_mirrored_angles_mirror_the_slice():
    """The trap users fear: a scanner that turns the other way gives a slice that is flipped, not a worse one."""
    g = GEOMETRIES["half turn"]
    scan = disc_scan(g, 20.0, 10.0, 15.0)
    other = g.replace(angles=Angles(0.0, -180 / VIEWS, VIEWS))
    right, wrong = fbp(Projector(g), scan), fbp(Projector(other), scan)
    torch.testing.assert_close(wrong, right.flip(-2), atol=5e-3, rtol=0)


def test_fbp_is_differentiable():
    g = parallel(16, 1, VOXEL, views=20, columns=20)
    A = Projector(g)
    y = torch.rand(1, 20, 20, requires_grad=True)
    w = torch.rand(1, 16, 16)
    (gradient,) = torch.autograd.grad((fbp(A, y) * w).sum(), y)
    step = torch.rand(1, 20, 20)
    change = (fbp(A, y.detach() + step) * w).sum() - (fbp(A, y.detach()) * w).sum()
    assert float(change) == pytest.approx(float((gradient * step).sum()), rel=1e-4)


def test_a_truncated_scan_is_continued():
    """A disc twice as wide as the detector: flat inside instead of bright at the rim."""
    g = parallel(64, 1, VOXEL, views=VIEWS, columns=64)
    scan = disc_scan(g, 60.0, 0.0, 0.0)
    assert truncated_rows(scan, g) == [True]
    assert truncated_rows(disc_scan(g, 24.0, 0.0, 0.0), g) == [False]
    volume = fbp(Projector(g), scan)[0].numpy()
    row, column = np.mgrid[:64, :64] - 31.5
    inside, rim = np.hypot(row, column) < 8, np.abs(np.hypot(row, column) - 27) < 2
    assert abs(volume[rim].mean() / volume[inside].mean() - 1) < 0.15


def test_refuses_unknown_knobs():
    A, y = Projector(GEOMETRIES["half turn"]), torch.zeros(1, VIEWS, SIZE)
    with pytest.raises(UsageError, match="no window 'hamming'; there are ram-lak, hann, sinc2"):
        fbp(A, y, window="hamming")
    for cutoff in (0.0, 1.5, float("nan")):
        with pytest.raises(UsageError, match="share of the Nyquist"):
            fbp(A, y, cutoff=cutoff)
    with pytest.raises(UsageError, match="no pixel model"):
        fbp(A, y, pixels="square")


def test_ramp_response():
    """|f| in the middle of the band, and not 0 at 0: the transform of a finite impulse response."""
    ramp = response(padded_length(100), "ram-lak", 1.0)
    frequency = np.arange(ramp.size) / padded_length(100)
    np.testing.assert_allclose(ramp[10:-10], frequency[10:-10], atol=1e-4, rtol=0)
    assert 0 < float(ramp[0]) < 2 / (np.pi**2 * 100)
    assert padded_length(100) >= 200
    half = response(padded_length(100), "hann", 0.5)
    assert not half[frequency > 0.2501].any()


@pytest.mark.parametrize(
    ("degrees", "weights"),
    [
        ([0.0], [180]),
        ([0, 45, 90, 135], [45, 45, 45, 45]),
        ([0, 90, 180, 270], [45, 45, 45, 45]),
        ([0, 60, 120, 180], [30, 60, 60, 30]),
        ([170, 10, 90], [50, 50, 80]),
        ([-90, 0], [90, 90]),
    ],
)
def test_view_weights(degrees, weights):
    assert np.rad2deg(view_weights(np.array(degrees, float))) == pytest.approx(weights)
    assert missing_wedge(np.array(degrees, float)) == pytest.approx(0, abs=1e-9)


def test_a_missing_wedge_is_not_stood_for():
    degrees = np.arange(0, 121.0)
    assert np.rad2deg(view_weights(degrees)) == pytest.approx(np.ones(121))
    assert missing_wedge(degrees) == pytest.approx(59)


def jittered(rng):
    """Directions as encoders give them: even, golden or irregular, each 1 to 5 times, with jitter, shuffled."""
    count, times, turn = rng.integers(3, 61), rng.integers(1, 6), rng.choice([180.0, 360.0])
    kinds = (
        np.arange(count) * turn / count,
        np.arange(count + 1) * turn / count,
        np.arange(count) * 111.246117975,
        (np.arange(count) + rng.uniform(-0.3, 0.3, count)) * turn / count,
    )
    degrees = np.tile(kinds[rng.integers(len(kinds))], times)
    return rng.permutation(degrees + rng.normal(0, rng.choice([0.0, 1e-4, 0.005, 0.02]), degrees.size))


def test_view_weights_of_any_directions_are_positive_and_add_up_to_pi():
    rng = np.random.default_rng(0)
    for _ in range(300):
        weights = view_weights(jittered(rng))
        assert weights.min() > 0
        assert weights.sum() == pytest.approx(np.pi, rel=1e-9)


@pytest.mark.parametrize(("directions", "times"), [(36, 2), (30, 3), (60, 3), (40, 5)])
def test_repeated_directions_with_jitter_share_their_part(directions, times):
    for seed in range(50):
        degrees = np.tile(np.arange(directions) * 180 / directions, times)
        degrees += np.random.default_rng(seed).normal(0, 0.005, degrees.size)
        assert view_weights(degrees) == pytest.approx(np.full(degrees.size, np.pi / degrees.size), rel=0.01)


@pytest.mark.parametrize("seed", range(6))
def test_fbp_of_views_that_are_repeated_with_jitter(seed):
    rng = np.random.default_rng(seed)
    degrees = np.tile(np.arange(100) * (1.8, 3.6)[seed % 2], rng.integers(2, 5))
    g = turned(rng.permutation(degrees + rng.normal(0, 0.005, degrees.size)), columns=SIZE + 1 + seed % 2)
    volume = fbp(Projector(g), disc_scan(g, 40.0, 5.0, -3.0))[0].numpy()
    assert volume[distance(5, -3) < 30].mean() == pytest.approx(2.0, rel=0.01)


def test_rays_of_half_acquisition_count_once():
    """A ray and its reverse, at the same distance on the other side of the axis and half a turn on, add up to 1."""
    g = parallel(SIZE, 1, VOXEL, views=80, arc=360.0, columns=70, centre=10.0)
    weights = ray_weights(g) / np.deg2rad(360 / 80)
    assert weights[:, 0:21] + np.roll(weights, 40, axis=0)[:, 20::-1] == pytest.approx(np.ones((80, 21)))
    assert weights[:, 21:] == pytest.approx(np.ones((80, 49)))
    assert weights.min() >= 0
    assert np.abs(np.diff(weights, axis=1)).max() < 0.25
    half = parallel(SIZE, 1, VOXEL, views=80, columns=70, centre=10.0)
    assert ray_weights(half) == pytest.approx(np.full((80, 1), np.pi / 80))
    assert not longer_side(parallel(SIZE, 1, VOXEL, columns=70, centre=35.0)).any()


def test_a_turn_that_is_not_full_keeps_what_is_measured_once():
    """10 degrees are missing: 3 % where nothing else is, and no more."""
    g = turned(np.arange(350.0), columns=70, centre=20.0)
    volume = fbp(Projector(g), disc_scan(g, 40.0, 5.0, -3.0))[0].numpy()
    assert volume[distance(5, -3) < 30].mean() == pytest.approx(2.0, rel=0.03)


def test_half_acquisition_is_cut_off_only_where_the_longer_side_is():
    g = GEOMETRIES["half acquisition"]
    whole, cut = disc_scan(g, 40.0, 5.0, -3.0), disc_scan(g, 62.0, 5.0, -3.0)
    assert truncated_rows(whole, g) == [False]
    assert truncated_rows(cut, g) == [True]
    half = g[: g.views // 2]
    assert truncated_rows(whole[:, : half.views], half) == [True]


def test_noisy_air_is_not_cut_off():
    g = GEOMETRIES["half turn"].replace(rows=200)
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.01, g.shape).astype(np.float32))
    assert not any(truncated_rows(noise, g))
    faint = disc_scan(g, 60.0, 10.0, 0.0, attenuation=0.2)
    assert all(truncated_rows(faint + noise, g))


@pytest.mark.parametrize("method", [sirt, cgls, tv, fista])
def test_iterations_take_half_acquisition(method):
    g = parallel(SIZE, 1, VOXEL, views=120, arc=360.0, columns=70, centre=10.3)
    volume = method(Projector(g), disc_scan(g, 40.0, 5.0, -3.0))[0].numpy()
    assert volume[distance(5, -3) < 30].mean() == pytest.approx(2.0, rel=5e-3)


@pytest.mark.parametrize("degrees", [np.arange(60.0), np.linspace(0, np.pi, 12), [0.0, 0.005], [10.0, 20.0, 30.0]])
def test_views_that_cover_little_are_refused(degrees):
    """Most of the density would be lost; what looks so by mistake, such as radians, is told."""
    g = turned(degrees)
    with pytest.raises(UsageError, match=r"the views cover .* of 180 degrees"):
        fbp(Projector(g), torch.zeros(1, g.views, SIZE))


def small():
    """A projector so small that its matrix can be inverted, and consistent and noisy scans."""
    g = parallel(12, 1, VOXEL, views=17, columns=19)
    A = Projector(g)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(3, 12, 12, generator=generator)
    return A, x, A(x)


def test_cgls_finds_the_least_squares():
    A, _, y = small()
    y = y + 0.01 * torch.rand(y.shape, generator=torch.Generator().manual_seed(1))
    matrix = A(torch.eye(144).reshape(144, 12, 12)).reshape(144, -1).T.double()
    columns = y.reshape(3, -1).T.double()
    least = (columns - matrix @ torch.linalg.lstsq(matrix, columns).solution).norm(dim=0)
    found = (y - A(cgls(A, y, iterations=300, tolerance=1e-7))).reshape(3, -1).double().norm(dim=1)
    assert (found <= 1.01 * least).all()
    assert (least < 0.9 * columns.norm(dim=0)).all()


def test_sirt_descends_and_stays_positive():
    A, x, y = small()
    errors = [float((sirt(A, y, iterations=n) - x).norm()) for n in (1, 10, 100, 400)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.5 * errors[0]
    noisy = y + 0.05 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    assert sirt(A, noisy, iterations=30).min() < 0
    assert sirt(A, noisy, iterations=30, nonnegative=True).min() == 0


@pytest.mark.parametrize("method", [sirt, cgls])
def test_iterations_give_a_disc_its_attenuation(method):
    g = GEOMETRIES["half turn"]
    volume = method(Projector(g), disc_scan(g, 40.0, 5.0, -3.0))[0].numpy()
    assert volume[distance(5, -3) < 30].mean() == pytest.approx(2.0, rel=3e-3)
    assert abs(volume[(distance(5, -3) > 45) & (distance(0, 0) < SIZE / 2)].mean()) < 0.01


@pytest.mark.parametrize("method", [sirt, cgls])
def test_slices_do_not_see_each_other(method):
    """Steps and the end of the iterations belong to a slice: its neighbours change rounding only."""
    A, _, y = small()
    loud = y.clone()
    loud[1:] *= 50
    loud[2] += 1
    alone = method(A, y, iterations=30, tolerance=1e-3)
    torch.testing.assert_close(method(A, loud, iterations=30, tolerance=1e-3)[0], alone[0], atol=2e-3, rtol=0)
    assert not method(A, torch.zeros_like(y)).any()


@pytest.mark.parametrize("method", [sirt, cgls])
def test_a_tolerance_ends_early(method):
    A, _, y = small()
    calls = []
    A.register_forward_hook(lambda *_: calls.append(1))
    method(A, y, iterations=200, tolerance=1e-3)
    assert 1 < len(calls) < 50


@pytest.mark.parametrize("method", [sirt, cgls])
@pytest.mark.parametrize("knobs", [{"iterations": 0}, {"tolerance": -1.0}, {"tolerance": float("nan")}])
def test_iterations_refuse_nonsense(method, knobs):
    A, _, y = small()
    with pytest.raises(UsageError, match="at least 1, and 0 to 1"):
        method(A, y, **knobs)


PARALLEL = [name for name in kit.names("methods") if "parallel" in kit.fact("methods", name, "BEAMS")]


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("name", [name for name in PARALLEL if name not in ("lpd", "pnp")])
@pytest.mark.filterwarnings("error")
def test_a_scan_that_may_not_be_written_to_is_only_read(name, backend):
    """Slabs can be the caller's own memory, or a map of a file."""
    known = kit.describe("methods", name).knobs
    told = [f"{knob}={value}" for knob, value in {"iterations": 2, "kv": 60}.items() if knob in known]
    geometry = parallel(16, 4, 0.1, views=20)
    lines = np.random.default_rng(0).random(geometry.shape, dtype=np.float32)
    before = lines.copy()
    lines.flags.writeable = False
    header = Header(shape=geometry.shape, axes=SINOGRAMS, unit="line integral", geometry=geometry)
    reconstruct(Stack.of(lines, header), method=f"{name}({', '.join(told)})", backend=backend).collect()
    assert np.array_equal(lines, before)
