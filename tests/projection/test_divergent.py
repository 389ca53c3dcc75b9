"""Laws of the fan-beam and cone-beam projectors."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from tests.made import ball, relative, signed

from bonectl.core import threads
from bonectl.core.geometry import Angles, Geometry
from bonectl.errors import UsageError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.projection import divergent
from bonectl.projection.divergent_ops import backproject_cone, backproject_fan, project_cone, project_fan
from bonectl.projection.numba.cone import collect
from bonectl.projection.projector import Projector

VOXEL = 0.02  # mm
SMALL = {
    "fan": fan(32, 5, VOXEL, sod=2.0, sdd=3.0, views=9, start=3.0, columns=60, centre=27.3, pitch=0.04),
    "cone": cone(32, 21, VOXEL, sod=2.0, sdd=3.0, views=9, start=3.0, columns=60, centre=27.3, rows=30, pitch=0.035),
}
SMALL["slanted fan"] = SMALL["fan"].replace(slant=-13.0)
SMALL["turned cone"] = SMALL["cone"].replace(roll=4.0, tilt=-6.0, slant=9.0, row_centre=11.7)
KINDS = tuple(SMALL)


@st.composite
def geometries(draw, kind):
    """Offsets, magnifications from 1 to 6, pixels from a third to three times the voxel's image, any angles."""
    kind, turned = kind.split()[-1], " " in kind
    turn = st.floats(-25, 25) if turned else st.just(0.0)
    turns = {"slant": draw(turn)} | ({"roll": draw(turn), "tilt": draw(turn)} if kind == "cone" else {})
    size = draw(st.integers(1, 30))
    sod = (size + 5) * VOXEL * draw(st.floats(0.8, 10))
    assume(sod > (size / np.sqrt(2) + 2) * VOXEL)
    sdd = sod * draw(st.floats(1, 6))
    columns = draw(st.integers(1, 50))
    image = VOXEL * sdd / sod
    rows = draw(st.integers(1, 25))
    return Geometry(
        kind=kind,
        angles=Angles.of(draw(st.lists(st.floats(-400, 400, width=32), min_size=1, max_size=8))),
        rows=rows,
        columns=columns,
        pitch=image * draw(st.floats(0.3, 3)),
        row_pitch=image * draw(st.floats(0.3, 3)),
        centre=draw(st.floats(-5, columns + 5)),
        size=size,
        voxel=VOXEL,
        sod=sod,
        sdd=sdd,
        slices=draw(st.integers(1, 25)) if kind == "cone" else None,
        row_centre=draw(st.none() | st.floats(-5, rows + 5)) if kind == "cone" else None,
        **turns,
    )


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), seed=st.integers(0, 2**31))
@settings(max_examples=60)
def test_transpose_is_exact(kind, data, seed):
    try:
        g = data.draw(geometries(kind))
    except UsageError:  # the detector, turned, reaches behind the source
        reject()
    A = Projector(g)
    x, y = signed(seed, *g.volume_shape), signed(seed + 1, *g.shape)
    forward, backward = A(x).double(), A.T(y).double()
    mismatch = abs(float((forward * y).sum() - (x * backward).sum()))
    norms = torch.linalg.vector_norm(forward) * torch.linalg.vector_norm(y.double())
    # a detector that sees nothing of the grid leaves only rounding on both sides
    floor = 1e-7 * torch.linalg.vector_norm(x.double()) * torch.linalg.vector_norm(y.double()) * VOXEL / 10
    assert mismatch <= 1e-6 * float(norms) + float(floor)


def pixel_at(g, t, u, v):
    """Where the detector's point (u, v) [mm, from its middle] lies at angle t: the detector, turned, then carried."""
    roll, tilt, slant = np.deg2rad([-g.roll, -g.tilt, g.slant])
    turned = Rotation.from_rotvec([0, 0, slant]) * Rotation.from_rotvec([tilt, 0, 0])
    turned = turned * Rotation.from_rotvec([0, roll, 0])
    here = np.stack(np.broadcast_arrays(u, 0.0, v), axis=-1)
    there = turned.apply(here.reshape(-1, 3)) + np.array([0.0, g.sdd - g.sod, 0.0])
    return Rotation.from_rotvec([0, 0, t]).apply(there).reshape(here.shape)


