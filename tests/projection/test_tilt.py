"""Detectors that are turned or stand off the orbit's plane: where rays run, in closed form and between the kernels."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from tests.made import ball, relative, signed

from bonectl.core.geometry import Geometry
from bonectl.errors import UsageError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.methods.fdk import fdk
from bonectl.projection import divergent
from bonectl.projection.numba import tilted
from bonectl.projection.projector import Projector
from bonectl.projection.rectify import rectified

VOXEL = 0.02  # mm
AWAY = {"sod": 3.0, "sdd": 4.5}
TURNED = {
    "roll": {"roll": 12.0},
    "tilt": {"tilt": -14.0},
    "slant": {"slant": 11.0},
    "rows off": {"row_centre": 20.25},
    "all": {"roll": -7.0, "tilt": 9.0, "slant": -12.0, "row_centre": 45.5, "centre": 33.5},
}


def rays(g):
    """Source (view, 3) and unit vectors to pixels (row, view, col, 3) [mm]: a detector turned, then carried around."""
    turned = Rotation.from_rotvec([0, 0, g.slant], degrees=True) * Rotation.from_rotvec([-g.tilt, 0, 0], degrees=True)
    turned = turned * Rotation.from_rotvec([0, -g.roll, 0], degrees=True)
    row, col = np.mgrid[: g.rows, : g.columns].astype(float)
    foot = (g.rows - 1) / 2 if g.row_centre is None else g.row_centre
    flat = np.stack([(col - g.centre) * g.pitch, 0 * col, (row - foot) * g.row_pitch], axis=-1).reshape(-1, 3)
    pixels = turned.apply(flat) + np.array([0, g.sdd - g.sod, 0])
    carried = [Rotation.from_rotvec([0, 0, t]) for t in g.angles.radians]
    source = np.stack([by.apply([0, -g.sod, 0]) for by in carried])
    towards = np.stack([by.apply(pixels) for by in carried], axis=1).reshape(g.rows, g.columns, g.views, 3)
    towards = towards.transpose(0, 2, 1, 3) - source[:, None]
    return source, towards / np.linalg.norm(towards, axis=-1, keepdims=True)


def chords(g, radius, x, y, z):
    """Line integrals (row, view, col) of a ball of 1/cm; radius and place from the middle [voxel]."""
    source, ray = rays(g)
    to = np.array([x, y, z]) * g.voxel - source
    off = (to**2).sum(axis=-1)[:, None] - (to[:, None] * ray).sum(axis=-1) ** 2
    return torch.from_numpy(2 * np.sqrt(np.maximum(0, (radius * g.voxel) ** 2 - off)) / 10)


def mean_chords(g, radius, x, y, z, fine=3):
    """`chords`, averaged over each pixel."""
    finer = g.replace(
        rows=g.rows * fine, row_pitch=g.row_pitch / fine, row_centre=(g.principal_row + 0.5) * fine - 0.5,
        columns=g.columns * fine, pitch=g.pitch / fine, centre=(g.centre + 0.5) * fine - 0.5, slices=g.slices,
    )  # fmt: skip
    return chords(finer, radius, x, y, z).reshape(g.rows, fine, g.views, g.columns, fine).mean(dim=(1, 4))


@pytest.mark.parametrize("name", TURNED)
def test_a_ball_has_its_chords(name):
    """Relative L2 as of an upright detector: the voxels that make the ball blur its rim, by about 0.45 / radius."""
    g = cone(48, 40, VOXEL, views=6, start=10.0, rows=66, **AWAY, **{"columns": 80} | TURNED[name])
    exact = chords(g, 13.0, 3.0, -2.0, 4.0)
    scan = Projector(g)(ball(g.volume_shape, 13.0, 3.0, -2.0, 4.0))
    assert relative(scan, exact) <= 0.04
    # a turn by the wrong sign, or about the wrong point, moves the ball by pixels
    total = scan.sum(dim=(0, 2), dtype=torch.float64)
    assert total.tolist() == pytest.approx(exact.sum(dim=(0, 2)).tolist(), rel=4e-3)
    for dim in (0, 2):
        index = torch.arange(exact.shape[dim], dtype=torch.float64)
        flat = [s.double().sum(dim=2 - dim).movedim(0 if dim == 0 else 1, -1) for s in (scan, exact)]
        at, wanted = ((s * index).sum(-1) / s.sum(-1) for s in flat)
        assert at.tolist() == pytest.approx(wanted.tolist(), abs=0.02)


def test_rays_one_by_one_are_those_of_columns():
    """The kernels that follow each ray on its own give what those give that share a column's rays."""
    g = cone(24, 17, VOXEL, views=7, start=4.0, rows=30, columns=41, row_centre=12.2, slant=8.0, **AWAY)
    p = divergent.tables_of(g)
    assert p.is_aligned
    x, y = signed(0, *g.volume_shape), signed(1, *g.shape)
    assert relative(torch.from_numpy(tilted.project(p, x.numpy())), Projector(g)(x)) <= 1e-6
    assert relative(torch.from_numpy(tilted.backproject(p, y.numpy())), Projector(g).T(y)) <= 1e-6


def test_rows_off_the_plane_are_rows_of_a_higher_detector():
    high = cone(24, 17, VOXEL, views=7, rows=40, **AWAY)
    low = high.replace(rows=25, row_centre=high.principal_row - 9)
    x = signed(0, *high.volume_shape)
    assert relative(Projector(low)(x), Projector(high)(x)[9:34]) <= 1e-6


