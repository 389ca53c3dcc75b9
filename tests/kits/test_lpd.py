"""The learned primal-dual: a network around the projector, trained on scans."""

import numpy as np
import pytest
import torch
from tests import made
from tests.made import train_on

from bonectl.core import kit, progress, threads
from bonectl.core.calibration import Calibration
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UnavailableError, UsageError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.learning.checkpoint import Checkpoint
from bonectl.learning.primal_dual import PrimalDual
from bonectl.learning.sample import Volume
from bonectl.methods import lpd as module
from bonectl.methods.lpd import VARIABLE, start
from bonectl.ops.denoise import trained, untrained
from bonectl.ops.phantom import phantom
from bonectl.ops.reconstruct import reconstruct
from bonectl.ops.simulate import simulate
from bonectl.projection.projector import Projector
from bonectl.scanning.detector import Detector
from bonectl.training.recipe import Recipe
from bonectl.training.rows import Pair, Scans
from bonectl.training.saving import Saving

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE, VOXEL = 32, 0.06
SMALL = {"model": "lpd(iterations=3, width=6, memory=2)", "run": 2, "loss": "l2", "rate": 3e-3, "held_out": 0.2}


@pytest.fixture(autouse=True)
def no_weights_by_chance(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    module._trained.cache_clear()
    module._compare.cache_clear()


def geometry(views=24, build=parallel, **knobs):
    return build(SIZE, 2, VOXEL, views=views, **knobs)


def scan_of(seed, *, rows=10, views=24, unit="counts"):
    """A low-dose scan of a phantom, and the phantom."""
    bone = phantom(parse("iliac"), (rows, SIZE, SIZE), VOXEL, seed)
    held = bone.collect()
    detector = Detector(photons=2000.0, dark=7.0 if unit == "counts" else 0.0)
    scan = simulate(
        Stack.of(held, bone.header), geometry=f"parallel(views={views})", energy=25.0, detector=detector, unit=unit
    )
    return Volume(scan.collect(), scan.header, f"scan {seed}"), Volume(held, bone.header, f"bone {seed}")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A scan and its bone as files."""
    folder = tmp_path_factory.mktemp("pair")
    return written(folder, *scan_of(1))


def written(folder, scan, bone):
    named = (("scan.npy", scan), ("bone.npy", bone))
    return tuple(made.write(folder / name, Stack.of(volume.values, volume.header)) for name, volume in named)


def learn(pair, output, **knobs):
    scan, bone = pair
    recipe = Recipe(**{"steps": 60, "batch": 1, **SMALL, **knobs})
    return train_on([scan], [bone], recipe, Saving(output=output, picture=False), device_name="cpu")


@pytest.fixture(scope="module")
def learned(pair, tmp_path_factory):
    """Trained on one phantom; deterministic. How it ended, and the file."""
    threads.govern(1)
    output = tmp_path_factory.mktemp("learned") / "lpd.safetensors"
    return learn(pair, output), output


@pytest.fixture
def weights(learned):
    return learned[1]


def shaken(network):
    """Weights everywhere, also where training begins at zero."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    return network


@pytest.mark.parametrize(
    "beam", [geometry(), geometry(build=fan, views=40, sod=60.0, sdd=90.0)], ids=["parallel", "fan"]
)
def test_it_begins_as_filtered_back_projection_and_the_gradient_reaches_every_parameter(beam):
    A = Projector(beam)
    y = torch.rand(2, beam.views, beam.columns)
    network = PrimalDual(3, 4, 2)
    begin = start(A, y)
    assert network(A, y, begin, 2.0).shape == (2, SIZE, SIZE)
    torch.testing.assert_close(network(A, y, begin, 2.0), begin)
    shaken(network)(A, y, begin, 2.0).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert float(parameter.grad.abs().sum()) > 0, name


def test_the_gradient_is_that_of_finite_differences():
    """Along a random direction of all parameters, in the projector's float32."""
    A = Projector(geometry(views=6))
    torch.manual_seed(0)
    y = torch.rand(1, 6, A.geometry.columns)
    network, begin = shaken(PrimalDual(2, 3, 2)), torch.rand(1, SIZE, SIZE)
    directions = [torch.randn(parameter.shape) for parameter in network.parameters()]

    def loss():
        return network(A, y, begin, 1.0).double().square().mean()

    loss().backward()
    slope = sum(float((p.grad * d).sum()) for p, d in zip(network.parameters(), directions, strict=True))
    step, values = 1e-3, []
    with torch.no_grad():
        for way in (1, -2):
            for parameter, direction in zip(network.parameters(), directions, strict=True):
                parameter += way * step * direction
            values.append(float(loss()))
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(slope, rel=0.02)


def test_attenuation_scales_with_the_scan():
    """Twice the line integrals at twice the scale are twice the attenuation: no number is hidden in the network."""
    A = Projector(geometry())
    y = torch.rand(1, 24, A.geometry.columns)
    network = shaken(PrimalDual(2, 4, 2)).requires_grad_(False)
    once, twice = network(A, y, start(A, y), 1.0), network(A, 2 * y, start(A, 2 * y), 2.0)
    torch.testing.assert_close(twice, 2 * once, rtol=1e-4, atol=1e-4)


def test_after_training_it_beats_every_window_of_filtered_back_projection_on_another_bone(learned):
    end, weights = learned
    assert end.psnr > end.psnr_input + 1
    scan, bone = scan_of(2)
    truth = scan.header.calibration.attenuation(bone.values)

    def error(method):
        volume = reconstruct(Stack.of(scan.values, scan.header), method=method).collect()
        return float(np.sqrt(np.square(volume - truth).mean()))

    floor = min(error(f"fbp(window={window})") for window in ("ram-lak", "hann", "sinc2"))
    assert error(f"lpd(weights='{weights}')") < 0.9 * floor


def test_the_same_seed_gives_the_same_weights_interrupted_or_not(pair, weights, tmp_path):
    output = tmp_path / "again.safetensors"
    scan, bone = pair
    recipe = Recipe(steps=60, batch=1, **SMALL)
    asked = iter([False] * 20 + [True])
    first = train_on([scan], [bone], recipe, Saving(output=output, picture=False), device_name="cpu",
                  stop=lambda: next(asked))  # fmt: skip
    assert (first.finished, first.steps) == (False, 21)
    assert train_on(
        [scan], [bone], recipe, Saving(output=output, picture=False, resume=True), device_name="cpu"
    ).finished
    assert Checkpoint.load(output).digest == Checkpoint.load(weights).digest
    other = tmp_path / "other.safetensors"
    learn(pair, other, steps=1, seed=1)
    assert Checkpoint.load(other).digest != Checkpoint.load(weights).digest


def test_two_scans_and_two_runs_per_step_are_trained_on(pair, tmp_path):
    second = written(tmp_path, *scan_of(2, views=20))
    output = tmp_path / "two.safetensors"
    recipe = Recipe(steps=3, batch=2, **SMALL)
    end = train_on([pair[0], second[0]], [pair[1], second[1]], recipe, Saving(output=output), device_name="cpu")
    assert end.finished
    assert (tmp_path / "two.safetensors.png").exists()
    assert Checkpoint.load(output).spacing == (VOXEL,) * 3


def test_slabs_do_not_change_the_volume(weights):
    scan, _ = scan_of(3)
    volumes = []
    for size in (1, 3, 10):
        slabs = (scan.values[first : first + size] for first in range(0, 10, size))
        volumes.append(reconstruct(Stack(scan.header, slabs), method=f"lpd(weights='{weights}')").collect())
    assert volumes[0].tobytes() == volumes[1].tobytes() == volumes[2].tobytes()


def test_counts_and_line_integrals_and_attenuation_are_one_pair():
    scan, bone = scan_of(4, unit="line integral")
    lines, truth = Pair(scan, bone).rows(2, 5)
    np.testing.assert_array_equal(lines, scan.values[2:5])
    np.testing.assert_allclose(truth, scan.header.calibration.attenuation(bone.values[2:5]), rtol=1e-6)
    counts, _ = scan_of(4)
    dark, white = counts.header.acquisition["dark"], counts.header.acquisition["white"]
    lines, _ = Pair(counts, bone).rows(2, 5)
    np.testing.assert_allclose(lines, -np.log((counts.values[2:5] - dark) / white), rtol=1e-5, atol=1e-5)
    attenuation = Volume(np.asarray(truth), bone.header.replace(unit="1/cm", shape=(3, SIZE, SIZE)), "truth")
    short = Volume(scan.values[2:5], scan.header.replace(
        shape=(3, *scan.header.shape[1:]), geometry=scan.header.geometry.replace(rows=3)), "short")  # fmt: skip
    np.testing.assert_array_equal(Pair(short, attenuation).rows(0, 3)[1], truth)


def test_other_views_are_noted_once(weights):
    told = []

    scan, _ = scan_of(5, views=12)
    method = kit.bind("methods", parse(f"lpd(weights='{weights}')"))
    A = Projector(scan.header.geometry)
    y = torch.from_numpy(np.ascontiguousarray(scan.values[:1])) * 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "note", told.append)
        method(A, y)
        method(A, y)
    assert len(told) == 1
    assert "views is 12, lpd was trained at 24" in told[0]


