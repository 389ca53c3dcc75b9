"""Every model keeps the contract of `bonectl.learning.denoiser`; each does what its name says."""

import numpy as np
import pytest
import scipy.ndimage
import torch

from bonectl.core import kit
from bonectl.core.spec import parse
from bonectl.errors import UsageError
from bonectl.models._unet import radius

MODELS = [name for name in kit.names("models") if name != "lpd"]  # which reconstructs: test_lpd.py
UNETS = [
    "unet2d(width=4, scales=1)",
    "unet2d(width=4, scales=3)",
    "unet25d(slices=3, width=4, scales=2)",
    "unet25d(width=2, scales=4)",
]
# Deep paths of 3 × 3 convolutions reach their full radius only where no weight is zero; small ones keep tests fast.
OTHERS = [
    "redcnn(width=2)",
    "msd(depth=5, dilations=3)",
    "msd(depth=4, width=2, dilations=2)",
    "drunet(width=2, scales=1, blocks=1)",
    "drunet(width=2, scales=3, blocks=1)",
    "unet3d(width=2, scales=1)",
    "unet3d(width=2, scales=2)",
]


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small wait for each other on two threads, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(text):
    return kit.bind("models", parse(text))()


@pytest.mark.parametrize("name", MODELS)
def test_shape_and_type(name):
    model = build(name).eval()
    side = 4 * model.reach.grid
    volume = torch.rand((2, 3 + 2 * model.reach.slices, side, 2 * side))
    with torch.no_grad():
        estimate = model(volume)
    assert estimate.shape == (2, 3, side, 2 * side)
    assert estimate.dtype == torch.float32
    assert torch.isfinite(estimate).all()


@pytest.mark.parametrize("name", MODELS)
def test_a_constant_stays_a_constant(name):
    model = build(name).eval()
    side = 4 * model.reach.grid
    with torch.no_grad():
        estimate = model(torch.full((1, 1 + 2 * model.reach.slices, side, side), 0.75))
    assert torch.allclose(estimate, torch.full_like(estimate, 0.75), atol=1e-6)


@pytest.mark.parametrize("name", [name for name in MODELS if build(name).learns and not build(name).reach.blind])
def test_networks_start_as_the_identity(name):
    model = build(name).eval()
    side = 4 * model.reach.grid
    volume = torch.rand((1, 2 + 2 * model.reach.slices, side, side))
    context = model.reach.slices
    with torch.no_grad():
        assert torch.equal(model(volume), volume[:, context : context + 2])


