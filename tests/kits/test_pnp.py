"""Plug and play: a network between steps towards the data."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests import made

from bonectl.core import kit
from bonectl.core.spec import parse
from bonectl.errors import DataError, UnavailableError, UsageError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.learning.checkpoint import Normalisation
from bonectl.methods.cgls import cgls
from bonectl.methods.pnp import VARIABLE, pnp
from bonectl.projection.projector import Projector
from bonectl.projection.system import System

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = 32
LAW = Normalisation("1/cm", 0.5, 4.0)
NETWORK = "unet2d(width=4, scales=2)"


@pytest.fixture(autouse=True)
def no_weights_by_chance(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def written(path, text=NETWORK, law=LAW, *, identity=False):
    """A checkpoint of a network with random weights, or of one that does nothing."""
    known = made.trained(text, law).checkpoint
    if identity:
        known = replace(known, weights=kit.bind("models", parse(text))().state_dict())
    known.save(path)
    return str(path)


def disc(rows=2):
    """Line integrals of a disc of 2 /cm without noise."""
    geometry = parallel(SIZE, rows, 0.06, views=60)
    row, column = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    truth = np.broadcast_to(2.0 * (np.hypot(row, column) < 9), (rows, SIZE, SIZE)).astype(np.float32)
    return System(geometry), System(geometry)(truth), truth


def test_with_a_network_that_does_nothing_it_is_least_squares(tmp_path):
    A, y, truth = disc()
    found = pnp(A, y, weights=written(tmp_path / "m.safetensors", identity=True), iterations=60, tolerance=0.0)
    assert made.relative(torch.from_numpy(A(found)), torch.from_numpy(y)) < 2e-3
    wanted = cgls(A, y, iterations=60)
    assert np.abs(found - wanted).mean() < 0.02
    assert np.abs(found - truth)[:, 12:20, 12:20].max() < 0.05


def test_rounds_change_ever_less_and_the_tolerance_ends_them(tmp_path):
    A, y, _ = disc(1)
    weights = written(tmp_path / "m.safetensors", identity=True)

    def after(rounds, tolerance=0.0):
        return pnp(A, y, weights=weights, iterations=rounds, tolerance=tolerance)

    early, late = (np.linalg.norm(after(n + 1) - after(n)) for n in (1, 12))
    assert late < 0.3 * early
    assert after(30, tolerance=1.0).tobytes() == after(1).tobytes()


def test_a_slice_is_what_it_is_alone(tmp_path):
    A, y, _ = disc(2)
    y = y * np.array([1.0, 0.3], np.float32)[:, None, None]
    weights = written(tmp_path / "m.safetensors")
    both = pnp(A, y, weights=weights, iterations=1)
    for row in range(2):  # the projector rounds one slice otherwise, and a network of random weights magnifies it
        alone = pnp(A, y[row : row + 1], weights=weights, iterations=1)
        np.testing.assert_allclose(alone, both[row : row + 1], atol=2e-3)


def test_tensors_give_what_arrays_give(tmp_path):
    A, y, _ = disc()
    weights = written(tmp_path / "m.safetensors")
    found = pnp(Projector(A.geometry), torch.from_numpy(y), weights=weights, iterations=1).numpy()
    np.testing.assert_allclose(found, pnp(A, y, weights=weights, iterations=1), atol=2e-3)


@pytest.mark.parametrize("build", [fan, cone])
def test_every_beam_that_it_is_for(tmp_path, build):
    geometry = build(SIZE, 8, 0.06, views=40, sod=60.0, sdd=90.0)
    A = System(geometry)
    ball = made.ball((8, SIZE, SIZE), 6.0, 0.0, 0.0, 0.0).numpy() * np.float32(2)
    found = pnp(A, A(ball), weights=written(tmp_path / "m.safetensors", identity=True), iterations=20)
    assert np.abs(found - ball)[3:5, 14:18, 14:18].max() < 0.1


def test_density_goes_through_the_energy_of_the_scan(tmp_path):
    A, y, _ = disc()
    weights = written(tmp_path / "m.safetensors", law=Normalisation("mgHA/cm3", 0.0, 1200.0))
    with pytest.raises(UsageError, match=r"pnp\(energy=KEV\)"):
        pnp(A, y, weights=weights)
    one, other = (pnp(A, y, weights=weights, energy=energy, iterations=1) for energy in (25.0, 60.0))
    assert np.abs(one - other).max() > 0.01


def test_what_is_refused(tmp_path):
    A, y, _ = disc()
    with pytest.raises(UnavailableError, match="bonectl train CLEAN --pairs white"):
        pnp(A, y)
    with pytest.raises(UsageError, match="looks at neighbouring slices"):
        pnp(A, y, weights=written(tmp_path / "deep.safetensors", "unet25d(width=4, scales=2)"))
    with pytest.raises(DataError, match="no weights of a denoiser"):
        known = made.trained(NETWORK, LAW).checkpoint
        replace(known, model="unet2d(width=8, scales=2)").save(tmp_path / "no.safetensors")
        pnp(A, y, weights=str(tmp_path / "no.safetensors"))
    weights = written(tmp_path / "m.safetensors")
    for knobs in ({"strength": 0.0}, {"iterations": 0}, {"tolerance": 2.0}):
        with pytest.raises(UsageError, match="give a strength above 0"):
            pnp(A, y, weights=weights, **knobs)
