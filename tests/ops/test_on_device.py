"""Blocks go to a device in parts that its memory holds."""

import numpy as np
import pytest
import torch
from tests import made

from bonectl.core import progress
from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.errors import MemoryShortageError, UnavailableError, UsageError
from bonectl.geometries.cone import cone
from bonectl.geometries.parallel import parallel
from bonectl.methods.fbp import fbp as fbp_of_the_kit
from bonectl.ops.reconstruct import reconstruct
from bonectl.ops.simulate import simulate
from bonectl.projection.projector import Projector
from bonectl.scanning import on_device
from bonectl.scanning.on_device import OnDevice
from bonectl.scanning.reconstruction import Plan


class Small:
    """A step on a device that holds so many slices."""

    def __init__(self, room):
        self.room = room
        self.counts = []

    def __call__(self, part):
        self.counts.append(len(part))
        if len(part) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.full((len(part), 2), float(len(part)))


def test_shrinks_until_it_fits_and_remembers(monkeypatch):
    said = []
    monkeypatch.setattr(progress, "note", said.append)
    worker, step = OnDevice(torch.device("cpu"), divisible=True), Small(3)
    assert worker(step, np.zeros((16, 4))).shape == (16, 2)
    assert step.counts == [16, 8, 4, *[2] * 8]
    assert len(said) == 3
    assert "no memory for 16 slices at a time; going on with 8" in said[0]
    step.counts.clear()
    assert worker(step, np.zeros((5, 4))).shape == (5, 2)
    assert step.counts == [2, 2, 1]


@pytest.mark.parametrize(("divisible", "what"), [(True, "does not hold one slice"), (False, "this cone beam's scan")])
def test_gives_up_with_one_line(divisible, what):
    with pytest.raises(MemoryShortageError, match=what):
        OnDevice(torch.device("cpu"), divisible=divisible)(Small(0), np.zeros((4, 4)))


def test_other_errors_pass():
    def broken(part):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        OnDevice(torch.device("cpu"), divisible=True)(broken, np.zeros((4, 4)))


def line_integrals(geometry):
    x = torch.rand(geometry.volume_shape, generator=torch.Generator().manual_seed(0))
    return made.scan(Projector(geometry)(x).numpy(), geometry)


def test_reconstruct_takes_parts_to_a_small_device(monkeypatch):
    """The same bytes, although half of the block is the most that fits."""
    g = parallel(12, 8, 0.02, views=10)
    whole = reconstruct(line_integrals(g)).collect()

    def fbp(A, y):
        if len(y) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return fbp_of_the_kit(A, y)

    monkeypatch.setattr(Plan, "run", property(lambda _: fbp))
    monkeypatch.setattr(on_device, "place", lambda *_: torch.device("cpu"))
    assert (reconstruct(line_integrals(g)).collect() == whole).all()


@pytest.mark.parametrize("g", [parallel(12, 3, 0.02, views=10), cone(12, 3, 0.02, sod=2.0, sdd=3.0, views=10)])
def test_reference_backend(g):
    ours = reconstruct(line_integrals(g), backend="reference").collect()
    compiled = reconstruct(line_integrals(g)).collect()
    assert abs(ours - compiled).max() <= 1e-4 * abs(compiled).max()


@pytest.mark.parametrize("geometry", ["parallel(views=10)", "fan(sod=2, sdd=3, views=10)"])
def test_simulate_takes_parts_to_a_small_device(monkeypatch, geometry):
    """The same bytes, although a third of the block is the most that fits."""
    x = torch.rand((9, 12, 12), generator=torch.Generator().manual_seed(0)).numpy()
    volume = Header(shape=x.shape, dtype="<f4", spacing=(0.02,) * 3, unit="1/cm")
    whole = simulate(Stack.of(x, volume), geometry=geometry, seed=3).collect()
    project = Projector.forward

    def small(self, block):
        if len(block) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return project(self, block)

    monkeypatch.setattr(Projector, "forward", small)
    monkeypatch.setattr(on_device, "place", lambda *_: torch.device("cpu"))
    assert (simulate(Stack.of(x, volume), geometry=geometry, seed=3).collect() == whole).all()


def test_refused_before_any_voxel():
    g = parallel(12, 3, 0.02, views=10)
    with pytest.raises(UnavailableError, match="astra runs on CUDA, the tensor is on the CPU"):
        reconstruct(line_integrals(g), backend="astra")
    with pytest.raises(UsageError, match="no backend 'fast'"):
        reconstruct(line_integrals(g), backend="fast")
    if not torch.cuda.is_available():
        with pytest.raises(UnavailableError, match="device cuda is not there"):
            reconstruct(line_integrals(g), device_name="cuda")
        bone = Header(shape=(2, 12, 12), spacing=(0.02,) * 3, unit="1/cm")
        with pytest.raises(UnavailableError, match="device cuda is not there"):
            simulate(Stack(bone, iter(())), device_name="cuda")