def test_a_source_beside_the_axis_is_a_slant():
    """Source and detector upright to each other, the axis beside their perpendicular: in closed form for a disc."""
    beside, sod, sdd = 0.4, 3.0, 4.5  # source at (beside, -sod), detector along x at y = sdd - sod
    through = np.hypot(sod, beside)
    g = fan(
        48, 1, VOXEL, sod=through, sdd=through * sdd / sod, slant=-np.rad2deg(np.arcsin(beside / through)), views=1,
        start=np.rad2deg(np.arctan(beside / sod)), columns=90, pitch=0.03,
    )  # fmt: skip
    # the ray through the axis goes on to x = beside (1 - sdd / sod)
    u = beside * (1 - sdd / sod) + (np.arange(90) - g.centre) * 0.03
    ray = np.stack([u - beside, np.full(90, sdd)], axis=-1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    to = np.array([5.0, -3.0]) * VOXEL - np.array([beside, -sod])
    off = to @ to - (ray @ to) ** 2
    exact = 2 * np.sqrt(np.maximum(0, (12 * VOXEL) ** 2 - off)) / 10
    fine = ball((1, 48, 48), 12.0, 5.0, -3.0, 0.0, fine=1)
    steps = (np.arange(48 * 8) + 0.5) / 8 - 24
    disc = ((steps[:, None] + 3) ** 2 + (steps - 5) ** 2 < 144).reshape(48, 8, 48, 8).mean(axis=(1, 3))
    fine[0] = torch.from_numpy(disc)
    scan = Projector(g)(fine)[0, 0]
    assert relative(scan, torch.from_numpy(exact)) <= 0.03
    assert float(scan @ torch.arange(90.0) / scan.sum()) == pytest.approx(exact @ np.arange(90) / exact.sum(), abs=0.02)


@pytest.mark.parametrize("name", ["roll", "tilt", "slant", "all"])
def test_what_an_upright_detector_would_have_read(name):
    """A turned detector's readings of a smooth blob, resampled, are those of an upright one."""
    g = cone(48, 40, VOXEL, views=3, start=10.0, rows=66, **AWAY, **{"columns": 80} | TURNED[name])

    def blob(h):
        source, ray = rays(h)
        to = np.array([3.0, -2.0, 4.0]) * VOXEL - source
        off = (to**2).sum(axis=-1)[:, None] - (to[:, None] * ray).sum(axis=-1) ** 2
        return np.exp(-off / (2 * (4 * VOXEL) ** 2)).astype(np.float32)

    upright = g.replace(roll=0.0, tilt=0.0, slant=0.0)
    seen = rectified(g, blob(g))
    assert np.abs(seen - blob(upright)).max() <= 2e-3
    assert np.array_equal(rectified(upright, seen), seen)


@pytest.mark.parametrize("name", TURNED)
def test_fdk_sees_past_the_turn(name):
    """A ball from a turned detector's exact readings, and from an upright one's: the same volume.

    Turns that nobody minds leave 0.05 to 1 of the volume apart.
    """
    upright = cone(40, 32, VOXEL, views=150, rows=62, columns=76, **AWAY)
    g = upright.replace(**TURNED[name])
    ours, theirs = (fdk(Projector(h), (2 * mean_chords(h, 10.0, 4.0, -3.0, 2.5)).float()) for h in (g, upright))
    k, j, i = np.indices(g.volume_shape) - (np.array(g.volume_shape) - 1).reshape(3, 1, 1, 1) / 2
    away = torch.from_numpy(np.sqrt((i - 4) ** 2 + (j + 3) ** 2 + (k - 2.5) ** 2))
    assert float(ours[away < 7].mean()) == pytest.approx(float(theirs[away < 7].mean()), rel=2e-3)
    assert float(ours[away < 7].mean()) == pytest.approx(2.0, rel=0.01)
    assert float((ours - theirs).abs()[away < 7].max()) <= 0.1
    assert relative(ours[away < 14], theirs[away < 14]) <= 0.035


def test_what_a_slanted_fan_would_have_read():
    g = fan(48, 3, VOXEL, views=2, columns=90, slant=14.0, **AWAY)
    flat = (np.arange(90) - g.centre) * g.pitch
    across, beam = flat * np.cos(np.deg2rad(14.0)), g.sdd + flat * np.sin(np.deg2rad(14.0))
    where = across / beam * g.sdd / g.pitch  # column of the upright detector, from its middle
    scan = np.broadcast_to(np.exp(-((where - 7) ** 2) / 98), (3, 2, 90)) * np.array([1.0, 2.0, 3.0])[:, None, None]
    upright = np.exp(-((np.arange(90) - g.centre - 7) ** 2) / 98)
    seen = rectified(g, scan.astype(np.float32))
    assert np.abs(seen / np.array([1.0, 2.0, 3.0])[:, None, None] - upright).max() <= 1e-3


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("parallel", {"slant": 1.0}, "a parallel beam takes no slant"),
        ("parallel", {"row_centre": 0.0}, "a parallel beam takes no row_centre"),
        ("fan", {"roll": 1.0}, "a fan beam takes no roll"),
        ("cone", {"tilt": 45.0}, "tilt = 45.0 degrees; it must be below 45"),
        ("cone", {"roll": float("nan")}, "roll = nan degrees"),
        ("cone", {"row_centre": float("inf")}, "row inf; it must be near the detector"),
        ("cone", {"slant": -40.0, "columns": 900}, "lies behind the source"),
    ],
)
def test_impossible_detectors_are_refused(kind, change, message):
    make = {"parallel": parallel, "fan": fan, "cone": cone}[kind]
    g = make(24, 17, VOXEL, **(AWAY if kind != "parallel" else {}))
    assert isinstance(g, Geometry)
    with pytest.raises(UsageError, match=message):
        g.replace(**change)
