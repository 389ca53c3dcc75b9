"""The projector in torch's operators has the numbers of the compiled one, and its laws."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from tests.made import relative, signed

from bonectl.core.geometry import Angles, Geometry
from bonectl.errors import UnavailableError, UsageError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.projection import divergent
from bonectl.projection.divergent_ops import collect, project_cone, project_fan
from bonectl.projection.parallel_ops import backproject_parallel, project_parallel
from bonectl.projection.projector import Projector
from bonectl.projection.system import MODELS
from bonectl.projection.torch import memory as torch_memory

VOXEL = 0.02  # mm
AWAY = {"sod": 2.0, "sdd": 3.0}
SMALL = {
    "parallel": parallel(20, 3, VOXEL, views=7, columns=31, centre=13.4),
    "fan": fan(20, 3, VOXEL, **AWAY, views=7, start=3.0, columns=31, centre=13.4, slant=8.0),
    "cone": cone(20, 9, VOXEL, **AWAY, views=7, start=3.0, columns=31, centre=13.4, rows=14, pitch=0.035),
    "turned cone": cone(20, 9, VOXEL, **AWAY, views=7, columns=31, rows=14, roll=4.0, tilt=6.0, slant=-5.0),
}
CASES = [("parallel", model) for model in MODELS] + [(kind, None) for kind in SMALL if kind != "parallel"]


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@st.composite
def geometries(draw, kind):
    """Offsets, magnifications from 1 to 6, pixels from a third to three times the voxel's image, any angles."""
    size = draw(st.integers(1, 20))
    sod = (size + 5) * VOXEL * draw(st.floats(0.8, 10))
    assume(sod > (size / np.sqrt(2) + 2) * VOXEL)
    sdd = sod * draw(st.floats(1, 6))
    columns = draw(st.integers(1, 30))
    image = VOXEL if kind == "parallel" else VOXEL * sdd / sod
    away = {} if kind == "parallel" else {"sod": sod, "sdd": sdd, "slant": draw(st.sampled_from([0.0, 12.5]))}
    if kind == "cone":
        away |= {"slices": draw(st.integers(1, 16)), "roll": draw(st.sampled_from([0.0, 0.0, -7.0]))}
        away |= {"row_centre": draw(st.sampled_from([None, 2.3]))}
    try:
        return Geometry(
            kind=kind,
            angles=Angles.of(draw(st.lists(st.floats(-400, 400, width=32), min_size=1, max_size=6))),
            rows=draw(st.integers(1, 16)),
            columns=columns,
            pitch=image * draw(st.floats(0.3, 3)),
            row_pitch=image * draw(st.floats(0.3, 3)),
            centre=draw(st.floats(-5, columns + 5)),
            size=size,
            voxel=VOXEL,
            **away,
        )
    except UsageError:  # a turned detector that reaches behind the source
        reject()


def agree(a, b, scale):
    """Within 1e-5 of what is there; a detector that sees nothing leaves only rounding."""
    difference = torch.linalg.vector_norm(a.double() - b.double())
    return difference <= 1e-5 * torch.linalg.vector_norm(b.double()) + 1e-7 * scale


