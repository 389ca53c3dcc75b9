"""The bone encoder: its file, its distance, and where its weights are looked for."""

import importlib.util
import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bonectl.core import kit
from bonectl.core.spec import parse
from bonectl.errors import DataError, MissingInputError, UnavailableError, UsageError
from bonectl.learning.encoder import Encoder, TrainedEncoder
from bonectl.learning.sample import Sample
from bonectl.learning.weights import digest
from bonectl.losses.encoder import VARIABLE

SMALL = (2, 3, 4)


def made(seed=0, widths=SMALL):
    generator = torch.Generator().manual_seed(seed)
    network = Encoder(widths)
    for parameter in network.parameters():
        parameter.data = 0.4 * torch.randn(parameter.shape, generator=generator)
    return TrainedEncoder(network, {"seed": seed})


@pytest.fixture(autouse=True)
def no_weights_by_chance(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def path(tmp_path):
    made().save(tmp_path / "encoder.safetensors")
    return tmp_path / "encoder.safetensors"


def distance(text, estimate, target):
    return kit.bind("losses", parse(text))(Sample(estimate=estimate, clean=target))


def pair(shape=(2, 5, 9, 12), dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.rand(shape, generator=generator, dtype=dtype) for _ in range(2))


def test_the_file_brings_back_weights_and_facts(path):
    there = TrainedEncoder.load(path)
    assert dict(there.facts) == {"seed": 0}
    assert digest(there.network.state_dict()) == digest(made().network.state_dict())
    before = path.read_bytes()
    there.save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (2, 3, 9, 7), (1, 16, 1, 1)])
def test_any_shape_is_seen_at_three_scales(shape):
    seen = Encoder(SMALL)(torch.rand(shape))
    for scale, (features, width) in enumerate(zip(seen, SMALL, strict=True)):
        assert features.shape == (shape[0], width, *(-(-n // 2**scale) for n in shape[1:]))


def test_rescaled_features_are_the_old_ones_over_their_spread():
    network, volume = made().network, torch.rand(1, 6, 8, 8)
    before = [seen.clone() for seen in network(volume)]
    spreads = [torch.arange(1.0, width + 1) for width in SMALL]
    spreads[1][0] = 0  # a channel that never changes
    network.rescale(spreads)
    for old, new, spread in zip(before, network(volume), spreads, strict=True):
        spread = torch.where(spread > 0, spread, torch.ones_like(spread)).view(1, -1, 1, 1, 1)
        torch.testing.assert_close(new, old / spread)


def test_the_distance_is_the_mean_over_scales_of_mean_absolute_differences(path):
    estimate, target = pair()
    network = made().network.double().requires_grad_(False)
    parts = [float((a - b).abs().mean()) for a, b in zip(network(estimate), network(target), strict=True)]
    assert float(distance(f"encoder(weights='{path}')", estimate, target)) == pytest.approx(sum(parts) / 3)


def test_the_window_of_values_is_an_affine_map(path):
    estimate, target = pair()
    there = float(distance(f"encoder(weights='{path}')", estimate, target))
    moved = float(distance(f"encoder(weights='{path}', low=-1.0, high=3.0)", 4 * estimate - 1, 4 * target - 1))
    assert moved == pytest.approx(there)


def test_weights_are_found_by_knob_then_environment(path, tmp_path, monkeypatch):
    made(1).save(tmp_path / "other.safetensors")
    knob = float(distance(f"encoder(weights='{path}')", *pair()))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "other.safetensors"))
    assert float(distance("encoder", *pair())) != knob
    assert float(distance(f"encoder(weights='{path}')", *pair())) == knob


def test_absent_weights_are_an_error_that_says_which_command_builds_them(tmp_path, monkeypatch):
    with pytest.raises(UnavailableError, match=r"python examples/bone-encoder/build\.py -o") as failure:
        distance("encoder", *pair())
    assert failure.value.status == 69
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.safetensors"))
    with pytest.raises(UnavailableError, match=r"not at .*none\.safetensors; make them with"):
        distance("encoder", *pair())


def test_an_empty_window_is_refused(path):
    with pytest.raises(UsageError, match="must not be empty"):
        distance(f"encoder(weights='{path}', low=1.0)", *pair())


def test_damaged_files_are_refused(path, tmp_path):
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-2] ^= 64
    (tmp_path / "flipped.safetensors").write_bytes(flipped)
    with pytest.raises(DataError, match="not those that were saved"):
        TrainedEncoder.load(tmp_path / "flipped.safetensors")
    (tmp_path / "short.safetensors").write_bytes(whole[:-7])
    with pytest.raises(DataError, match="damaged"):
        TrainedEncoder.load(tmp_path / "short.safetensors")
    with pytest.raises(MissingInputError):
        TrainedEncoder.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bonectl-encoder", "bonectl-encodes", "no bone encoder"),
        ('\\"version\\": 2', '\\"version\\": 9', "version 9"),
        ('\\"widths\\": [2,', '\\"widths\\": [5,', "description is damaged"),
        ("sha256", "sha257", "description is damaged"),
    ],
)
def test_descriptions_that_say_something_else_are_refused(path, old, new, message):
    whole = path.read_bytes()
    (size,) = struct.unpack("<Q", whole[:8])
    text = whole[8 : 8 + size].decode()
    assert old in text
    assert json.loads(text)
    path.write_bytes(whole[:8] + text.replace(old, new).encode() + whole[8 + size :])
    with pytest.raises(DataError, match=message):
        TrainedEncoder.load(path)