def followed(g, x):
    """Line integrals (row, view, col) by the definition of Joseph's method, one ray at a time, in float64."""
    scan = np.zeros(g.shape)
    foot = (g.rows - 1) / 2 if g.row_centre is None else g.row_centre
    middle = (g.size - 1) / 2
    z_middle = (g.volume_shape[0] - 1) / 2
    padded = np.pad(x.astype(np.float64), 1)
    for view, t in enumerate(g.angles.radians):
        source = np.array([np.sin(t), -np.cos(t), 0]) * g.sod / g.voxel
        for col in range(g.columns):
            for row in range(g.rows):
                u, v = (col - g.centre) * g.pitch, (row - foot) * g.row_pitch
                ray = pixel_at(g, t, u, v) / g.voxel - source
                major = int(abs(ray[1]) >= abs(ray[0]))
                step = ray / ray[major]
                for line in range(g.size):
                    at = source + step * (line - middle - source[major])
                    at = at + np.array([middle, middle, z_middle])
                    if g.kind == "fan":
                        at[2] = row
                    if not ((at > -1) & (at < np.array(g.volume_shape)[::-1])).all():
                        continue
                    low = np.floor(at + 1e-12).astype(int)
                    w = at - low
                    for corner in np.ndindex(2, 2, 2):
                        weight = np.prod(np.where(corner, w, 1 - w))
                        if abs(weight) > 1e-11:
                            where = low + corner + 1
                            long = np.linalg.norm(step if g.kind == "cone" else step[:2])
                            scan[row, view, col] += weight * padded[where[2], where[1], where[0]] * long
    return torch.from_numpy(scan * g.voxel / 10)


@pytest.mark.parametrize("kind", KINDS)
def test_every_ray_is_followed_as_joseph_says(kind):
    g = SMALL[kind].replace(size=10, columns=11, centre=4.2, rows=7, row_pitch=0.05, slices=None)
    g = g.replace(slices=6, row_centre=2.3) if g.kind == "cone" else g
    x = np.random.default_rng(0).random(g.volume_shape, dtype=np.float32)
    assert relative(Projector(g)(torch.from_numpy(x)), followed(g, x)) <= 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_linear(kind):
    g = SMALL[kind]
    A = Projector(g)
    a, b = signed(0, *g.volume_shape), signed(1, *g.volume_shape)
    assert relative(A(2 * a - 3 * b), 2 * A(a) - 3 * A(b)) <= 1e-6
    assert not A(torch.zeros_like(a)).any()


@pytest.mark.parametrize("kind", KINDS)
def test_turning_the_slice_by_90_degrees_turns_the_angles(kind):
    g = SMALL[kind]
    x = signed(0, *g.volume_shape)
    later = g.replace(angles=Angles(93.0, g.angles.step, g.views))
    turned = torch.rot90(x, 1, dims=(-1, -2)).contiguous()
    assert relative(Projector(later)(turned), Projector(g)(x)) <= 2e-6


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_subset_is_a_subset_of_the_views(kind):
    g = SMALL[kind]
    x = signed(0, *g.volume_shape)
    assert torch.equal(Projector(g[1::3])(x), Projector(g)(x)[:, 1::3])


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_scale(kind):
    g = SMALL[kind]
    names = ("voxel", "pitch", "row_pitch", "sod", "sdd")
    larger = g.replace(**{name: 3 * getattr(g, name) for name in names})
    x = signed(0, *g.volume_shape)
    assert relative(Projector(larger)(x), 3 * Projector(g)(x)) <= 1e-6


