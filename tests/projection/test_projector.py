"""Laws of the parallel-beam projector: what must hold for every geometry and pixel model."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.made import relative, signed

from bonectl.core import threads
from bonectl.core.geometry import Angles, Geometry
from bonectl.errors import UsageError
from bonectl.geometries.parallel import parallel
from bonectl.projection.parallel_ops import backproject_parallel, project_parallel
from bonectl.projection.projector import Projector
from bonectl.projection.system import MODELS

VOXEL = 0.02  # mm


@st.composite
def geometries(draw, largest=40):
    """Parallel beams with offsets of the axis, pitch other than the voxel, uniform and irregular angles."""
    size = draw(st.integers(1, largest))
    columns = draw(st.integers(1, 2 * largest))
    degrees = draw(st.lists(st.floats(-400, 400, width=32), min_size=1, max_size=20))
    return Geometry(
        kind="parallel",
        angles=Angles.of(degrees),
        rows=1,
        columns=columns,
        pitch=draw(st.floats(0.3, 3)) * VOXEL,
        row_pitch=VOXEL,
        centre=draw(st.floats(-5, columns + 5)),
        size=size,
        voxel=VOXEL,
    )


def ball(size, radius, x, y, z, slices, oversampling=8):
    """Attenuation of 1/cm inside a ball, averaged over each voxel; lengths in voxels, from the middle."""

    def finely(count, centre):
        steps = (np.arange(count * oversampling) + 0.5) / oversampling - count / 2 - centre
        return steps.reshape(count, oversampling)

    dx, dy, dz = finely(size, x), finely(size, y), finely(slices, z)
    volume = np.zeros((slices, size, size))
    for k in range(oversampling):
        for j in range(oversampling):
            across = dz[:, k, None, None, None] ** 2 + dy[:, j][None, :, None, None] ** 2
            volume += (across + dx[None, None] ** 2 < radius**2).mean(axis=-1)
    return torch.from_numpy((volume / oversampling**2).astype(np.float32))


def test_an_off_centre_ball_lands_where_the_convention_says():
    """x = 7, y = -4 voxels from the axis: column centre + (x cos t + y sin t) / pitch; row z; chords in closed form."""
    size, slices, radius, x, y, z = 48, 16, 6.0, 7.0, -4.0, 1.5
    pitch = 0.8
    geometry = parallel(size, slices, VOXEL, views=8, arc=360.0, columns=61, centre=27.25, pitch=pitch * VOXEL)
    scan = Projector(geometry)(ball(size, radius, x, y, z, slices)).numpy()
    angles = geometry.angles.radians
    fine = (np.arange(8) + 0.5) / 8 - 0.5
    columns = (np.arange(61)[:, None] + fine - 27.25) * pitch  # from the axis [voxel]
    rows = np.arange(slices)[:, None] + fine - (slices - 1) / 2 - z
    s = columns[None] - (x * np.cos(angles) + y * np.sin(angles))[:, None, None]
    inside = radius**2 - s[None, None] ** 2 - rows[:, :, None, None, None] ** 2
    chords = 2 * np.sqrt(np.maximum(0, inside)) * VOXEL / 10
    expected = chords.mean(axis=(1, 4))
    # a ball of 6 voxels is blurred at its rim by the voxels that make it
    assert np.linalg.norm(scan - expected) <= 0.05 * np.linalg.norm(expected)
    # in sums, which do not see the pixels: mass, and centre of mass along columns and rows
    mass = scan.sum(axis=(0, 2), dtype=np.float64)
    assert mass == pytest.approx(4 / 3 * np.pi * radius**3 / pitch * VOXEL / 10, rel=2e-3)
    at = (scan * np.arange(61)).sum(axis=(0, 2), dtype=np.float64) / mass
    assert at == pytest.approx(27.25 + (x * np.cos(angles) + y * np.sin(angles)) / pitch, abs=1e-2)
    rows_at = (scan * np.arange(slices)[:, None, None]).sum(axis=(0, 2), dtype=np.float64) / mass
    assert rows_at == pytest.approx(np.full(8, (slices - 1) / 2 + z), abs=1e-2)


@pytest.mark.parametrize("model", MODELS)
@given(geometry=geometries(), seed=st.integers(0, 2**31))
@settings(max_examples=40)
def test_transpose_is_exact(model, geometry, seed):
    A = Projector(geometry, model=model)
    x = signed(seed, 3, geometry.size, geometry.size)
    y = signed(seed + 1, 3, geometry.views, geometry.columns)
    forward, backward = A(x).double(), A.T(y).double()
    mismatch = abs(float((forward * y).sum() - (x * backward).sum()))
    bound = 1e-6 if model == "joseph" else 1e-5
    norms = torch.linalg.vector_norm(forward) * torch.linalg.vector_norm(y.double())
    # a detector that sees nothing of the grid leaves only rounding on both sides
    floor = 1e-6 * torch.linalg.vector_norm(x.double()) * torch.linalg.vector_norm(y.double()) * VOXEL / 10
    assert mismatch <= bound * float(norms) + float(floor)


@pytest.mark.parametrize("model", MODELS)
def test_linear(model):
    A = Projector(parallel(33, 3, VOXEL, views=20, centre=22.3, columns=50), model=model)
    a, b = signed(0, 3, 33, 33), signed(1, 3, 33, 33)
    assert relative(A(2 * a - 3 * b), 2 * A(a) - 3 * A(b)) <= 1e-6
    assert not A(torch.zeros_like(a)).any()


@pytest.mark.parametrize("model", MODELS)
def test_turning_the_slice_by_90_degrees_turns_the_angles(model):
    g = parallel(32, 1, VOXEL, views=7, arc=140.0, start=5.0)
    x = signed(0, 2, 32, 32)
    # array axes (y, x): rot90 from x to y takes the content from angle t to t + 90 degrees
    turned = torch.rot90(x, 1, dims=(2, 1))
    later = g.replace(angles=Angles(95.0, g.angles.step, 7))
    # the grid's origin turns with the slice, and with it the gridding error (1e-3 of white noise, its worst case)
    bound = 2e-6 if model == "joseph" else 2e-3
    assert relative(Projector(later, model=model)(turned), Projector(g, model=model)(x)) <= bound


@pytest.mark.parametrize("model", MODELS)
def test_the_opposite_view_is_the_mirror_image(model):
    g = parallel(32, 1, VOXEL, views=5, arc=150.0, start=3.0)
    x = signed(0, 1, 32, 32)
    opposite = g.replace(angles=Angles(183.0, g.angles.step, 5))
    assert relative(Projector(opposite, model=model)(x).flip(-1), Projector(g, model=model)(x)) <= 2e-6


@pytest.mark.parametrize("model", MODELS)
def test_a_view_subset_is_a_subset_of_the_views(model):
    g = parallel(32, 1, VOXEL, views=30, start=1.0)
    x = signed(0, 2, 32, 32)
    few = Projector(g[3::4], model=model)(x)
    assert relative(few, Projector(g, model=model)(x)[:, 3::4]) <= 1e-6


@pytest.mark.parametrize("model", MODELS)
def test_lengths_scale(model):
    """All lengths times k: line integrals times k."""
    g = parallel(32, 1, VOXEL, views=9, pitch=0.027, columns=40)
    larger = g.replace(voxel=3 * g.voxel, pitch=3 * g.pitch)
    x = signed(0, 1, 32, 32)
    assert relative(Projector(larger, model=model)(x), 3 * Projector(g, model=model)(x)) <= 1e-6


@pytest.mark.parametrize("model", MODELS)
def test_every_view_holds_the_mass(model):
    """The sum of a view times the pitch is the sum of the slice times the voxel's area: attenuation is in 1/cm."""
    g = parallel(40, 1, VOXEL, views=25, pitch=0.015)
    y, x = np.mgrid[:40, :40]
    blob = np.exp(-((x - 17.0) ** 2 + (y - 24.0) ** 2) / 32)[None].astype(np.float32)
    scan = Projector(g, model=model)(torch.from_numpy(blob))
    mass = blob.sum(dtype=np.float64) * (VOXEL / 10) ** 2
    assert scan.double().sum(-1).numpy() * 0.0015 == pytest.approx(np.full((1, 25), mass), rel=2e-4)


