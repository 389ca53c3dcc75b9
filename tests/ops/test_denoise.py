"""Denoising: the unit stays, the cut does not matter, strangers are refused."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.ndimage
import torch
from tests import made

from bonectl.core import kit
from bonectl.core.calibration import Calibration
from bonectl.core.header import PROJECTIONS, Header
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.errors import DataError, MemoryShortageError, UsageError
from bonectl.learning.agreement import scale
from bonectl.learning.checkpoint import Checkpoint, Normalisation
from bonectl.ops import denoise as module
from bonectl.ops.denoise import Model, denoise, trained, untrained

pytestmark = pytest.mark.usefixtures("one_thread")


def stack(values, slab=4, **changes):
    return made.stack(values, slab=slab, **changes)


def volume(shape=(11, 37, 50)):
    return made.noise(shape)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint with random weights everywhere."""
    path = tmp_path_factory.mktemp("model") / "x.safetensors"
    from bonectl.models.unet25d import unet25d

    torch.manual_seed(0)
    network = unet25d(slices=5, width=4, scales=3)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    Checkpoint(
        model="unet25d(slices=5, width=4, scales=3)",
        loss="l1",
        pairs="supervised",
        normalisation=Normalisation("mgHA/cm3", 0.0, 1200.0),
        axes=("z", "y", "x"),
        spacing=(0.02,) * 3,
        acquisition={"photons": 1e4, "views": 180},
        steps=1,
        seed=0,
        weights={name: weight.contiguous() for name, weight in network.state_dict().items()},
    ).save(path)
    return path


@pytest.mark.parametrize("slab", [1, 3, 4, 11])
@pytest.mark.parametrize("tile", [16, 512])
def test_neither_slab_nor_tile_changes_a_bit(checkpoint, slab, tile):
    values = volume()
    model = trained(checkpoint)
    reference = denoise(stack(values, 11), model, device_name="cpu").collect()
    assert np.abs(reference - values).max() > 1
    again = denoise(stack(values, slab), model, device_name="cpu", tile=tile).collect()
    assert again.tobytes() == reference.tobytes()


def test_a_slice_sees_its_neighbours_and_nothing_farther(checkpoint):
    values = volume()
    model = trained(checkpoint)
    before = denoise(stack(values), model, device_name="cpu").collect()
    changed = values.copy()
    changed[5] += 100
    after = denoise(stack(changed), model, device_name="cpu").collect()
    touched = [z for z in range(11) if not np.array_equal(before[z], after[z])]
    assert touched == [3, 4, 5, 6, 7]


def test_the_ends_are_repeated(checkpoint):
    values = volume()
    model = trained(checkpoint)
    whole = denoise(stack(values), model, device_name="cpu").collect()
    longer = np.concatenate([values[:1], values[:1], values, values[-1:], values[-1:]])
    padded = denoise(stack(longer), model, device_name="cpu").collect()
    np.testing.assert_allclose(padded[2:-2], whole, rtol=1e-5)


def test_a_single_slice_passes(checkpoint):
    assert denoise(stack(volume((1, 9, 7))), trained(checkpoint), device_name="cpu").collect().shape == (1, 9, 7)


def test_only_the_slices_in_sight_are_pulled(checkpoint):
    values, pulled = volume(), []

    def slices():
        for z in range(11):
            pulled.append(z)
            yield values[z : z + 1]

    source = Stack(stack(values).header, slices())
    result = iter(denoise(source, trained(checkpoint), device_name="cpu").slabs)
    next(result)
    assert pulled == [0, 1, 2]
    next(result)
    assert pulled == [0, 1, 2, 3]


def test_identity_keeps_every_bit_in_every_unit():
    values = volume() * np.float32(np.pi)
    for unit in ("mgHA/cm3", "1/cm", "grey", "line integral"):
        result = denoise(stack(values, unit=unit), untrained("identity"), device_name="cpu")
        assert result.header.unit == unit
        assert result.collect().tobytes() == values.tobytes()


def test_header_is_kept_and_the_type_is_float32(checkpoint):
    values = volume().astype(np.uint16)
    noisy = stack(values, acquisition={"photons": 1e4})
    result = denoise(noisy, trained(checkpoint), device_name="cpu")
    assert result.header == noisy.header.replace(dtype="<f4")
    assert result.collect().dtype == np.float32


def test_gaussian_filters_the_stack_as_scipy_does():
    values = volume()
    ours = denoise(stack(values), untrained("gaussian(sigma=1)"), device_name="cpu").collect()
    theirs = scipy.ndimage.gaussian_filter(values.astype(float), 1, mode="nearest", truncate=4.0)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)  # of 1000


def test_networks_follow_the_scale_of_their_data(checkpoint):
    """Values times a and a scale times a give the estimate times a: nothing is taken from the image."""
    values = volume()
    model = trained(checkpoint)
    plain = denoise(stack(values), model, device_name="cpu").collect()
    scaled_checkpoint = Checkpoint(
        **{name: getattr(model.checkpoint, name) for name in (
            "model", "loss", "pairs", "axes", "spacing", "steps", "seed", "weights")},
        normalisation=Normalisation("1/cm", 0.0, 1200.0 / 1024),
    )  # fmt: skip
    other = module.Model(model.network, model.name, scaled_checkpoint)
    scaled = denoise(stack(values / 1024, unit="1/cm"), other, device_name="cpu").collect()
    np.testing.assert_array_equal(scaled * 1024, plain)