@pytest.fixture
def build(monkeypatch):
    """The build script, with one kind of bone."""
    path = Path(__file__).parents[2] / "examples" / "bone-encoder" / "build.py"
    spec = importlib.util.spec_from_file_location("build", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "build", module)
    spec.loader.exec_module(module)
    module.KINDS, module.VOXELS = ("iliac",), (0.03,)
    module.BATCH, module.READ, module.MEASURE = 1, 16, 4
    return module


def test_the_build_script_makes_the_same_file_again_and_the_loss_takes_it(build, tmp_path):
    threads = torch.get_num_threads()
    try:
        for name in ("a", "b"):
            build.main(["-o", str(tmp_path / f"{name}.safetensors"), "--steps", "20", "--side", "40"])
    finally:
        torch.set_num_threads(threads)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    facts = TrainedEncoder.load(tmp_path / "a.safetensors").facts
    assert set(facts["held_out_r2"]) == set(facts["held_out_r2_random_weights"]) == set(build.NUMBERS)
    assert facts["held_out_r2"]["bone share"] > 0.8
    assert float(distance(f"encoder(weights='{tmp_path / 'a.safetensors'}')", *pair(dtype=torch.float32))) > 0


def test_the_numbers_that_are_taught_are_those_of_the_bone(build):
    """A plate of 4 voxels through windows of 8: half is bone, two faces, no Euler number inside, thickness 4."""
    volume = np.zeros((24, 24, 24), np.float32)
    volume[:, 10:14] = 0.9
    share, density, surface, euler, thickness = build.windows(build.Bone.of(volume).maps[None])[0, :, 1, 1, 1]
    assert float(share) == pytest.approx(0.5)
    assert float(density) == pytest.approx(0.9, rel=1e-4)
    assert float(surface) == pytest.approx(2 / 8 * 2 / 3)
    assert float(euler) == pytest.approx(0, abs=1e-6)
    assert float(thickness) == pytest.approx(4, abs=1)
    empty = build.windows(build.Bone.of(volume).maps[None])[0, :, 1, 0, 1]
    assert torch.isnan(empty).tolist() == [False, True, False, False, True]


def test_degradation_is_as_large_as_it_says(build):
    random = np.random.default_rng(0)
    volume = np.zeros((16, 32, 32))
    assert build.noisy(volume, 0.2, random).std() == pytest.approx(0.2, rel=0.05)
    volume[8, 16, 16] = 1
    blurred = build.blurred(volume, 1.5)
    assert blurred.sum() == pytest.approx(1)
    assert (blurred.sum((0, 1)) * (np.arange(32) - 16) ** 2).sum() == pytest.approx(1.5**2, rel=0.01)


def test_the_example_of_sensitivity_judges_its_table(build):
    """Distances that shrink, an encoder without an eye for struts, and a control that passes."""
    path = Path(__file__).parents[2] / "examples" / "bone-encoder" / "sensitivity.py"
    spec = importlib.util.spec_from_file_location("sensitivity", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    costs = {"cut struts": (1, 1.2, 3), "blur": (1, 1, 1.5), "noise": (1, 0.8, 0.6)}
    right = {(kind, n): n * np.array([cost, cost]) for kind, cost in costs.items() for n in (1.0, 2.0)}
    assert example.wrong(right) == []
    assert example.wrong(right | {("blur", 2.0): right["blur", 1.0]}) == ["a distance does not grow with blur"]
    blind = {damage: values * (1, 1, 1 / 3 if damage[0] == "cut struts" else 1) for damage, values in right.items()}
    assert example.wrong(blind) == ["cut struts cost the encoder 1.7 times as much as noise, not 3"]
    swapped = {damage: values[:, [0, 2, 1]] for damage, values in right.items()}
    assert "a random network, the control, passes: 5 times" in example.wrong(swapped)