def ellipses(columns, views, radius):
    """Exact line integrals of ellipses in the unit disc, and their image: (view, col), (col, col) at 1/cm."""
    shapes = (
        (1.0, 0.7, 0.8, 0, 0, 0),
        (0.5, 0.2, 0.3, 0.2, 0.1, 30),
        (-0.4, 0.15, 0.2, -0.3, -0.2, 0),
        (0.3, 0.1, 0.1, 0, 0.4, 0),
    )
    fine = 8
    grid = ((np.arange(columns * fine) + 0.5) / fine - columns / 2) / (columns / 2)
    x, y = np.meshgrid(grid, grid)
    t = np.deg2rad(np.arange(views) * 180 / views)[:, None]
    s = (np.arange(columns) - (columns - 1) / 2) / (columns / 2)
    image, scan = np.zeros_like(x), np.zeros((views, columns))
    for value, a, b, x0, y0, turn in shapes:
        p = np.deg2rad(turn)
        u, v = (x - x0) * np.cos(p) + (y - y0) * np.sin(p), -(x - x0) * np.sin(p) + (y - y0) * np.cos(p)
        image += value * ((u / a) ** 2 + (v / b) ** 2 <= 1)
        width = (a * np.cos(t - p)) ** 2 + (b * np.sin(t - p)) ** 2
        off = s - x0 * np.cos(t) - y0 * np.sin(t)
        scan += value * 2 * a * b * np.sqrt(np.maximum(0, width - off**2)) / width
    mean = image.reshape(columns, fine, columns, fine).mean(axis=(1, 3))
    return torch.from_numpy(mean[None].astype(np.float32)), torch.from_numpy(scan[None] * radius / 10)


