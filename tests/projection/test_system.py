"""Arrays and tensors go through one projector and the same methods: two kinds of values, one result."""

import numpy as np
import pytest
import torch

from bonectl.core import arrays, kit
from bonectl.core.spec import parse
from bonectl.errors import UsageError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.projection.projector import Projector
from bonectl.projection.system import System

BEAMS = {
    "parallel": parallel(24, 3, 0.02, views=20),
    "cut off": parallel(24, 3, 0.02, views=20, columns=14),
    "half acquisition": parallel(24, 3, 0.02, views=40, arc=360, columns=20, centre=5.0),
    "fan": fan(24, 3, 0.02, sod=2.0, sdd=3.0, views=30),
    "cone": cone(12, 6, 0.02, sod=2.0, sdd=3.0, views=20),
}


def bone(geometry):
    return np.random.default_rng(0).random(geometry.volume_shape, dtype=np.float32)


@pytest.mark.parametrize("model", ["strip", "bandlimited", "joseph"])
def test_every_model_maps_arrays_to_the_bits_of_tensors(model):
    g = BEAMS["parallel"]
    x, ours, theirs = bone(g), System(g, model=model), Projector(g, model=model)
    scan = ours(x)
    assert np.array_equal(scan, theirs(torch.from_numpy(x)).numpy())
    assert np.array_equal(ours.T(scan), theirs.T(torch.from_numpy(scan)).numpy())
    assert ours.T.T is ours


@pytest.mark.parametrize("beam", BEAMS)
@pytest.mark.parametrize(
    "method", ["fbp", "fdk(window=hann)", "sirt(iterations=3)", "cgls(iterations=3)", "tv(iterations=3)",
               "fista(iterations=3)", "bonewater(kv=60)", "sirt(iterations=30, tolerance=0.02, nonnegative=true)"],
)  # fmt: skip
def test_every_method_makes_of_arrays_what_it_makes_of_tensors(beam, method):
    g = BEAMS[beam]
    if g.kind not in kit.fact("methods", parse(method).name, "BEAMS"):
        pytest.skip("not its beam")
    scan = System(g)(bone(g))
    run = kit.bind("methods", parse(method))
    ours = run(System(g), scan)
    theirs = run(Projector(g), torch.from_numpy(scan)).numpy()
    assert isinstance(ours, np.ndarray)
    assert ours.dtype == np.float32
    # norms that differ in the last bit give slices of a cut-off scan that differ by 3e-6: as much as a voxel does whose
    # scan was rounded otherwise
    assert np.abs(ours - theirs).max() <= 4e-6 * np.abs(theirs).max()


@pytest.mark.parametrize("beam", BEAMS)
def test_the_norm_is_that_of_tensors(beam):
    assert System(BEAMS[beam]).norm() == pytest.approx(Projector(BEAMS[beam]).norm(), rel=1e-6)


def test_what_does_not_fit_is_refused_in_the_words_of_tensors():
    A = System(BEAMS["parallel"])
    with pytest.raises(UsageError, match=r"a volume of shape \(3, 9, 9\)"):
        A(np.zeros((3, 9, 9), dtype=np.float32))
    with pytest.raises(UsageError, match="float32"):
        A(np.zeros((3, 24, 24)))
    assert A(np.zeros((0, 24, 24), dtype=np.float32)).shape == (0, 20, 36)


@pytest.mark.parametrize(("backend", "model"), [("reference", "strip"), ("reference", "joseph"), ("astra", "joseph")])
def test_a_backend_that_arrays_do_not_have_is_refused(backend, model):
    """It was taken without a word, and the compiled kernels ran."""
    with pytest.raises(UsageError, match=f"backend {backend} is for tensors"):
        System(BEAMS["parallel"], backend=backend, model=model)


def test_squares_add_up_in_double_precision():
    """Ten million times 0.1 squared, of which the last would no longer count in float32."""
    values = np.full((1, 1000, 10000), 0.1, dtype=np.float32)
    expected = np.float64(np.float32(0.1)) ** 2 * 1e7
    assert arrays.squares(values, (-2, -1)).item() == pytest.approx(expected, rel=1e-7)
    assert arrays.squares(torch.from_numpy(values), (-2, -1)).item() == pytest.approx(expected, rel=1e-7)
