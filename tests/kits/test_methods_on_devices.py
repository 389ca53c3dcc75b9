"""Methods give the same volumes by torch's operators (what runs on CUDA) as by the compiled kernels."""

import numpy as np
import pytest
import torch

from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.methods._variation import step, step_there
from bonectl.methods.cgls import cgls
from bonectl.methods.fbp import fbp
from bonectl.methods.fdk import fdk
from bonectl.methods.fista import fista
from bonectl.methods.sirt import sirt
from bonectl.methods.tv import tv
from bonectl.projection.projector import Projector

VOXEL = 0.02  # mm
AWAY = {"sod": 2.0, "sdd": 3.0}
BEAMS = {
    "parallel": parallel(16, 2, VOXEL, views=24),
    "truncated": parallel(16, 2, VOXEL, views=24, columns=11),
    "fan": fan(16, 2, VOXEL, **AWAY, views=24),
    "cone": cone(16, 6, VOXEL, **AWAY, views=24),
    "turned cone": cone(16, 6, VOXEL, **AWAY, views=24, roll=4.0),
}


def scan(beam):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16] - 7.5
    slices = (np.hypot(x, y) < 6) * (1 + 0.2 * rng.standard_normal((BEAMS[beam].volume_shape[0], 16, 16)))
    return Projector(BEAMS[beam])(torch.from_numpy(slices.astype(np.float32)))


@pytest.mark.parametrize(
    ("method", "beam"),
    [(fbp, "parallel"), (fbp, "truncated"), (fdk, "fan"), (fdk, "cone"), (fdk, "turned cone")]
    + [(method, beam) for method in (sirt, cgls, tv, fista) for beam in ("parallel", "cone")],
)
def test_same_volume(method, beam):
    y = scan(beam)
    # conjugate gradients amplify rounding: data changed by 1e-7 change 8 iterations of one path alone by 2e-3
    knobs = {} if method in (fbp, fdk) else {"iterations": 2 if method is cgls else 8}
    with torch.no_grad():
        ours = method(Projector(BEAMS[beam], backend="reference"), y, **knobs)
        compiled = method(Projector(BEAMS[beam]), y, **knobs)
    assert torch.linalg.vector_norm(ours - compiled) <= 1e-4 * torch.linalg.vector_norm(compiled)


def test_a_step_of_total_variation():
    rng = np.random.default_rng(0)
    x, ahead, pull = (rng.standard_normal((3, 7, 9)).astype(np.float32) for _ in range(3))
    dual = rng.standard_normal((3, 7, 9, 2)).astype(np.float32)
    dual[:, -1, :, 0] = dual[:, :, -1, 1] = 0  # the outermost differences
    sizes = 0.3, 0.8, 0.5
    there = [torch.from_numpy(part.copy()) for part in (x, ahead, dual, pull)]
    sums = step_there(*there, sizes, -0.2)
    expected = step(x, ahead, dual, pull, sizes, -0.2)
    for part, compiled in zip(there, (x, ahead, dual, pull), strict=True):
        np.testing.assert_allclose(part.numpy(), compiled, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sums.numpy(), expected, rtol=1e-5)
