"""Laws of `bonectl denoise --engine openvino`: the same numbers from every network, whatever the tiles and slabs."""

import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from tests import made

from bonectl.core import kit, threads
from bonectl.core.spec import parse
from bonectl.errors import UnavailableError, UsageError
from bonectl.learning.checkpoint import Normalisation
from bonectl.ops.denoise import denoise
from bonectl.ops.denoise_plan import Plan, Request

needs_openvino = pytest.mark.skipif(
    not find_spec("openvino"), reason="openvino is not installed (the extra `openvino`)"
)
pytestmark = pytest.mark.usefixtures("one_thread")

# One of each network, small.
NETWORKS = (
    "unet25d(width=4, scales=2)",
    "unet2d(width=4)",
    "unet3d(width=2, scales=2)",
    "msd(depth=6)",
    "drunet(width=4, scales=2, blocks=1)",
    "nafnet(width=4, scales=2, attention=true)",
    "redcnn(width=4)",
    "blind(width=4, scales=2)",
)
LAW = Normalisation("mgHA/cm3", 0.0, 1200.0)


# No multiples of any pooling grid.
SHAPE = (12, 50, 66)


def volume(slab=None):
    """A noisy stack [mgHA/cm3]."""
    values = (np.random.default_rng(1).random(SHAPE) * 1000).astype(np.float32)
    return made.stack(values, spacing=(0.0585,) * 3, slab=slab)


def test_every_network_that_learns_is_tried():
    learned = {name for name in kit.names("models") if kit.fact("models", name, "LEARNS") == "volumes"}
    assert {parse(text).name for text in NETWORKS} == learned


@needs_openvino
@pytest.mark.parametrize("tile", [512, 32])
@pytest.mark.parametrize("text", NETWORKS)
def test_numbers_are_those_of_torch(text, tile):
    from bonectl.learning.compiled import Compiled

    known = made.trained(text, LAW)
    plain = denoise(volume(), known).collect()
    fast = denoise(volume(), replace(known, network=Compiled(known.network)), tile=tile).collect()
    changed = np.abs(plain - volume().collect()).max()
    assert changed > 1  # else it would show nothing
    assert np.abs(fast - plain).max() < 1e-5 * max(changed, LAW.scale)


@needs_openvino
def test_slabs_change_no_bit_and_the_history_names_the_engine(tmp_path):
    made.trained("unet25d(width=4, scales=2)", LAW).checkpoint.save(tmp_path / "m.safetensors")
    asked = Request(models=(str(tmp_path / "m.safetensors"),), engine="openvino")
    answers = set()
    for slab in (1, 5):
        plan = Plan(request=asked, models=asked.loaded(), header=volume().header)
        answers.add(plan.denoised(volume(slab)).collect().tobytes())
    assert len(answers) == 1
    assert plan.facts()["engine"] == "openvino"
    assert plan.facts()["device"] == "cpu"


@needs_openvino
def test_it_uses_as_many_threads_as_everything_else():
    from bonectl.learning.compiled import Compiled

    compiled = Compiled(made.trained("unet2d(width=4)", LAW).network)
    compiled(torch.zeros(1, 1, 32, 32))
    (request,) = compiled._requests.values()
    assert request.get_compiled_model().get_property("INFERENCE_NUM_THREADS") == threads.count()


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    from bonectl.learning.compiled import Compiled

    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UnavailableError, match=r"install 'bonectl\[openvino\]'"):
        Compiled(made.trained("unet2d(width=4)", LAW).network)


def test_other_engines_and_other_devices_are_refused():
    with pytest.raises(UsageError, match="there are torch and openvino"):
        Request(models=("identity",), engine="onnx")
    with pytest.raises(UsageError, match="give --device cpu"):
        Request(models=("identity",), engine="openvino", device_name="cuda")


def test_a_filter_is_what_it_is_by_torch():
    (model,) = Request(models=("gaussian(sigma=1)",), engine="openvino").loaded()
    assert not model.network.learns