def test_ellipses_at_256_pixels():
    """At least as near to the exact line integrals as ASTRA's linear kernel, 0.00266."""
    image, exact = ellipses(256, 384, 256 * VOXEL / 2)
    A = Projector(parallel(256, 1, VOXEL, views=384, columns=256), model="bandlimited")
    assert relative(A(image), exact) <= 0.0027


def test_strip_is_what_square_voxels_and_wide_pixels_give():
    """Binary bone-like slice; truth: the same squares, 8 rays per pixel through 8 times finer voxels."""
    size, views, fine = 96, 24, 8
    rng = np.random.default_rng(0)
    frequency = np.fft.fftfreq(size)[:, None] ** 2 + np.fft.fftfreq(size) ** 2
    smooth = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * np.exp(-400 * frequency)).real
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    bone = ((smooth > 0) & (x**2 + y**2 < (0.45 * size) ** 2)).astype(np.float32)
    g = parallel(size, 1, VOXEL, views=views, columns=size)
    finer = parallel(size * fine, 1, VOXEL / fine, views=views, columns=size * fine)
    large = torch.from_numpy(np.kron(bone, np.ones((fine, fine), np.float32))[None])
    truth = Projector(finer, model="joseph")(large).reshape(1, views, size, fine).mean(-1)
    scan = Projector(g, model="strip")(torch.from_numpy(bone[None]))
    assert relative(scan, truth) <= 0.002
    assert scan.min() >= -0.002 * scan.max()