def test_weights_that_were_trained_anew_into_the_same_file_are_seen(weights, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(weights.read_bytes())
    A = Projector(geometry())
    y = torch.rand(2, 24, A.geometry.columns)
    method = kit.bind("methods", parse(f"lpd(weights='{path}')"))
    before = method(A, y)
    kept = Checkpoint.load(path)
    facts = {name: getattr(kept, name) for name in kept.__dataclass_fields__}
    changed = {name: weight * 1.5 for name, weight in kept.weights.items()}
    Checkpoint(**facts | {"weights": changed}).save(path)
    after = method(A, y)
    assert not torch.equal(before, after)
    module._trained.cache_clear()
    torch.testing.assert_close(after, method(A, y), rtol=0, atol=0)


def test_a_scan_and_a_volume_of_other_voxels_or_laws_are_no_pair():
    scan, bone = scan_of(3, rows=2)
    law = Calibration(2928.0, -603.0, "60 keV")
    for facts, said in (
        ({"spacing": (0.06, 0.061, 0.061)}, "0.061 mm"),
        ({"unit": "1/cm", "calibration": law}, "2928"),
    ):
        other = Volume(bone.values, bone.header.replace(**facts), "bone")
        with pytest.raises(UsageError, match=said):
            Pair(scan, other)


def test_absent_weights_say_how_to_make_them(tmp_path, monkeypatch):
    A, y = Projector(geometry()), torch.zeros(1, 24, geometry().columns)
    method = kit.bind("methods", parse("lpd"))
    with pytest.raises(UnavailableError, match=r"no weights of lpd; make them with `bonectl train SCAN"):
        method(A, y)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    with pytest.raises(UnavailableError, match=r"not at .*none"):
        method(A, y)


def test_a_denoiser_is_no_method_and_the_method_no_denoiser(weights, tmp_path):
    checkpoint = Checkpoint.load(weights)
    facts = {name: getattr(checkpoint, name) for name in checkpoint.__dataclass_fields__}
    Checkpoint(**(facts | {"model": "unet25d"})).save(tmp_path / "x.safetensors")
    with pytest.raises(UsageError, match=r"reconstructs scans and denoises no volumes"):
        trained(weights)
    with pytest.raises(UsageError, match=r"use bonectl reconstruct --method"):
        untrained("lpd")
    A, y = Projector(geometry()), torch.zeros(1, 24, geometry().columns)
    with pytest.raises(DataError, match="no weights of lpd"):
        kit.bind("methods", parse(f"lpd(weights='{tmp_path / 'x.safetensors'}')"))(A, y)


@pytest.mark.parametrize("text", ["lpd(depth=3)", "lpd(width=0)", "lpd(width=1.5)"])
def test_impossible_knobs_are_refused(text):
    with pytest.raises(UsageError):
        kit.bind("models", parse(text))()


def test_what_does_not_fit_together_is_refused():
    scan, bone = scan_of(1)
    with pytest.raises(UsageError, match="slices of"):
        Pair(scan, Volume(bone.values[:5], bone.header.replace(shape=(5, SIZE, SIZE)), "short"))
    with pytest.raises(UsageError, match="no scan"):
        Pair(bone, bone)
    with pytest.raises(UsageError, match="no calibration"):
        Pair(Volume(scan.values, scan.header.replace(calibration=None), "scan"), bone)
    with pytest.raises(UsageError, match="cone beam"):
        beam = cone(SIZE, 10, VOXEL, views=24, sod=60.0, sdd=90.0).replace(rows=10)
        Pair(Volume(scan.values, scan.header.replace(geometry=beam), "cone"), bone)
    with pytest.raises(UsageError, match="one --target for each scan"):
        Scans([scan], [])
    with pytest.raises(UsageError, match="differ in size"):
        small = scan.header.geometry.replace(size=16)
        values = bone.values[:, :16, :16]
        Scans([scan, Volume(scan.values, scan.header.replace(geometry=small), "small")],
              [bone, Volume(values, bone.header.replace(shape=values.shape), "small bone")])  # fmt: skip


def test_pairs_of_another_kind_are_refused(pair, tmp_path):
    with pytest.raises(UsageError, match="leave out --pairs"):
        learn(pair, tmp_path / "x.safetensors", pairs="noise2inverse")
    with pytest.raises(UsageError, match="no scan"):
        learn((pair[1], pair[1]), tmp_path / "x.safetensors")