def test_attenuation_of_another_energy_is_scaled_by_its_own_calibration(checkpoint):
    """Seen at the scale of 25 keV, bone of 60 keV was a tenth of bone, and its density came out five times as large."""
    laws = [Calibration(301.0, -153.0, "25 keV"), Calibration(2928.0, -603.0, "60 keV")]
    facts = {name: getattr(trained(checkpoint).checkpoint, name) for name in Checkpoint.__dataclass_fields__}
    facts |= {"normalisation": scale(Header(shape=(1, 1, 1), unit="1/cm", calibration=laws[0])), "calibrated": True}
    model = module.Model(trained(checkpoint).network, "x", Checkpoint(**facts))
    densities = []
    for law in laws:
        noisy = stack(law.attenuation(volume().astype(float)).astype(np.float32), unit="1/cm", calibration=law)
        densities.append(law.density(denoise(noisy, model, device_name="cpu").collect().astype(float)))
    np.testing.assert_allclose(densities[0], densities[1], atol=0.05)  # of 1200; float32 of attenuations


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"spacing": (0.05,) * 3}, "0.05 mm"),
        ({"acquisition": {"photons": 100}}, "photons is 100"),
        ({"spacing": (0.03,) * 3, "acquisition": {"photons": 6e3, "views": 100}}, None),
    ],
)
def test_data_far_from_the_training_is_told(checkpoint, changes, expected):
    with made.heard() as said:
        denoise(stack(volume((2, 8, 8)), **changes), trained(checkpoint), device_name="cpu")
    assert bool(said) == (expected is not None)
    assert expected is None or expected in said[0]


@pytest.mark.parametrize(("photons", "told"), [(1e3, True), (2e3, False), (2e4, False), (1e5, False), (3e5, True)])
def test_a_dose_within_the_range_of_the_training_is_fine(checkpoint, photons, told):
    model = trained(checkpoint)
    ranged = {"photons_least": 3e3, "photons_most": 1e5}
    model = module.Model(model.network, model.name, dataclasses.replace(model.checkpoint, acquisition=ranged))
    with made.heard() as said:
        denoise(stack(volume((2, 8, 8)), acquisition={"photons": photons}), model, device_name="cpu")
    expected = f"warning: photons is {photons:g}, the model was trained at 3000 to 100000"
    assert said == ([expected] if told else [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "1/cm"}, "in 1/cm, but .* trained on mgHA/cm3"),
        ({"unit": "label"}, "labels"),
        ({"axes": PROJECTIONS}, "axes"),
    ],
)
def test_strangers_are_refused_before_a_voxel_is_pulled(checkpoint, changes, message):
    def untouched():
        raise AssertionError("pulled")
        yield

    header = stack(volume((2, 8, 8)), **changes).header
    with pytest.raises(UsageError, match=message):
        denoise(Stack(header, untouched()), trained(checkpoint), device_name="cpu")


def test_networks_must_be_trained():
    with pytest.raises(UsageError, match="trained first"):
        untrained("unet25d")


def test_weights_that_do_not_fit_are_refused(checkpoint, tmp_path):
    good = Checkpoint.load(checkpoint)
    facts = {
        name: getattr(good, name) for name in ("loss", "pairs", "normalisation", "axes", "spacing", "steps", "seed")
    }
    for name, text in enumerate(["unet25d(width=8)", "unet2d(width=1000000, scales=8)", "nothing", "l1 +", "gaussian"]):
        path = tmp_path / f"{name}.safetensors"
        Checkpoint(model=text, weights=good.weights, **facts).save(path)
        with pytest.raises(DataError, match="do not fit"):
            trained(path)


def test_short_memory_halves_the_tiles_and_then_gives_up(checkpoint, monkeypatch):
    sides = []

    def short(model, u, side):
        sides.append(side)
        if side > 100:
            raise torch.OutOfMemoryError("no")
        return u[:, 2:-2]

    monkeypatch.setattr(module, "apply", short)
    denoise(stack(volume((4, 8, 8))), trained(checkpoint), device_name="cpu", tile=512).collect()
    assert sides == [512, 256, 128, 64, 64, 64, 64]  # found once, kept for the other slices

    def never(model, u, side):
        raise torch.OutOfMemoryError("no")

    monkeypatch.setattr(module, "apply", never)
    with pytest.raises(MemoryShortageError):
        denoise(stack(volume((4, 8, 8))), trained(checkpoint), device_name="cpu").collect()


def test_loading_weights_loads_no_compiler_and_leaves_no_folder(checkpoint, tmp_path):
    code = "import sys; from pathlib import Path; from bonectl.ops.denoise import trained; trained(Path(sys.argv[1]))"
    code += "; assert 'torch._dynamo' not in sys.modules"
    surroundings = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code, str(checkpoint)], env=surroundings, check=True)
    assert not list(tmp_path.iterdir())


def test_a_blind_model_gives_no_slice_back_to_itself():
    """At the ends too, where a slice would stand in for a missing neighbour."""
    network = kit.bind("models", parse("blind(width=2, scales=1)"))()
    torch.nn.init.normal_(network.network.last.weight)
    model, values = Model(network, "blind"), volume((6, 9, 9))
    before = denoise(stack(values, slab=2), model).collect()
    for number in range(6):
        changed = values.copy()
        changed[number] += 100
        after = denoise(stack(changed), model).collect()
        np.testing.assert_allclose(after[number], before[number], atol=1e-3)  # of 1200: rounding
        assert np.abs(after - before).max() > 1
    with pytest.raises(UsageError, match="2 slices; the model needs 3"):
        denoise(stack(values[:2]), model).collect()