@pytest.mark.parametrize(
    "text", [*UNETS, *OTHERS, "gaussian(sigma=0.8)", "tv3d(steps=3)", "nlm3d(distance=1)", "identity"]
)
@torch.no_grad()
def test_the_declared_reach_is_exact(text):
    """Perturb one voxel: exact zeros beyond the declared reach, and a change up to it, over the pooling grid.

    With positive weights and inputs a large rise passes every ReLU and wins every pooling, so nothing hides it.
    """
    model = build(text).double().eval()
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, 0.1, 0.2)
    reach = model.reach
    side = -(-(2 * reach.pixels + 8) // reach.grid + 1) * reach.grid * 2
    volume = torch.rand((1, 3 + 2 * reach.slices, side, side), dtype=torch.float64)
    before = model(volume)
    farthest = []
    for phase in range(reach.grid):
        place = side // 2 // reach.grid * reach.grid + phase
        changed = volume.clone()
        changed[0, 1 + reach.slices, place, place] += 1e6
        _, _, rows, columns = torch.nonzero(model(changed) - before, as_tuple=True)
        farthest += [int((rows - place).abs().max()), int((columns - place).abs().max())]
    assert max(farthest) == reach.pixels


@torch.no_grad()
def test_a_blind_network_looks_at_the_neighbours_alone_and_starts_as_the_mean_of_two():
    model = build("blind(slices=3, width=4, scales=1)").double().eval()
    volume = torch.rand((1, 13, 8, 8), dtype=torch.float64)
    torch.testing.assert_close(model(volume), (volume[:, 2:9] + volume[:, 4:11]) / 2)
    torch.nn.init.normal_(model.network.last.weight)
    changed = volume.clone()
    changed[0, 6] += 1
    touched = (model(changed) != model(volume)).any(dim=(0, 2, 3)).nonzero().flatten().tolist()
    assert touched == [0, 1, 2, 4, 5, 6]  # slice 3 of the answer is slice 6 of the volume


def test_msd_gives_the_same_bits_whether_it_may_work_in_place_or_not():
    model = build("msd(depth=7, width=2, dilations=3)").eval()
    torch.nn.init.normal_(model.network.last.weight)
    volume = torch.randn((1, 1, 40, 56))
    with torch.no_grad():
        in_place = model(volume)
    assert torch.equal(model(volume), in_place)


@torch.no_grad()
def test_context_is_exactly_the_declared_slices():
    model = build("unet25d(slices=5, width=4, scales=1)").double().eval()
    torch.nn.init.normal_(model.network.last.weight)
    volume = torch.rand((1, 13, 8, 8), dtype=torch.float64)
    changed = volume.clone()
    changed[0, 6] += 1
    touched = (model(changed) != model(volume)).any(dim=(0, 2, 3)).nonzero().flatten().tolist()
    assert touched == [2, 3, 4, 5, 6]  # estimates are slices 2 to 10 of the input


@torch.no_grad()
def test_a_volumetric_network_looks_exactly_at_its_declared_slices():
    model = build("unet3d(width=2, scales=2)").double().eval()
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, 0.1, 0.2)
    context = model.reach.slices
    assert context == 6
    volume = torch.rand((1, 15 + 2 * context, 8, 8), dtype=torch.float64)
    changed = volume.clone()
    changed[0, 13] += 1e6
    touched = (model(changed) != model(volume)).any(dim=(0, 2, 3)).nonzero().flatten().tolist()
    assert touched == list(range(13 - 2 * context, 14))


@pytest.mark.parametrize("text", ["nafnet(width=4, scales=1)", "nafnet(width=4)"])
@torch.no_grad()
def test_gated_networks_look_no_farther_than_declared_and_that_far(text):
    """Products of halves and normalisation let a rise pass in either direction: random weights show the radius."""
    model = build(text).double().eval()
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    reach = model.reach
    side = -(-(2 * reach.pixels + 8) // reach.grid + 1) * reach.grid * 2
    volume = torch.rand((1, 1, side, side), dtype=torch.float64)
    farthest = 0
    for phase in range(reach.grid):
        place = side // 2 // reach.grid * reach.grid + phase
        changed = volume.clone()
        changed[0, 0, place, place] += 1
        _, _, rows, columns = torch.nonzero(model(changed) - model(volume), as_tuple=True)
        farthest = max(farthest, int((rows - place).abs().max()), int((columns - place).abs().max()))
    assert farthest == reach.pixels


@torch.no_grad()
def test_channel_attention_looks_at_the_whole_slice():
    model = build("nafnet(width=4, attention=true)").double()
    assert model.reach.pixels is None
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    volume = torch.rand((1, 1, 64, 64), dtype=torch.float64)
    changed = volume.clone()
    changed[0, 0, 0, 0] += 1
    assert (model(changed) != model(volume)).all()


@torch.no_grad()
def test_without_biases_the_scale_passes_through():
    model = build("drunet(width=4, scales=2, blocks=1)").double()
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    volume = torch.rand((1, 1, 16, 16), dtype=torch.float64)
    torch.testing.assert_close(model(3 * volume), 3 * model(volume))


def test_receptive_field_by_hand():
    # One scale: two 3 × 3 convolutions. Two scales: 2 + 2 · 2 + 2 and the rounding of the positions.
    assert [radius(scales) for scales in (1, 2, 3, 4)] == [2, 9, 23, 51]


def test_gaussian_is_that_of_scipy():
    model = build("gaussian(sigma=1.2)")
    volume = np.random.default_rng(0).random((9, 20, 17))
    context = model.reach.slices
    padded = np.pad(volume, ((context, context), (0, 0), (0, 0)), mode="edge")
    ours = model(torch.from_numpy(padded)[None])[0].numpy()
    theirs = scipy.ndimage.gaussian_filter(volume, 1.2, mode="nearest", truncate=4.0)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "unet25d(slices=4)",
        "unet25d(slices=0)",
        "unet2d(width=0)",
        "unet2d(scales=0)",
        "gaussian(sigma=0)",
        "gaussian(sigma=-1)",
        "unet3d(scales=0)",
        "redcnn(width=0)",
        "msd(depth=0)",
        "drunet(blocks=0)",
        "nafnet(scales=9)",
    ],
)
def test_impossible_knobs_are_refused(text):
    with pytest.raises(UsageError):
        build(text)