def test_upside_down_is_upside_down():
    g = SMALL["cone"]
    x = signed(0, *g.volume_shape)
    assert relative(Projector(g)(x.flip(0)), Projector(g)(x).flip(0)) <= 1e-6


def test_a_far_source_is_a_parallel_beam():
    """With the source at 1 km, both beams are Joseph's parallel beam."""
    flat = parallel(24, 5, VOXEL, views=7, start=2.0, columns=40, centre=18.4, pitch=0.017)
    far = {"sod": 1e6, "sdd": 1e6}
    x = signed(0, 5, 24, 24)
    expected = Projector(flat, model="joseph")(x)
    assert relative(Projector(flat.replace(kind="fan", **far))(x), expected) <= 1e-4
    assert relative(Projector(flat.replace(kind="cone", **far))(x), expected) <= 1e-4


def test_the_middle_row_of_a_cone_is_a_fan():
    g = SMALL["cone"].replace(rows=21, slices=21)
    x = signed(0, 21, 32, 32)
    middle = Projector(g)(x)[10]
    assert relative(middle, Projector(g.replace(kind="fan", slices=None))(x)[10]) <= 1e-6


def gaussian(g, sd, x, y, z):
    """A Gaussian blob of peak 1/cm [voxel, from the middle], and its exact line integrals (row, view, col)."""
    k, j, i = np.indices(g.volume_shape) - (np.array(g.volume_shape) - 1).reshape(3, 1, 1, 1) / 2
    blob = np.exp(-((i - x) ** 2 + (j - y) ** 2 + (k - z) ** 2) / (2 * sd**2))
    t = g.angles.radians[None, :, None]
    u = ((np.arange(g.columns) - g.centre) * g.pitch)[None, None, :]
    v = ((np.arange(g.rows) - (g.rows - 1) / 2) * g.row_pitch)[:, None, None]
    away = g.sdd - g.sod
    source = np.stack(np.broadcast_arrays(g.sod * np.sin(t), -g.sod * np.cos(t), 0 * (t + u + v)))
    pixel = np.stack(np.broadcast_arrays(u * np.cos(t) - away * np.sin(t), u * np.sin(t) + away * np.cos(t), v))
    ray = (pixel - source) / np.linalg.norm(pixel - source, axis=0)
    to = np.array([x, y, z]).reshape(3, 1, 1, 1) * g.voxel - source
    off = ((to**2).sum(axis=0) - (to * ray).sum(axis=0) ** 2) / g.voxel**2
    scan = np.exp(-off / (2 * sd**2)) * np.sqrt(2 * np.pi) * sd * g.voxel / 10
    return torch.from_numpy(blob.astype(np.float32)), torch.from_numpy(scan)


def test_an_off_centre_blob_lands_where_the_convention_says():
    g = cone(48, 40, VOXEL, sod=3.0, sdd=4.5, views=8, arc=360.0, columns=90, centre=41.25, rows=70)
    blob, exact = gaussian(g, 3.0, 7.0, -4.0, 5.5)
    assert relative(Projector(g)(blob), exact) <= 0.012  # linear interpolation widens an SD of 3 by 0.6 % along 2 axes


