"""Least squares with total variation, and under positivity: what must hold for any scan."""

import numpy as np
import pytest
import torch

from bonectl.errors import UsageError
from bonectl.geometries.cone import cone
from bonectl.geometries.parallel import parallel
from bonectl.methods._variation import step
from bonectl.methods.fbp import fbp
from bonectl.methods.fista import fista
from bonectl.methods.tv import tv
from bonectl.projection.projector import Projector

VOXEL = 0.02  # mm


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def discs(size, slices=1):
    """1/cm in a disc with a bright one and a hole in it."""
    j, i = np.mgrid[:size, :size] - (size - 1) / 2
    x = (np.hypot(i, j) < 0.4 * size).astype(np.float32)
    x[np.hypot(i - 0.12 * size, j + 0.1 * size) < 0.1 * size] = 3
    x[np.hypot(i + 0.15 * size, j - 0.1 * size) < 0.06 * size] = 0
    return torch.from_numpy(np.broadcast_to(x, (slices, size, size)).copy())


def noisy(size=64, views=40, slices=2):
    A = Projector(parallel(size, slices, VOXEL, views=views, columns=size))
    x = discs(size, slices)
    y = A(x)
    return A, x, y + 0.01 * y.max() * noise(*y.shape)


def differences(x):
    down, across = torch.zeros_like(x), torch.zeros_like(x)
    down[..., :-1, :] = x[..., 1:, :] - x[..., :-1, :]
    across[..., :-1] = x[..., 1:] - x[..., :-1]
    return torch.stack([down, across], dim=-1)


def test_a_fused_step_is_what_it_says():
    x, ahead, pull = noise(3, 3, 7, 9).unbind(0)
    dual = 0.1 * noise(3, 7, 9, 2)
    dual[:, -1, :, 0] = 0
    dual[:, :, -1, 1] = 0
    sigma, tau, bound = 0.2, 0.7, 0.3
    expected = dual + sigma * differences(ahead)
    expected = expected / (expected.norm(dim=-1, keepdim=True) / bound).clamp(min=1)
    probe = x.double().clone().requires_grad_()
    (transposed,) = torch.autograd.grad((differences(probe) * expected).sum(), probe)
    new = (x - tau * (pull + transposed.float())).clamp(min=-0.5)
    twice = 2 * new - x
    change = (new - x).square().sum(dim=(1, 2))
    sums = step(*(part.contiguous().numpy() for part in (x, ahead, dual, pull)), (sigma, tau, bound), -0.5)
    torch.testing.assert_close(dual, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(x, new, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(ahead, twice, atol=1e-6, rtol=1e-5)
    assert sums[:, 0] == pytest.approx(change.numpy(), rel=1e-4)
    assert sums[:, 1] == pytest.approx(new.square().sum(dim=(1, 2)).numpy(), rel=1e-4)


def test_nothing_near_has_a_lower_objective():
    """The gap to what 4000 more steps find, and to 200 random neighbours, is nil."""
    A, x, y = noisy(24, 20, 1)
    strength = 0.003

    def objective(volume):
        misfit = (A(volume) - y).double().square().sum() / A.norm() ** 2 / 2
        return float(misfit + strength * differences(volume).double().norm(dim=-1).sum())

    found = tv(A, y, strength=strength, iterations=1500, tolerance=0.0)
    least = objective(found)
    assert least <= objective(x)
    assert least <= objective(tv(A, y, strength=strength, iterations=4000, tolerance=0.0)) * (1 + 1e-3)
    for seed in range(200):
        change = noise(*found.shape, seed=seed) * 10.0 ** -(seed % 4 + 1)
        assert least <= objective((found + change).clamp(min=0)) * (1 + 1e-4)


def test_flat_areas_are_found_again():
    A, x, y = noisy()
    error = {name: float((v - x).norm() / x.norm()) for name, v in (("fbp", fbp(A, y)), ("tv", tv(A, y)))}
    assert error["tv"] < 0.5 * error["fbp"]
    assert error["tv"] < 0.12


def test_more_strength_is_smoother():
    A, _, y = noisy(32, 30, 1)
    spread = [float(differences(tv(A, y, strength=s)).norm(dim=-1).sum()) for s in (1e-4, 1e-3, 1e-2, 1e-1)]
    assert spread == sorted(spread, reverse=True)
    assert spread[-1] < 0.5 * spread[0]


@pytest.mark.parametrize("method", [tv, fista])
def test_attenuation_stays_positive(method):
    A, _, y = noisy(32, 30, 1)
    assert method(A, y).min() == 0
    assert method(A, y, nonnegative=False).min() < 0


@pytest.mark.parametrize("method", [tv, fista])
def test_slices_do_not_see_each_other(method):
    A, _, y = noisy(32, 30, 3)
    loud = y.clone()
    loud[1] *= 20
    loud[2] = 0
    alone = method(A, y)[0]
    together = method(A, loud)
    torch.testing.assert_close(together[0], alone, atol=5e-3, rtol=0)
    assert not together[2].any()


@pytest.mark.parametrize("method", [tv, fista])
def test_a_tolerance_ends_early(method):
    A, _, y = noisy(32, 30, 1)
    calls = []
    A.register_forward_hook(lambda *_: calls.append(1))
    method(A, y, iterations=2000, tolerance=1e-2)
    assert 5 < len(calls) < 300
    few = len(calls)
    method(A, y, iterations=2000, tolerance=2e-3)
    assert len(calls) - few > few


def test_fista_finds_the_positive_least_squares():
    """Karush-Kuhn-Tucker: where x > 0 the gradient is 0, where x = 0 it is not negative."""
    A = Projector(parallel(12, 1, VOXEL, views=17, columns=19))
    y = A(torch.rand(1, 12, 12, generator=torch.Generator().manual_seed(0)).sub(0.4).clamp(min=0))
    y = y + 0.05 * y.max() * noise(*y.shape)
    x = fista(A, y, iterations=3000, tolerance=0.0)
    gradient = A.T(A(x) - y) / A.T(y).abs().max()
    assert gradient[x > 1e-3].abs().max() < 2e-3
    assert gradient.min() > -2e-3


@pytest.mark.parametrize("method", [tv, fista])
def test_cones_too(method):
    g = cone(24, 16, VOXEL, views=40, sod=2.0, sdd=3.0)
    A = Projector(g)
    x = discs(24, 16)
    x[:4] = 0
    volume = method(A, A(x)[None], iterations=100)[0]
    assert volume.shape == x.shape
    assert float((volume - x).norm() / x.norm()) < 0.35


@pytest.mark.parametrize("method", [tv, fista])
@pytest.mark.parametrize("knobs", [{"iterations": 0}, {"tolerance": -1.0}, {"tolerance": float("nan")}])
def test_nonsense_is_refused(method, knobs):
    A, _, y = noisy(16, 10, 1)
    with pytest.raises(UsageError, match="at least 1"):
        method(A, y, **knobs)


def test_strength_and_gradients_are_refused():
    A, _, y = noisy(16, 10, 1)
    with pytest.raises(UsageError, match="a strength above 0"):
        tv(A, y, strength=0.0)
    with pytest.raises(UsageError, match="no gradient"):
        tv(A, y.requires_grad_())