def test_same_seed_same_weights():
    def weights():
        torch.manual_seed(7)
        return torch.cat([parameter.flatten() for parameter in build("unet2d(width=4)").parameters()])

    assert torch.equal(weights(), weights())


@pytest.mark.parametrize(
    "text", ["tv(weight=0.2)", "nlm(sigma=0.2)", "tv3d(weight=0.2, steps=4)", "nlm3d(sigma=0.2)", "gaussian(sigma=1)"]
)
def test_filters_take_noise_away_and_leave_the_mean(text):
    torch.manual_seed(0)
    clean = torch.zeros(1, 11, 48, 48)
    clean[..., 12:36, 12:36] = 1
    noisy = clean + 0.2 * torch.randn(clean.shape)
    model = build(text)
    context = model.reach.slices
    estimate = model(noisy)
    inner = slice(context, context + estimate.shape[1])
    assert (estimate - clean[:, inner]).std() < 0.7 * (noisy - clean).std()
    assert float(estimate.mean()) == pytest.approx(float(noisy[:, inner].mean()), abs=0.01)


@pytest.mark.parametrize("text", ["tv(weight=0)", "nlm(sigma=-1)", "nlm(patch=0)", "tv3d(steps=0)", "nlm3d(patch=4)"])
def test_impossible_filters_are_refused(text):
    with pytest.raises(UsageError):
        build(text)


def test_tv3d_is_the_total_variation_of_scikit_image():
    """Both minimise the same convex function; Chambolle's projection gets there slowly."""
    from skimage.restoration import denoise_tv_chambolle

    volume = np.random.default_rng(0).normal(size=(4, 10, 11)).astype(np.float32)
    model = build("tv3d(weight=0.2, steps=80)")
    held = torch.from_numpy(np.pad(volume, ((80, 80), (0, 0), (0, 0)), mode="edge"))[None]
    wanted = denoise_tv_chambolle(held[0].numpy().astype(np.float64), weight=0.2, eps=1e-9, max_num_iter=1500)
    np.testing.assert_allclose(model(held)[0], wanted[80:-80], atol=5e-3)


def test_nlm3d_is_its_definition():
    """The sum written out for one voxel."""
    volume = np.random.default_rng(1).normal(size=(13, 13, 13)).astype(np.float32)
    sigma, strength = 0.5, 1.2
    total = weights = 0.0
    for z, y, x in np.ndindex(5, 5, 5):
        there = volume[3 + z : 6 + z, 3 + y : 6 + y, 3 + x : 6 + x].astype(float)
        apart = np.mean((there - volume[5:8, 5:8, 5:8]) ** 2)
        weight = np.exp(-max(apart - 2 * sigma**2, 0) / (strength * sigma) ** 2)
        total, weights = total + weight * there[1, 1, 1], weights + weight
    model = build(f"nlm3d(sigma={sigma}, strength={strength}, patch=3, distance=2)")
    answer = model(torch.from_numpy(volume)[None])
    assert answer.shape == (1, 7, 13, 13)
    assert float(answer[0, 3, 6, 6]) == pytest.approx(total / weights, rel=1e-5)