def test_a_ball_has_its_chords():
    """Relative L2 against exact chords: the voxels that make the ball blur its rim, by about 0.45 / radius."""
    g = cone(48, 48, VOXEL, sod=3.0, sdd=4.5, views=6, arc=360.0, start=10.0)
    radius, x, y, z = 15.0, 3.0, -2.0, 4.0
    t = g.angles.radians[None, :, None]
    u = ((np.arange(g.columns) - g.centre) * g.pitch)[None, None, :]
    v = ((np.arange(g.rows) - (g.rows - 1) / 2) * g.row_pitch)[:, None, None]
    away = g.sdd - g.sod
    source = np.stack(np.broadcast_arrays(g.sod * np.sin(t), -g.sod * np.cos(t), 0 * (t + u + v)))
    pixel = np.stack(np.broadcast_arrays(u * np.cos(t) - away * np.sin(t), u * np.sin(t) + away * np.cos(t), v))
    ray = (pixel - source) / np.linalg.norm(pixel - source, axis=0)
    to = np.array([x, y, z]).reshape(3, 1, 1, 1) * g.voxel - source
    off = (to**2).sum(axis=0) - (to * ray).sum(axis=0) ** 2
    exact = 2 * np.sqrt(np.maximum(0, (radius * g.voxel) ** 2 - off)) / 10
    scan = Projector(g)(ball(g.volume_shape, radius, x, y, z))
    assert relative(scan, torch.from_numpy(exact)) <= 0.035
    assert float(scan.sum(dtype=torch.float64)) == pytest.approx(exact.sum(), rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_threads_and_any_cut_gives_the_same_bits(kind):
    g = SMALL[kind]
    A = Projector(g)
    x = signed(0, 2, *A.domain) if g.kind == "cone" else signed(0, A.block + 3, 32, 32)
    whole = A(x)
    back = A.T(whole)
    if g.kind == "fan":
        assert torch.equal(A(x[A.block :].clone()), whole[A.block :])
        assert torch.equal(A.T(whole[A.block :].clone()), back[A.block :])
    for count in (1, 3):
        threads.choose(count)
        try:
            assert torch.equal(A(x), whole)
            assert torch.equal(A.T(whole), back)
        finally:
            threads.choose(0)


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_the_gradient_of_the_other_twice(kind):
    A = Projector(SMALL[kind])
    x = signed(0, *A.geometry.volume_shape).requires_grad_()
    w = signed(1, *A.geometry.shape).requires_grad_()
    (gradient,) = torch.autograd.grad((A(x) * w).sum(), x, create_graph=True)
    assert torch.equal(gradient, A.T(w))
    v = signed(2, *A.geometry.volume_shape)
    (second,) = torch.autograd.grad((gradient * v).sum(), w)
    assert torch.equal(second, A(v))


@pytest.mark.parametrize(
    ("there", "back", "kind"),
    [
        (project_fan, backproject_fan, "slanted fan"),
        (project_cone, backproject_cone, "cone"),
        (project_cone, backproject_cone, "turned cone"),
    ],
)
def test_operators_pass_opcheck(there, back, kind):
    g = SMALL[kind].replace(size=8, columns=11, centre=5.0)
    A = Projector(g)
    sizes, numbers = divergent.sizes_and_numbers(g)
    angles = torch.from_numpy(g.angles.degrees.copy())
    torch.library.opcheck(there, (signed(0, 2, *A.domain).requires_grad_(), angles, sizes, numbers))
    torch.library.opcheck(back, (signed(0, 2, *A.codomain).requires_grad_(), angles, sizes, numbers))


def test_batches():
    A = Projector(SMALL["cone"])
    x = signed(0, 2, 3, *A.domain)
    y = A(x)
    assert y.shape == (2, 3, *A.codomain)
    assert A.T(y).shape == x.shape
    assert torch.equal(y[1, 2], A(x[1, 2]))


def test_norm_is_the_largest_singular_value():
    A = Projector(cone(6, 4, VOXEL, sod=1.0, sdd=2.0, views=5))
    basis = torch.eye(144).reshape(144, 4, 6, 6)
    largest = float(torch.linalg.matrix_norm(A(basis).reshape(144, -1), ord=2))
    assert A.norm() == pytest.approx(largest, rel=1e-3)


def test_what_voxels_collect_is_what_they_see():
    """`collect` against its definition, at pixels a third and three times as high as the voxel's image."""
    for pitch in (0.01, 0.1):
        g = SMALL["cone"].replace(row_pitch=pitch)
        scan = np.random.default_rng(0).random(g.shape, dtype=np.float32)
        volume = collect(divergent.tables_of(g), scan)
        k, j, i = np.indices(g.volume_shape) - (np.array(g.volume_shape) - 1).reshape(3, 1, 1, 1) / 2
        expected = np.zeros(g.volume_shape)
        padded = np.pad(scan.astype(np.float64), ((1, 2), (0, 0), (1, 2)))
        for view, t in enumerate(g.angles.radians):
            depth = g.sod + g.voxel * (-i * np.sin(t) + j * np.cos(t))
            u = g.centre + g.sdd / depth * g.voxel * (i * np.cos(t) + j * np.sin(t)) / g.pitch
            v = (g.rows - 1) / 2 + g.sdd / depth * g.voxel * k / g.row_pitch
            seen = (u > -1) & (u < g.columns) & (v > -1) & (v < g.rows)
            a, b = np.clip(np.floor(v), -1, g.rows).astype(int), np.clip(np.floor(u), -1, g.columns).astype(int)
            p, q, s = v - a, u - b, padded[:, view]
            value = (1 - p) * ((1 - q) * s[a + 1, b + 1] + q * s[a + 1, b + 2])
            value += p * ((1 - q) * s[a + 2, b + 1] + q * s[a + 2, b + 2])
            expected += np.where(seen, value * (g.sod / depth) ** 2, 0)
        assert relative(torch.from_numpy(volume), torch.from_numpy(expected)) <= 1e-5


def test_refusals():
    A = Projector(SMALL["cone"])
    with pytest.raises(UsageError, match=r"a volume of shape \(5, 32, 32\).*z, y, x\) = \(..., 21, 32, 32\)"):
        A(torch.zeros(5, 32, 32))
    with pytest.raises(UsageError, match="no pixel model 'strip' for a fan beam"):
        Projector(SMALL["fan"], model="strip")
    with pytest.raises(UsageError, match="the source is 0.4 mm from the axis"):
        fan(32, 5, VOXEL, sod=0.4, sdd=3.0)
    with pytest.raises(UsageError, match="45 degrees"):
        cone(8, 8, VOXEL, sod=1.0, sdd=2.0, rows=500)


@pytest.mark.parametrize("degrees", [21.0, 33.0, 118.0, 200.0])
def test_astra_agrees(degrees):
    """ASTRA's line kernel adds up lengths in pixels: the same integrals of a smooth slice, away from the axes."""
    astra = pytest.importorskip("astra")
    g = fan(64, 1, VOXEL, sod=4.0, sdd=6.0, views=1, start=degrees, columns=101, centre=47.0)
    blob, _ = gaussian(g, 5.0, 9.0, -6.0, 0.0)
    # source, middle of the detector, and a column's step, in voxels and with y pointing up
    t = np.deg2rad(degrees)
    right, up = np.array([np.cos(t), -np.sin(t)]), np.array([np.sin(t), np.cos(t)])
    step = g.pitch / VOXEL * right
    middle = -(g.sdd - g.sod) / VOXEL * up + (50 - 47) * step
    beam = astra.create_proj_geom("fanflat_vec", 101, np.concatenate([g.sod / VOXEL * up, middle, step])[None])
    projector = astra.create_projector("line_fanflat", beam, astra.create_vol_geom(64, 64))
    key, theirs = astra.create_sino(np.ascontiguousarray(blob[0].numpy()), projector)
    astra.data2d.delete(key)
    astra.projector.delete(projector)
    assert relative(Projector(g)(blob)[0], torch.from_numpy(theirs) * VOXEL / 10) <= 5e-3


@pytest.mark.parametrize("geometry", [*SMALL.values(), parallel(16, 4, VOXEL, views=5)], ids=[*KINDS, "parallel"])
def test_nothing_is_projected_to_nothing(geometry):
    A = Projector(geometry)
    scan = A(torch.zeros(2, 0, *geometry.volume_shape))
    assert scan.shape == (2, 0, *geometry.shape)
    assert A.T(scan).shape == (2, 0, *geometry.volume_shape)
