"""On CUDA the projectors have the numbers of the CPU."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.made import relative, signed

from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.methods.cgls import cgls
from bonectl.methods.fbp import fbp
from bonectl.methods.fdk import fdk
from bonectl.methods.fista import fista
from bonectl.methods.sirt import sirt
from bonectl.methods.tv import tv
from bonectl.projection.astra.library import library
from bonectl.projection.projector import Projector
from bonectl.projection.system import MODELS

VOXEL = 0.02  # mm
AWAY = {"sod": 4.0, "sdd": 6.0}
GEOMETRIES = {
    "parallel": parallel(64, 35, VOXEL, views=45, columns=90, centre=41.7),
    "fan": fan(64, 35, VOXEL, **AWAY, views=45, columns=90, centre=41.7, slant=8.0),
    "cone": cone(48, 40, VOXEL, **AWAY, views=45, columns=70, centre=32.7, rows=50),
    "turned cone": cone(32, 24, VOXEL, **AWAY, views=20, columns=50, rows=40, roll=4.0, tilt=6.0, slant=-5.0),
}
CASES = [("parallel", model) for model in MODELS] + [(kind, "joseph") for kind in GEOMETRIES if kind != "parallel"]
BENCH = Path(__file__).parents[2] / "bench" / "gpu.py"

# triton 3.9 announces a change of its default
pytestmark = pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize(("kind", "model"), CASES)
def test_numbers_of_the_cpu(kind, model, backend):
    """Agreement within 1e-5; the adjoint within 1e-5 in Fourier space and 1e-6 in space."""
    g = GEOMETRIES[kind]
    A, B = Projector(g, model=model), Projector(g, model=model, backend=backend)
    x, y = signed(0, *g.volume_shape), signed(1, *g.shape)
    forward, backward = B(x.cuda()), B.T(y.cuda())
    assert forward.device.type == backward.device.type == "cuda"
    assert relative(forward, A(x)) <= 1e-5
    assert relative(backward, A.T(y)) <= 1e-5
    mismatch = abs(((forward.double().cpu() * y).sum() - (x * backward.double().cpu()).sum()).item())
    norms = torch.linalg.vector_norm(forward.double()).item() * torch.linalg.vector_norm(y.double()).item()
    assert mismatch <= (1e-6 if model == "joseph" else 1e-5) * norms


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize(("kind", "model"), CASES)
def test_repeats_to_the_bit_and_is_its_own_gradient(kind, model):
    A = Projector(GEOMETRIES[kind], model=model)
    x = signed(0, *A.geometry.volume_shape).cuda().requires_grad_()
    w = signed(1, *A.geometry.shape).cuda()
    (gradient,) = torch.autograd.grad((A(x) * w).sum(), x)
    assert torch.equal(gradient, A.T(w))
    assert torch.equal(A(x), A(x))


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize(
    ("method", "kind"),
    [(fbp, "parallel"), (fdk, "fan"), (fdk, "cone"), (fdk, "turned cone")]
    + [(method, kind) for method in (sirt, cgls, tv, fista) for kind in ("parallel", "cone")],
)
def test_methods_stay_on_the_device(method, kind):
    A = Projector(GEOMETRIES[kind])
    y = A(signed(0, *A.geometry.volume_shape).abs())
    # conjugate gradients amplify rounding: data changed by 1e-7 change 8 iterations of one path alone by 2e-3
    knobs = {} if method in (fbp, fdk) else {"iterations": 2 if method is cgls else 5}
    with torch.no_grad():
        there = method(A, y.cuda(), **knobs)
        assert there.device.type == "cuda"
        assert relative(there, method(Projector(A.geometry), y, **knobs)) <= 1e-4


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("kind", GEOMETRIES)
def test_astra_sees_the_same_from_the_same_side(kind):
    """A smooth object, to the precision of texture interpolation; a flip or shift would be off by tens of percents."""
    try:
        library()
    except Exception as error:
        pytest.skip(str(error))
    g = GEOMETRIES[kind]
    z, y, x = (np.linspace(-1, 1, n) for n in g.volume_shape)
    blob = np.exp(-8 * ((z[:, None, None] - 0.1) ** 2 + (y[:, None] - 0.2) ** 2 + (x + 0.15) ** 2))
    blob = torch.from_numpy(blob.astype(np.float32)).cuda()
    ours, theirs = Projector(g, model="joseph"), Projector(g, backend="astra")
    scan = ours(blob)
    assert relative(theirs(blob), scan.cpu()) <= 0.01
    assert relative(theirs.T(scan), ours.T(scan).cpu()) <= 0.05


def benchmark(*options):
    """In a process of its own, because a failing GPU call may end it."""
    line = [sys.executable, str(BENCH), *options]
    return subprocess.run(line, check=False, capture_output=True, text=True, timeout=500)


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a CUDA device")
def test_the_benchmark_refuses_a_machine_without_a_gpu():
    done = benchmark()
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (69, "", 1)
    assert "torch sees no CUDA device" in done.stderr


ROWS = ("| cone joseph transpose | ", "| cone 24³, 12 views, reconstruction | ", "| FBP 24³, 24 views | ", "| eager | ")


def test_the_benchmark_agrees_with_the_cpu_and_ends_when_time_is_up():
    done = benchmark("--device", "cpu", "--sizes", "24", "--rounds", "1", "--seconds", "0")
    assert done.returncode == 0, done.stderr
    assert all(row in done.stdout for row in ROWS)
    assert done.stdout.count("time is up") == 16


@pytest.mark.slow
def test_the_benchmark_runs_on_a_cpu_in_place_of_a_gpu():
    """Its logic alone: closed forms, training and denoising at a size that takes seconds."""
    done = benchmark("--device", "cpu", "--sizes", "24", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    assert all(row in done.stdout for row in ROWS)
    assert "not measured" not in done.stdout
