"""`bonectl export`: a graph for other software gives our values in our unit, or is not written."""

import hashlib
import io
import json
import sys
import zipfile
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from tests import made

from bonectl.core import kit
from bonectl.core.spec import parse
from bonectl.errors import UnavailableError, UsageError
from bonectl.learning import graph
from bonectl.learning.checkpoint import Normalisation
from bonectl.ops import export as ops
from bonectl.ops.denoise import denoise

needs_onnx = pytest.mark.skipif(
    not (find_spec("onnx") and find_spec("onnxruntime")),
    reason="onnx or onnxruntime is not installed (the extra `onnx`)",
)
pytestmark = pytest.mark.usefixtures("one_thread")

# One of each network, small.
NETWORKS = (
    "unet25d(width=4, scales=2)",
    "unet2d(width=4)",
    "unet3d(width=2, scales=2)",
    "msd(depth=6)",
    "drunet(width=4, scales=2, blocks=1)",
    "nafnet(width=4, scales=2)",
    "nafnet(width=4, scales=2, attention=true)",
    "redcnn(width=4)",
    "blind(width=4, scales=2)",
)
# Water at 25 keV and what 1200 mgHA/cm³ add to it, about.
LAW = Normalisation("1/cm", 0.5, 4.0)


def saved(tmp_path, text="unet25d(width=4, scales=2)", normalisation=LAW):
    path = tmp_path / "net.safetensors"
    made.trained(text, normalisation).checkpoint.save(path)
    return path


def attenuation(shape):
    """Values of noisy bone [1/cm]."""
    return np.random.default_rng(1).normal(2.5, 1.5, shape).astype(np.float32)


def between(values, number, reach):
    """A slice of a stack between its neighbours, as who runs a graph has to cut it."""
    numbers = np.arange(number - reach.slices, number + reach.slices + 1)
    beyond = (numbers < 0).astype(int) - (numbers >= len(values))
    inside = numbers + beyond * (reach.slices + 1) if reach.blind else numbers.clip(0, len(values) - 1)
    return values[inside][None]


def test_there_is_one_of_each_network():
    trained = {name for name in kit.names("models") if kit.fact("models", name, "LEARNS") == "volumes"}
    assert {parse(text).name for text in NETWORKS} == trained


@pytest.mark.parametrize("text", NETWORKS)
def test_the_graph_has_the_scale_in_it_and_takes_slices_of_any_size(text):
    known = made.trained(text, LAW)
    values = attenuation((4, 19, 30))
    wanted = denoise(made.stack(values, unit="1/cm"), known).collect()
    assert np.abs(wanted - values).max() > 0.01  # it does something
    inside, reach = graph.Graph(known.network, LAW), known.network.reach
    with torch.no_grad():
        answers = [inside(torch.from_numpy(between(values, number, reach)))[0, 0] for number in range(4)]
    np.testing.assert_allclose(np.stack(answers), wanted, atol=1e-5 * LAW.scale)


@needs_onnx
@pytest.mark.parametrize("text", NETWORKS)
def test_onnxruntime_gives_our_values_in_our_unit(tmp_path, text):
    ops.export(saved(tmp_path, text), tmp_path / "net.onnx")
    known = made.trained(text, LAW)
    values = attenuation((3, 45, 37))  # no size that it was exported with
    wanted = denoise(made.stack(values, unit="1/cm"), known).collect()
    weights, reach = (tmp_path / "net.onnx").read_bytes(), known.network.reach
    found = np.stack([graph.run(weights, between(values, number, reach))[0, 0] for number in range(3)])
    np.testing.assert_allclose(found, wanted, atol=1e-5 * max(LAW.scale, np.abs(wanted - values).max()))


@needs_onnx
def test_unit_and_card_are_in_the_file(tmp_path):
    import onnx

    ops.export(saved(tmp_path), tmp_path / "net.onnx")
    told = {entry.key: entry.value for entry in onnx.load(tmp_path / "net.onnx").metadata_props}
    assert told["unit"] == "1/cm"
    assert "0 and full bone are 0.5 and 4.5" in told["values"]
    card = json.loads(told["bonectl"])
    assert (card["schema"], card["offset"], card["scale"]) == ("bonectl.model/1", 0.5, 4.0)


@needs_onnx
def test_a_package_of_the_zoo_is_whole_and_the_same_bytes_again(tmp_path):
    path = saved(tmp_path)
    for name in ("one.zip", "two.zip"):
        ops.export(path, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    told = json.loads(files["bioimageio.yaml"])  # JSON is YAML
    (given,), (made_of_it,), weights = told["inputs"], told["outputs"], told["weights"]["onnx"]
    for entry in (given["test_tensor"], made_of_it["test_tensor"], weights):
        assert hashlib.sha256(files[entry["source"]]).hexdigest() == entry["sha256"]
    asked, answer = (np.load(io.BytesIO(files[f"test_{end}.npy"])) for end in ("input", "output"))
    np.testing.assert_allclose(graph.run(files["model.onnx"], asked), answer, atol=1e-5 * LAW.scale)
    rows, halo = given["axes"][2], made_of_it["axes"][2]["halo"]
    assert (rows["unit"], round(rows["scale"], 6)) == ("micrometer", 58.5)
    assert (asked.shape[2] - rows["size"]["min"]) % rows["size"]["step"] == 0
    assert halo >= made.trained("unet25d(width=4, scales=2)", LAW).network.reach.pixels
    assert len(given["axes"][1]["channel_names"]) == asked.shape[1] == 5
    assert given["preprocessing"] == made_of_it["postprocessing"] == []
    assert "1/cm" in given["description"]
    assert "## Validation" in files["README.md"].decode()


@needs_onnx
def test_a_graph_that_gives_other_values_is_not_written(tmp_path, monkeypatch):
    ran = graph.run
    monkeypatch.setattr(graph, "run", lambda weights, volume: ran(weights, volume) + np.float32(1e-3))
    with pytest.raises(UnavailableError, match=r"differ by 0\.001.* nothing is written"):
        ops.export(saved(tmp_path), tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()


@pytest.mark.parametrize("name", ["net.pt", "net"])
def test_other_endings_are_refused(tmp_path, name):
    with pytest.raises(UsageError, match=r"ends in \.onnx"):
        ops.export(saved(tmp_path), tmp_path / name)


@pytest.mark.parametrize("name", ["onnx", "onnxruntime"])
def test_what_is_missing_is_named_before_any_work(tmp_path, monkeypatch, name):
    for other in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, other, None if other == name else np)
    with pytest.raises(UnavailableError, match=rf"needs the package {name}, .*bonectl\[onnx\]"):
        ops.export(tmp_path / "nowhere.safetensors", tmp_path / "net.onnx")