@pytest.mark.parametrize("model", MODELS)
def test_any_cut_into_blocks_and_any_number_of_threads_gives_the_same_bits(model):
    g = parallel(40, 1, VOXEL, views=11)
    A = Projector(g, model=model)
    x = signed(0, 2 * A.block + 3, 40, 40)
    whole = A(x)
    back = A.T(whole)
    for low in range(0, len(x), A.block):
        assert torch.equal(A(x[low : low + A.block].clone()), whole[low : low + A.block])
        assert torch.equal(A.T(whole[low : low + A.block].clone()), back[low : low + A.block])
    for count in (1, 3):
        threads.choose(count)
        try:
            assert torch.equal(A(x), whole)
            assert torch.equal(A.T(whole), back)
        finally:
            threads.choose(0)


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("model", ["strip", "bandlimited"])
def test_a_slice_leaks_nothing_into_the_one_it_is_paired_with(model, backend):
    """Two slices are one complex number; samples midway between two cells of the grid once left 1e-4 in the other."""
    A = Projector(parallel(33, 1, VOXEL, views=11), model=model, backend=backend)
    x, y = signed(0, 1, 33, 33), signed(1, 1, *A.codomain)
    for run, values in ((A, x), (A.T, y)):
        pair = run(torch.cat([values, torch.zeros_like(values)]))
        assert pair[1].abs().max() <= 4e-6 * pair[0].abs().max()


@pytest.mark.parametrize(("columns", "pitch"), [(40, VOXEL), (57, VOXEL), (211, VOXEL / 5)])
@pytest.mark.parametrize("model", ["strip", "bandlimited"])
def test_one_slice_by_itself_is_what_it_is_among_others(model, columns, pitch):
    """The odd slice has kernels of its own: other numbers only in the last bits, and exactly adjoint too.

    Fine pixels see frequencies that lie in many copies of the half plane that is worked on.
    """
    geometry = parallel(40, 1, VOXEL, views=11, columns=columns, centre=18.6 * VOXEL / pitch, pitch=pitch)
    A = Projector(geometry, model=model)
    x, y = signed(0, 4, 40, 40), signed(1, 4, 11, columns)
    for run, values in ((A, x), (A.T, y)):
        assert relative(run(values[2:3]), run(values)[2:3]) <= 1e-6
        assert torch.equal(run(values[:3])[2:], run(values[2:3]))
    forward, back = A(x[:1]).double(), A.T(y[:1]).double()
    mismatch = (forward * y[:1]).sum() - (x[:1] * back).sum()
    assert abs(mismatch) <= 1e-6 * torch.linalg.vector_norm(forward) * torch.linalg.vector_norm(y[:1].double())


@pytest.mark.parametrize("model", MODELS)
def test_results_are_fresh(model):
    """Neither a later call nor the caller's writes change an earlier result."""
    A = Projector(parallel(16, 1, VOXEL, views=5), model=model)
    a, b = signed(0, 1, 16, 16), signed(1, 1, 16, 16)
    first, back = A(a), A.T(A(a))
    kept, back_kept = first.clone(), back.clone()
    A(b)
    A.T(A(b))
    assert torch.equal(first, kept)
    assert torch.equal(back, back_kept)


@pytest.mark.parametrize("model", ["strip", "bandlimited"])
def test_a_filter_is_part_of_the_transpose(model):
    """A filtered projector is the projector, then the filter of a padded line and a factor per view."""
    g = parallel(24, 1, VOXEL, views=6, columns=40, centre=17.2)
    response, shares = torch.exp(-((torch.arange(61) / 30) ** 2)), torch.rand(6)
    F = Projector(g, model=model, response=response, shares=shares)
    x, y = signed(0, 2, 24, 24), signed(1, 2, 6, 40)
    mismatch = (F(x).double() * y).sum() - (x * F.T(y).double()).sum()
    assert abs(mismatch) <= 1e-5 * torch.linalg.vector_norm(F(x).double()) * torch.linalg.vector_norm(y.double())
    wide = Projector(g.replace(columns=120, centre=g.centre + 30), model=model)
    line = torch.fft.irfft(torch.fft.rfft(y * shares[:, None], n=120) * response, n=120)
    assert relative(F.T(y), wide.T(torch.roll(line, 30, -1).contiguous())) <= 2e-3
    with pytest.raises(UsageError, match="give both"):
        Projector(g, response=response)
    with pytest.raises(UsageError, match="takes no filter"):
        Projector(g, model="joseph", response=response, shares=shares)