@pytest.mark.parametrize(
    ("kind", "model"), [("parallel", model) for model in MODELS] + [("fan", "joseph"), ("cone", "joseph")]
)
@given(data=st.data(), seed=st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_numbers_of_the_compiled_kernels(kind, model, data, seed):
    """Agreement within 1e-5, and the adjoint at the same bars: 1e-5 in Fourier space, 1e-6 in space."""
    g = data.draw(geometries(kind))
    A, R = Projector(g, model=model), Projector(g, model=model, backend="reference")
    x, y = signed(seed, *g.volume_shape), signed(seed + 1, *g.shape)
    forward, backward = R(x), R.T(y)
    large_x, large_y = torch.linalg.vector_norm(x), torch.linalg.vector_norm(y)
    assert agree(forward, A(x), large_x * VOXEL)
    assert agree(backward, A.T(y), large_y * VOXEL)
    mismatch = abs(((forward.double() * y).sum() - (x * backward.double()).sum()).item())
    bar = 1e-6 if model == "joseph" else 1e-5
    floor = 1e-7 * large_x * large_y * VOXEL / 10
    assert mismatch <= bar * float(torch.linalg.vector_norm(forward.double()) * large_y) + float(floor)


@pytest.mark.parametrize("kind", ["fan", "cone"])
def test_back_projection_of_fdk(kind):
    g = SMALL[kind].replace(slant=0.0)
    y = signed(0, *g.shape)
    assert relative(collect(g, y, "reference"), collect(g, y)) <= 1e-6


@pytest.mark.parametrize(("kind", "model"), CASES)
def test_results_do_not_depend_on_the_memory_budget(monkeypatch, kind, model):
    A = Projector(SMALL[kind], model=model, backend="reference")
    x, y = signed(0, *A.geometry.volume_shape), signed(1, *A.geometry.shape)
    forward, backward = A(x), A.T(y)
    for module in ("fsp", "joseph", "cone", "tilted"):
        monkeypatch.setattr(f"bonectl.projection.torch.{module}.BUDGET", 20_000)
    assert relative(A(x), forward) <= 1e-6
    assert relative(A.T(y), backward) <= 1e-6


@pytest.mark.parametrize(("kind", "model"), CASES)
def test_repeats_to_the_bit_and_leaves_its_argument(kind, model):
    A = Projector(SMALL[kind], model=model, backend="reference")
    x, y = signed(0, *A.geometry.volume_shape), signed(1, *A.geometry.shape)
    kept = x.clone(), y.clone()
    forward, backward = A(x), A.T(y)
    assert torch.equal(A(x), forward)
    assert torch.equal(A.T(y), backward)
    assert torch.equal(x, kept[0])
    assert torch.equal(y, kept[1])


@pytest.mark.parametrize(("kind", "model"), CASES)
def test_each_is_the_gradient_of_the_other_twice(kind, model):
    A = Projector(SMALL[kind], model=model, backend="reference")
    x = signed(0, *A.geometry.volume_shape).requires_grad_()
    w = signed(1, *A.geometry.shape).requires_grad_()
    (gradient,) = torch.autograd.grad((A(x) * w).sum(), x, create_graph=True)
    assert torch.equal(gradient, A.T(w))
    v = signed(2, *A.geometry.volume_shape)
    (second,) = torch.autograd.grad((gradient * v).sum(), w)
    assert torch.equal(second, A(v))


@pytest.mark.parametrize("model", MODELS)
def test_parallel_operators_pass_opcheck(model):
    angles = torch.linspace(0, 170, 6, dtype=torch.float64)
    rest = [0.02, 7.3, 0.02], model, "reference"
    x, y = signed(0, 2, 12, 12).requires_grad_(), signed(0, 2, 6, 15).requires_grad_()
    torch.library.opcheck(project_parallel, (x, angles, torch.empty(0), 15, *rest))
    torch.library.opcheck(backproject_parallel, (y, angles, torch.empty(0), 12, *rest))


@pytest.mark.parametrize(("operator", "kind"), [(project_fan, "fan"), (project_cone, "cone")])
def test_divergent_operators_pass_opcheck(operator, kind):
    g = SMALL[kind]
    x = signed(0, 2, *Projector(g).domain).requires_grad_()
    angles = torch.from_numpy(g.angles.degrees.copy())
    torch.library.opcheck(operator, (x, angles, *divergent.sizes_and_numbers(g), "reference"))


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize(("kind", "model"), CASES)
def test_shapes_are_known_without_values(kind, model, backend):
    A = Projector(SMALL[kind], model=model, backend=backend)
    scan = A(torch.empty(SMALL[kind].volume_shape, device="meta"))
    assert scan.shape == SMALL[kind].shape
    assert A.T(scan).shape == SMALL[kind].volume_shape


@pytest.mark.parametrize(
    ("kind", "backend", "compiler"),
    [
        ("parallel", "auto", "eager"),
        *((kind, backend, "aot_eager") for kind in ("parallel", "fan", "cone") for backend in ("auto", "reference")),
    ],
)
def test_compile_traces_it_in_one_graph(kind, backend, compiler):
    torch.compiler.reset()
    A = Projector(SMALL[kind], backend=backend)

    def misfit(x, y):
        return (A(x) - y).square().sum() + A.T(y).sum()

    x, y = signed(0, *A.geometry.volume_shape).requires_grad_(), signed(1, *A.geometry.shape)
    traced = torch.compile(misfit, backend=compiler, fullgraph=True)(x, y)
    (gradient,) = torch.autograd.grad(traced, x)
    (expected,) = torch.autograd.grad(misfit(x, y), x)
    assert traced.item() == pytest.approx(misfit(x, y).item(), rel=1e-6)
    assert relative(gradient, expected) <= 1e-6


def test_sums_over_repeated_rows():
    """The sum that torch sorts (as on CUDA) is the one it makes row by row."""
    index, values = torch.tensor([3, 0, 3, 1, 3]), signed(0, 5, 4)
    sums = torch.zeros(5, 4)
    torch_memory.accumulate(sums, index, values)
    expected = torch.zeros(5, 4).index_put_((index,), values, accumulate=True)
    assert relative(sums, expected) <= 1e-7


def test_bad_backends():
    g = SMALL["parallel"]
    x = signed(0, *g.volume_shape)
    with pytest.raises(UsageError, match="no backend 'fast'; there are auto, reference, astra"):
        Projector(g, backend="fast")
    with pytest.raises(UsageError, match="astra has no pixel model 'strip'"):
        Projector(g, backend="astra", model="strip")
    with pytest.raises(UnavailableError, match="astra runs on CUDA, the tensor is on the CPU"):
        Projector(g, backend="astra")(x)
