"""Filtered back-projection of fan and cone beams against balls and discs in closed form."""

import numpy as np
import pytest
import torch

from bonectl.core.geometry import Angles
from bonectl.errors import UsageError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.methods._quadrature import turn_weights
from bonectl.methods._ramp import truncated_rows
from bonectl.methods.cgls import cgls
from bonectl.methods.fbp import fbp
from bonectl.methods.fdk import fdk
from bonectl.methods.sirt import sirt
from bonectl.projection.projector import Projector

VOXEL = 0.02  # mm
SIZE = 96
FAR = {"sod": 4 * SIZE * VOXEL, "sdd": 6 * SIZE * VOXEL}


def ball_scan(g, radius, x, y, z, attenuation=2.0):
    """Exact line integrals of a ball [voxel, from the middle] to points of the detector: (row, view, col).

    In a fan beam (z is not used), of a cylinder along the axis.
    """
    t = g.angles.radians[None, :, None, None, None]
    fine = (np.arange(4) + 0.5) / 4 - 0.5
    u = ((np.arange(g.columns)[:, None] + fine) - g.centre) * g.pitch
    v = ((np.arange(g.rows)[:, None] + fine) - (g.rows - 1) / 2) * g.row_pitch
    u, v = u[None, None, :, :, None], v[:, None, None, None, :]
    if g.kind == "fan":
        v, z = np.zeros_like(v[..., :1]), 0.0
    source = np.stack(np.broadcast_arrays(g.sod * np.sin(t), -g.sod * np.cos(t), 0 * t))
    away = g.sdd - g.sod
    pixel = np.stack(np.broadcast_arrays(u * np.cos(t) - away * np.sin(t), u * np.sin(t) + away * np.cos(t), v))
    ray = pixel - source
    ray /= np.sqrt((ray**2).sum(axis=0))
    to = np.array([x, y, z]).reshape(3, 1, 1, 1, 1, 1) * g.voxel - source
    off = (to**2).sum(axis=0) - (to * ray).sum(axis=0) ** 2
    chord = 2 * np.sqrt(np.maximum(0, (radius * g.voxel) ** 2 - off))
    return torch.from_numpy((attenuation / 10 * chord.mean(axis=(-2, -1))).astype(np.float32))


def distance(g, x, y, z):
    k, j, i = np.indices(g.volume_shape) - (np.array(g.volume_shape) - 1).reshape(3, 1, 1, 1) / 2
    return np.sqrt((i - x) ** 2 + (j - y) ** 2 + ((k - z) ** 2 if g.kind == "cone" else 0))


FANS = {
    "full turn": fan(SIZE, 2, VOXEL, views=300, **FAR),
    "backwards": fan(SIZE, 2, VOXEL, views=300, arc=-360.0, start=20.0, **FAR),
    "axis off": fan(SIZE, 2, VOXEL, views=300, columns=180, centre=80.3, **FAR),
    "fine pixels": fan(SIZE, 2, VOXEL, views=300, pitch=0.02, **FAR),
    "short": fan(SIZE, 2, VOXEL, views=200, arc=205.0, **FAR),
    "short backwards": fan(SIZE, 2, VOXEL, views=200, arc=-205.0, start=50.0, **FAR),
    "overscan": fan(SIZE, 2, VOXEL, views=270, arc=270.0, start=-30.0, **FAR),
    "shuffled": fan(SIZE, 2, VOXEL, views=300, **FAR).replace(
        angles=Angles.of(np.random.default_rng(0).permutation(300) * 1.2)
    ),
    "half acquisition": fan(SIZE, 2, VOXEL, views=300, columns=58, centre=14.2, **FAR),
    "half acquisition, other end": fan(SIZE, 2, VOXEL, views=301, arc=-360.0, columns=58, centre=46.0, **FAR),
    "half acquisition, golden": fan(SIZE, 2, VOXEL, views=300, columns=58, centre=14.2, **FAR).replace(
        angles=Angles.of(np.arange(300) * 111.246117975)
    ),
    "jitter": fan(SIZE, 2, VOXEL, views=300, **FAR).replace(
        angles=Angles.of(np.tile(np.arange(150) * 2.4, 2) + np.random.default_rng(0).normal(0, 0.005, 300))
    ),
}


@pytest.mark.parametrize("name", FANS)
def test_a_disc_in_a_fan_has_its_attenuation(name):
    g = FANS[name]
    volume = fdk(Projector(g), ball_scan(g, 30.0, 5.0, -8.0, 0.0)).numpy()
    away = distance(g, 5, -8, 0)
    assert volume.shape == (2, SIZE, SIZE)
    assert volume[away < 24].mean() == pytest.approx(2.0, rel=2e-3)
    assert np.abs(volume[away < 24] - 2).max() < 0.1
    assert abs(volume[(away > 34) & (distance(g, 0, 0, 0) < SIZE / 2)].mean()) < 5e-3