def test_batches_are_stacks_of_slices():
    A = Projector(parallel(16, 1, VOXEL, views=5, columns=20))
    x = signed(0, 2, 3, 4, 16, 16)
    y = A(x)
    assert y.shape == (2, 3, 4, 5, 20)
    assert A.T(y).shape == x.shape
    assert relative(y[1, 2], A(x[1, 2])) <= 1e-6
    strided = x.transpose(-1, -2)
    assert torch.equal(A(strided), A(strided.contiguous()))


@pytest.mark.parametrize("model", MODELS)
def test_operators_pass_opcheck(model):
    angles = torch.linspace(0, 170, 6, dtype=torch.float64)
    none, numbers = torch.empty(0), [0.02, 7.3, 0.02]
    x, y = signed(0, 2, 12, 12).requires_grad_(), signed(0, 2, 6, 15).requires_grad_()
    torch.library.opcheck(project_parallel, (x, angles, none, 15, numbers, model))
    torch.library.opcheck(backproject_parallel, (y, angles, none, 12, numbers, model))


@pytest.mark.parametrize("model", MODELS)
def test_each_is_the_gradient_of_the_other_twice(model):
    A = Projector(parallel(12, 1, VOXEL, views=6), model=model)
    x = signed(0, 2, 12, 12).requires_grad_()
    w = signed(1, 2, 6, A.geometry.columns).requires_grad_()
    (gradient,) = torch.autograd.grad((A(x) * w).sum(), x, create_graph=True)
    assert torch.equal(gradient, A.T(w))
    v = signed(2, 2, 12, 12)
    (second,) = torch.autograd.grad((gradient * v).sum(), w)
    assert torch.equal(second, A(v))


def test_transpose_of_the_transpose_and_repr():
    A = Projector(parallel(12, 1, VOXEL, views=6))
    assert A.T.T is A
    assert "parallel(views=6" in repr(A)


def test_norm_is_the_largest_singular_value():
    A = Projector(parallel(10, 1, VOXEL, views=7))
    basis = torch.eye(100).reshape(100, 10, 10)
    largest = float(torch.linalg.matrix_norm(A(basis).reshape(100, -1), ord=2))
    assert A.norm() == pytest.approx(largest, rel=1e-3)


def test_refuses_what_it_cannot_project():
    g = parallel(12, 1, VOXEL, views=6, columns=20)
    A = Projector(g)
    with pytest.raises(UsageError, match=r"a volume of shape \(1, 12, 13\).*12, 12"):
        A(torch.zeros(1, 12, 13))
    with pytest.raises(UsageError, match=r"a scan of shape \(1, 5, 20\).*6, 20"):
        A.T(torch.zeros(1, 5, 20))
    with pytest.raises(UsageError, match="float64"):
        A(torch.zeros(1, 12, 12, dtype=torch.float64))
    with pytest.raises(UsageError, match="no pixel model 'square'"):
        Projector(g, model="square")
    with pytest.raises(UsageError, match="no pixel model 'strip' for a cone beam; there is joseph"):
        Projector(g.replace(kind="cone", sod=10.0, sdd=20.0), model="strip")


@pytest.mark.parametrize("degrees", [0.0, 33.0, 90.0, 145.0])
def test_astra_agrees(degrees):
    """ASTRA's linear kernel is Joseph's; its y axis points up, so that its slice is ours flipped."""
    astra = pytest.importorskip("astra")
    x = np.random.default_rng(0).random((40, 40), dtype=np.float32)
    g = parallel(40, 1, VOXEL, views=1, start=degrees, columns=60)
    beam = astra.create_proj_geom("parallel", 1.0, 60, np.deg2rad([degrees]))
    projector = astra.create_projector("linear", beam, astra.create_vol_geom(40, 40))
    key, theirs = astra.create_sino(np.ascontiguousarray(x[::-1]), projector)
    astra.data2d.delete(key)
    astra.projector.delete(projector)
    ours = Projector(g, model="joseph")(torch.from_numpy(x[None]))[0]
    assert relative(ours, torch.from_numpy(theirs) * VOXEL / 10) <= 1e-4