CONES = {
    "full turn": cone(64, 40, VOXEL, views=240, sod=4 * 64 * VOXEL, sdd=6 * 64 * VOXEL),
    "axis off": cone(64, 40, VOXEL, views=240, sod=4 * 64 * VOXEL, sdd=6 * 64 * VOXEL, columns=131, centre=60.2),
    "coarse": cone(64, 40, VOXEL, views=240, sod=4 * 64 * VOXEL, sdd=5 * 64 * VOXEL, pitch=0.04),
    "fine": cone(64, 40, VOXEL, views=240, sod=4 * 64 * VOXEL, sdd=6 * 64 * VOXEL, pitch=0.012),
    "half acquisition": cone(64, 40, VOXEL, views=240, sod=4 * 64 * VOXEL, sdd=6 * 64 * VOXEL, columns=36, centre=10.2),
    "short": cone(64, 40, VOXEL, views=200, arc=-210.0, sod=4 * 64 * VOXEL, sdd=6 * 64 * VOXEL),
}


@pytest.mark.parametrize("name", CONES)
def test_a_ball_in_a_cone_has_its_attenuation(name):
    """Mean over the core: within 0.5 % in the middle plane, 1 % at 6.5 voxels from it."""
    g = CONES[name]
    for z, bound in ((0.0, 5e-3), (6.5, 1e-2)):
        volume = fdk(Projector(g), ball_scan(g, 12.0, 6.0, -4.0, z)).numpy()
        away = distance(g, 6, -4, z)
        assert volume.shape == (40, 64, 64)
        assert volume[away < 8].mean() == pytest.approx(2.0, rel=bound)
        assert np.abs(volume[away < 8] - 2).max() < 0.25
        assert abs(volume[(away > 16) & (distance(g, 0, 0, 0) < 19)].mean()) < 0.02


def test_a_far_source_is_a_parallel_beam():
    far = fan(48, 1, VOXEL, views=120, arc=360.0, sod=4000.0, sdd=4000.0, columns=71)
    near = parallel(48, 1, VOXEL, views=120, arc=360.0, columns=71)
    scan = ball_scan(far, 15.0, 3.0, 4.0, 0.0)
    apart = (fdk(Projector(far), scan) - fbp(Projector(near), scan, window="sinc2")).abs()
    inside = torch.from_numpy(distance(far, 0, 0, 0) < 22)
    assert float(apart[inside].mean()) < 0.02


@pytest.mark.parametrize("arc", [200.0, 240.0, 300.0, 360.0])
def test_a_ray_and_its_reverse_count_once(arc):
    """Weights over the view's share, at a ray and its reverse (t + 180 - 2 g, -g), add up to 1."""
    views = 720
    degrees = np.arange(views) * arc / views
    gamma = np.deg2rad(np.linspace(-8, 8, 33))
    weights = turn_weights(degrees, gamma) / np.deg2rad(arc / views)
    for k in (0, 5, 16, 30):
        reverse = degrees + 180 - 2 * np.rad2deg(gamma[k])
        here = reverse <= degrees[-1]
        there = np.interp(reverse[here], degrees, weights[:, 32 - k])
        assert np.abs(weights[here, k] + there - 1).max() < 0.01
    assert weights[views // 2].max() <= 1 + 1e-12


def test_a_fan_of_half_acquisition_is_not_cut_off():
    """A disc that reaches beyond the shorter side: the longer one measures it from behind, if the turn is full."""
    g = FANS["half acquisition"]
    scan = ball_scan(g, 30.0, 5.0, -8.0, 0.0)
    assert truncated_rows(scan, g) == [False, False]
    assert truncated_rows(scan[:, :150], g[:150]) == [True, True]


def test_torch_operators_filter_half_acquisition_as_compiled_ones_do():
    g = fan(32, 1, VOXEL, views=40, columns=22, centre=5.2, sod=128 * VOXEL, sdd=192 * VOXEL)
    scan = ball_scan(g, 10.0, 2.0, -1.0, 0.0)
    there = fdk(Projector(g, backend="reference"), scan)
    torch.testing.assert_close(there, fdk(Projector(g), scan), atol=2e-3, rtol=0)


def test_a_short_turn_of_a_small_part_is_refused():
    g = fan(SIZE, 1, VOXEL, views=60, arc=60.0, **FAR)
    with pytest.raises(UsageError, match="the views cover 60 of 180 degrees"):
        fdk(Projector(g), torch.zeros(g.shape))


@pytest.mark.parametrize("method", [sirt, cgls])
def test_iterations_take_cones(method):
    g = cone(24, 16, VOXEL, views=60, sod=2.0, sdd=3.0)
    scan = ball_scan(g, 6.0, 1.0, 2.0, 0.5)
    volume = method(Projector(g), scan[None], iterations=20)[0].numpy()
    assert volume.shape == (16, 24, 24)
    assert volume[distance(g, 1, 2, 0.5) < 3].mean() == pytest.approx(2.0, rel=0.03)


def test_refusals():
    g = FANS["full turn"]
    with pytest.raises(UsageError, match="use fbp for a parallel beam"):
        fdk(Projector(parallel(8, 1, VOXEL)), torch.zeros(1, 720, 14))
    with pytest.raises(UsageError, match="use fdk for a fan beam"):
        fbp(Projector(g), torch.zeros(g.shape))
    with pytest.raises(UsageError, match="no gradient"):
        fdk(Projector(g), torch.zeros(g.shape, requires_grad=True))
    with torch.no_grad():  # as the message says
        assert not fdk(Projector(g), torch.zeros(g.shape, requires_grad=True)).any()
    with pytest.raises(UsageError, match="no window 'hamming'"):
        fdk(Projector(g), torch.zeros(g.shape), window="hamming")
