"""Every loss has an exact gradient and its own oracle."""

import hashlib

import numpy as np
import pytest
import scipy.stats
import skimage.measure
import skimage.metrics
import torch
from safetensors.torch import load_file
from scipy.ndimage import gaussian_filter
from skimage.morphology import ball, skeletonize

from bonectl.core import kit
from bonectl.core.spec import parse
from bonectl.errors import DataError, MissingInputError, UnavailableError, UsageError
from bonectl.learning.encoder import Encoder, TrainedEncoder
from bonectl.learning.sample import Sample
from bonectl.losses import _vgg
from bonectl.losses._occupancy import occupancy, window_means
from bonectl.losses.euler import euler_density
from bonectl.losses.surface import surface_density

# Losses that learn have their own tests (test_adversaries.py).
LOSSES = [name for name in kit.names("losses") if kit.describe("losses", name).flows]
SHAPE = (1, 4, 12, 12)
# What small samples need.
TEXTS = {"msssim": "msssim(scales=1)", "vgg": "vgg(layer=relu1_2)", "randvgg": "randvgg(layer=relu2_1)"}
# Soft masks are no fixed points of these; they are 0 at masks of zeros and ones.
OF_MASKS = ("cldice", "skelrec")


def weight_file(folder, net="vgg16", seed=0):
    """Write weights as torchvision names them, random ones, up to the second block."""
    generator = torch.Generator().manual_seed(seed)
    state, before = {}, 3
    for number, channels in ((0, 64), (2, 64), (5, 128), (7, 128)):
        scale = (2 / (9 * before)) ** 0.5
        state[f"features.{number}.weight"] = scale * torch.randn(channels, before, 3, 3, generator=generator)
        state[f"features.{number}.bias"] = 0.1 * torch.randn(channels, generator=generator)
        before = channels
    path = folder / "unnamed"
    torch.save(state, path)
    return path.rename(folder / f"{net}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth"), state


def encoder_file(folder):
    """Write a bone encoder that was taught nothing."""
    network = Encoder((4, 6, 8))
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    TrainedEncoder(network).save(folder / "encoder.safetensors")
    return folder / "encoder.safetensors"


@pytest.fixture(autouse=True)
def no_weights_by_chance(tmp_path, monkeypatch):
    """Whatever VGG weights the machine has, the tests do not see them."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("BONECTL_VGG_WEIGHTS", raising=False)
    monkeypatch.delenv("BONECTL_ENCODER_WEIGHTS", raising=False)
    _vgg._pretrained.cache_clear()


@pytest.fixture
def name(request, tmp_path, monkeypatch):
    """A loss, ready for small samples; encoder finds a weight file."""
    if request.param == "encoder":
        monkeypatch.setenv("BONECTL_ENCODER_WEIGHTS", str(encoder_file(tmp_path)))
    return TEXTS.get(request.param, request.param)


every_loss = pytest.mark.parametrize("name", LOSSES, indirect=True)


def loss(text, estimate, target):
    return kit.bind("losses", parse(text))(Sample(estimate=estimate, clean=target))


def pair(shape=SHAPE, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand(shape, generator=generator, dtype=dtype) for _ in range(2))


@every_loss
def test_gradient_is_that_of_finite_differences(name):
    estimate, target = pair((1, 2, 12, 11))
    estimate.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(name, x, target), (estimate,), eps=1e-7, atol=1e-6, fast_mode=True)


@every_loss
def test_zero_at_the_target_positive_elsewhere_and_it_pulls(name):
    estimate, target = pair()
    if name in OF_MASKS:
        target = (target > 0.5).double()
    assert float(loss(name, target, target)) == pytest.approx(1e-3 if name == "charbonnier" else 0, abs=1e-9)
    estimate.requires_grad_()
    value = loss(name, estimate, target)
    assert value.shape == ()
    assert float(value.detach()) > 0
    value.backward()
    assert torch.isfinite(estimate.grad).all()
    assert float(estimate.grad.abs().sum()) > 0


@every_loss
def test_descending_the_loss_lowers_it(name):
    estimate, target = pair()
    estimate = (0.5 * estimate).requires_grad_()  # mostly marrow, so the bone numbers differ as well
    optimiser = torch.optim.Adam([estimate], lr=0.002)
    first = float(loss(name, estimate, target).detach())
    for _ in range(40):
        optimiser.zero_grad()
        loss(name, estimate, target).backward()
        optimiser.step()
    assert float(loss(name, estimate, target).detach()) < 0.9 * first


@every_loss
def test_a_target_is_needed(name):
    with pytest.raises(UsageError, match="needs a target"):
        kit.bind("losses", parse(name))(Sample(estimate=torch.zeros(SHAPE)))


def test_pixel_losses_by_hand():
    estimate, target = torch.tensor([1.0, 2.0, 4.0]).view(1, 1, 1, 3), torch.tensor([1.0, 0.0, 3.0]).view(1, 1, 1, 3)
    assert float(loss("l1", estimate, target)) == pytest.approx(1)
    assert float(loss("l2", estimate, target)) == pytest.approx(5 / 3)
    expected = (0.1 + (4 + 0.01) ** 0.5 + (1 + 0.01) ** 0.5) / 3
    assert float(loss("charbonnier(eps=0.1)", estimate, target)) == pytest.approx(expected)


@pytest.mark.parametrize("shift", [0.0, 1.0])
@pytest.mark.parametrize("dim", [2, 3])
def test_ssim_is_that_of_scikit_image(dim, shift):
    estimate, target = pair((2, 13, 24, 20))
    x, y = estimate.numpy() + shift, target.numpy() + shift
    knobs = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 2.0}
    shape = (-1, 24, 20) if dim == 2 else x.shape
    images = zip(x.reshape(shape), y.reshape(shape), strict=True)
    theirs = np.mean([skimage.metrics.structural_similarity(a, b, **knobs) for a, b in images])
    ours = 1 - float(loss(f"ssim(dim={dim}, span=2.0, shift={shift})", estimate, target))
    assert ours == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        "ssim(dim=3)",
        "ssim(dim=4)",
        "euler(connectivity=18)",
        "hist(bins=1)",
        "hist(low=2)",
        "huber(beta=0)",
        "grad(order=3)",
        "grad(order=0)",
        "fft(low=1.6)",
        "lowpass(window=0)",
        "cldice(iterations=0)",
        "msssim",
        "msssim(scales=6)",
        "randvgg(net=vgg11)",
        "randvgg(layer=relu3_4)",
        "randvgg(low=1.0)",
        "vgg(net=resnet)",
    ],
)
def test_what_is_refused(text):
    with pytest.raises(UsageError):
        loss(text, *pair())


@pytest.mark.parametrize(("connectivity", "theirs"), [(6, 1), (26, 3)])
@pytest.mark.parametrize("density", [0.1, 0.5, 0.9])
def test_euler_number_is_that_of_scikit_image(connectivity, theirs, density):
    random = np.random.default_rng(0)
    masks = [random.random((7, 9, 8)) < density for _ in range(3)] + [
        np.ones((3, 4, 5), bool),
        np.zeros((2, 2, 2), bool),
    ]
    for mask in masks:
        ours = euler_density(torch.from_numpy(mask.astype(float))[None], connectivity).sum()
        assert float(ours) == skimage.measure.euler_number(mask, connectivity=theirs)


@pytest.mark.parametrize(("connectivity", "theirs"), [(6, 1), (26, 3)])
def test_euler_loss_on_masks_is_the_difference_of_the_numbers(connectivity, theirs):
    random = np.random.default_rng(1)
    masks = [random.random((8, 8, 8)) < 0.4 for _ in range(2)]
    tensors = [torch.from_numpy(mask.astype(float))[None] for mask in masks]
    numbers = [skimage.measure.euler_number(mask, connectivity=theirs) for mask in masks]
    cells = 8**3 if connectivity == 6 else 9**3
    value = float(loss(f"euler(window=100, connectivity={connectivity})", *tensors))
    assert value * cells == pytest.approx(abs(numbers[0] - numbers[1]))


def test_euler_windows_keep_errors_from_cancelling():
    one, other = torch.zeros(2, 1, 4, 4, 8, dtype=torch.float64).unbind(0)
    one[0, 1, 1, 1] = 1  # a grain left, another right: the same Euler number in all
    other[0, 1, 1, 6] = 1
    assert float(loss("euler(window=100, connectivity=6)", one, other)) == 0
    assert float(loss("euler(window=4, connectivity=6)", one, other)) == pytest.approx(1 / 64)


@pytest.mark.parametrize(("connectivity", "theirs"), [(6, 1), (26, 3)])
def test_ecc_is_the_mean_over_levels_of_scikit_images_euler_number(connectivity, theirs):
    # The occupancies are a hundredth apart, so that levels halfway between them are all that there are.
    levels = (np.arange(100) + 0.5) / 100
    shares = np.random.default_rng(3).integers(0, 101, (6, 7, 5)) / 100
    wanted = np.mean([skimage.measure.euler_number(shares > level, connectivity=theirs) for level in levels])
    found = euler_density(torch.from_numpy(shares)[None], connectivity, torch.minimum).sum()
    assert float(found) == pytest.approx(wanted, abs=1e-9)


def test_ecc_counts_no_blur_and_euler_does():
    rod = np.zeros((24, 24, 24))
    rod[:, 9:15, 9:15] = 1
    blurred = torch.from_numpy(gaussian_filter(rod, 2)[4:-4])[None]  # a rod from end to end of what is seen
    sharp = torch.from_numpy(rod[4:-4])[None]
    cells = 17 * 25 * 25
    assert float(loss("ecc(window=100, threshold=0.4)", blurred, sharp)) * cells < 1e-9
    assert float(loss("euler(window=100, threshold=0.4)", blurred, sharp)) * cells > 0.5


def test_ecc_mends_a_broken_strut_where_it_is_broken():
    whole = torch.zeros(1, 12, 9, 9, dtype=torch.float64)
    whole[:, :, 3:6, 3:6] = 1
    broken = whole.clone()
    broken[:, 5:7] *= 0.35  # bone is above 0.4
    broken.requires_grad_(True)
    value = loss("ecc(window=100)", broken, whole)
    (gradient,) = torch.autograd.grad(value, broken)
    assert float(value.detach()) > 0
    assert float(gradient[:, 5:7].min()) < 0  # more bone there means less loss
    assert not gradient[:, :4].any()
    assert not gradient[:, 8:].any()


def test_bvtv_on_masks_is_the_difference_of_the_fractions():
    random = np.random.default_rng(2)
    masks = [torch.from_numpy((random.random((1, 8, 8, 8)) < p).astype(float)) for p in (0.2, 0.6)]
    expected = float((masks[0].mean() - masks[1].mean()).abs())
    assert float(loss("bvtv(window=100)", *masks)) == pytest.approx(expected)


def test_occupancy_has_compact_support():
    values = torch.tensor([-5.0, 0.25, 0.4, 0.55, 7.0], dtype=torch.float64)
    assert occupancy(values, 0.4, 0.15).tolist() == pytest.approx([0, 0, 0.5, 1, 1])


def test_windows_at_the_end_hold_what_is_left():
    values = torch.arange(5.0).view(1, 1, 1, 5)
    assert window_means(values, 2).flatten().tolist() == [0.5, 2.5, 4.0]


def test_hist_is_the_wasserstein_distance_within_a_bin():
    random = np.random.default_rng(3)
    for spread, mean in ((0.1, 0.5), (0.3, 0.2), (0.05, 1.0)):
        x, y = random.normal(0.4, 0.2, 4000), random.normal(mean, spread, 4000)
        x, y = x.clip(-0.25, 1.5), y.clip(-0.25, 1.5)
        theirs = scipy.stats.wasserstein_distance(x, y)
        ours = float(
            loss("hist(bins=64)", torch.from_numpy(x)[None, None, None], torch.from_numpy(y)[None, None, None])
        )
        assert ours == pytest.approx(theirs, abs=1.75 / 63)
        assert ours > 0


def test_hist_ignores_where_values_are():
    estimate, _ = pair()
    assert float(loss("hist", estimate, estimate.flip(1, 2, 3))) == pytest.approx(0, abs=1e-12)


@every_loss
def test_half_precision_changes_nothing_under_autocast(name):
    """The objective scores in float32 whatever surrounds it."""
    from bonectl.training.objective import Objective

    estimate, target = pair(dtype=torch.float32)
    sample = Sample(estimate=estimate.bfloat16().requires_grad_(), clean=target)
    with torch.autocast("cpu", torch.bfloat16):
        score = Objective(name, 1)(sample, 0)
    full = Sample(estimate=estimate.bfloat16().float().requires_grad_(), clean=target)
    assert score.loss == Objective(name, 1)(full, 0).loss


def test_huber_by_hand():
    estimate, target = torch.tensor([0.05, 2.0]).view(1, 1, 1, 2), torch.zeros(1, 1, 1, 2)
    assert float(loss("huber(beta=0.1)", estimate, target)) == pytest.approx((0.05**2 / 0.2 + 1.95) / 2)


@pytest.mark.parametrize("order", [1, 2])
def test_grad_is_that_of_numpy(order):
    estimate, target = pair((2, 5, 7, 6))
    error = (estimate - target).numpy()
    expected = np.mean([np.abs(np.diff(error, order, axis)).mean() for axis in (1, 2, 3)])
    assert float(loss(f"grad(order={order})", estimate, target)) == pytest.approx(expected)
    flat = float(loss(f"grad(order={order})", estimate[:, :1], target[:, :1]))
    assert flat == pytest.approx(np.mean([np.abs(np.diff(error[:, :1], order, axis)).mean() for axis in (2, 3)]))


def test_fft_sees_a_wave_at_its_frequency_only():
    columns = torch.arange(16, dtype=torch.float64)
    wave = torch.cos(2 * torch.pi * 4 * columns / 16).expand(1, 1, 16, 16)  # half the Nyquist frequency
    zero = torch.zeros_like(wave)
    inside = float(loss("fft(low=0.45, high=0.55)", wave, zero))
    assert inside > 0.1
    for band in ("fft(low=0.0, high=0.45)", "fft(low=0.55)"):
        assert float(loss(band, wave, zero)) == pytest.approx(0, abs=1e-12)
    estimate, target = pair()
    expected = np.abs(np.fft.fft2((estimate - target).numpy(), norm="ortho")).mean()
    assert float(loss("fft", estimate, target)) == pytest.approx(expected)


def test_lowpass_is_blind_to_what_happens_inside_a_cube():
    estimate, _ = pair((1, 4, 4, 4))
    assert float(loss("lowpass(window=4)", estimate, estimate.flip(1, 2, 3))) == pytest.approx(0, abs=1e-12)
    assert float(loss("lowpass(window=4)", estimate + 0.25, estimate)) == pytest.approx(0.25)
    assert float(loss("lowpass(window=2)", estimate, estimate.flip(1, 2, 3))) > 0


def test_w1_is_the_wasserstein_distance():
    random = np.random.default_rng(3)
    x, y = random.normal(0.4, 0.2, (1, 4, 10, 10)), random.normal(0.6, 0.3, (1, 4, 10, 10))
    theirs = scipy.stats.wasserstein_distance(x.ravel(), y.ravel())
    assert float(loss("w1", torch.from_numpy(x), torch.from_numpy(y))) == pytest.approx(theirs, rel=1e-9)


def test_surface_of_a_ball_and_of_any_mask():
    mask = np.pad(ball(20), 2).astype(float)
    area = float(surface_density(torch.from_numpy(mask)[None]).sum())
    assert area == pytest.approx(4 * np.pi * 20**2, rel=0.01)
    random = (np.random.default_rng(0).random((6, 7, 8)) < 0.5).astype(float)
    faces = sum(np.abs(np.diff(random, axis=axis)).sum() for axis in range(3))
    assert float(surface_density(torch.from_numpy(random)[None]).sum()) == pytest.approx(faces * 2 / 3)


def test_skeleton_recall_counts_what_is_lost_of_the_skeleton():
    target = torch.zeros(1, 9, 9, 16, dtype=torch.float64)
    target[0, 3:6, 3:6, 1:15] = 1
    skeleton = skeletonize(target[0].numpy() > 0.5, method="lee")
    estimate = target.clone()
    estimate[..., :8] = 0
    lost = skeleton[..., :8].sum() / skeleton.sum()
    assert 0 < lost < 1
    assert float(loss("skelrec(radius=0)", estimate, target)) == pytest.approx(lost)
    assert float(loss("skelrec", target, target)) == 0
    empty = torch.zeros_like(target)
    assert float(loss("skelrec", estimate, empty)) == 0


def test_a_broken_strut_costs_centreline_dice_more_than_a_thinner_one():
    target = torch.zeros(1, 9, 9, 24, dtype=torch.float64)
    target[0, 3:6, 3:6] = 1
    thinner, broken = target.clone(), target.clone()
    thinner[0, 3] = 0  # loses a third of the voxels, and no centreline
    broken[..., 8:16] = 0  # loses a third of the voxels, and of the centreline
    assert float(loss("cldice", target, target)) == pytest.approx(0, abs=1e-6)
    assert float(loss("cldice", broken, target)) > 0.15
    assert float(loss("cldice", thinner, target)) < float(loss("cldice", broken, target))


@pytest.mark.parametrize("scales", [1, 2, 3])
def test_msssim_is_made_of_scikit_images_ssim(scales):
    """With an enormous K1 the luminance term of scikit-image is 1, which leaves its contrast-structure term."""
    estimate, target = pair((1, 2, 48, 52))
    estimate = 0.7 * target + 0.3 * estimate
    knobs = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    exponents = np.array([0.0448, 0.2856, 0.3001])[:scales]
    exponents /= exponents.sum()
    indices = []
    for x, y in zip(estimate[0].numpy() + 1, target[0].numpy() + 1, strict=True):
        index = 1.0
        for scale, exponent in enumerate(exponents):
            last = scale == scales - 1
            index *= skimage.metrics.structural_similarity(x, y, K1=0.01 if last else 1e9, **knobs) ** exponent
            x, y = (skimage.measure.block_reduce(image, 2, np.mean) for image in (x, y))
        indices.append(index)
    assert 1 - float(loss(f"msssim(scales={scales})", estimate, target)) == pytest.approx(np.mean(indices), abs=1e-6)


def vgg_graph(state, image, layers):
    """The network written out: three equal colours, normalised, zeros beyond them."""
    means, deviations = (torch.tensor(values).view(1, 3, 1, 1) for values in (_vgg.MEANS, _vgg.DEVIATIONS))
    x = (image.expand(-1, 3, -1, -1) - means) / deviations
    for number in layers:
        if number is None:
            x = torch.nn.functional.max_pool2d(x, 2)
        else:
            weight, bias = (state[f"features.{number}.{part}"].float() for part in ("weight", "bias"))
            x = torch.relu(torch.nn.functional.conv2d(x, weight, bias, padding=1))
    return x


def test_vgg_is_three_equal_normalised_channels_amid_the_mean_colour(tmp_path):
    path, state = weight_file(tmp_path)
    network = _vgg.pretrained("vgg16", "relu1_2", str(path), "cpu", torch.float32)
    for image in pair((1, 1, 24, 24), torch.float32):
        torch.testing.assert_close(network(image), vgg_graph(state, image, (0, 2)), atol=1e-4, rtol=1e-4)


def test_the_weights_that_come_along_give_the_features_of_the_written_out_network():
    state = load_file(_vgg.SHIPPED)
    image = torch.rand((2, 1, 48, 48), generator=torch.Generator().manual_seed(1))
    features = _vgg.pretrained("vgg16", "relu3_3", "", "cpu", torch.float32)(image)
    truth = vgg_graph(state, image, (0, 2, None, 5, 7, None, 10, 12, 14))
    assert float((features - truth).abs().max() / truth.abs().max()) < 1e-5
    assert 20 < float(truth.mean()) < 400  # of the order that the manual's weights are for


def test_beyond_the_border_lies_the_mean_colour_and_not_black():
    """A plain grey picture has nothing to see; amid black its border answered 30 times as much as its inside."""
    network = _vgg.pretrained("vgg16", "relu3_3", "", "cpu", torch.float32)
    features = network(torch.full((1, 1, 48, 48), 0.45))
    inside, border = float(features[..., 5:7, 5:7].mean()), float(features[..., 0, :].mean())
    assert border < 6 * inside
    first, *others = network.network
    amid_black = torch.nn.functional.conv2d(
        torch.full((1, 1, 48, 48), 0.45), first.weight[:, :1], first.bias + first.weight[:, 1].sum((1, 2)), padding=1
    )
    assert float(torch.nn.Sequential(*others)(amid_black)[..., 0, :].mean()) > 25 * inside


def test_vgg_may_look_at_some_slices_and_at_others_in_the_next_step():
    estimate, target = pair((1, 8, 16, 16), torch.float32)
    whole = [float(loss("vgg(layer=relu1_2)", estimate[:, i : i + 1], target[:, i : i + 1])) for i in range(8)]
    part = kit.bind("losses", parse("vgg(layer=relu1_2, slices=2)"))
    for step in range(5):
        found = float(part(Sample(estimate=estimate, clean=target, step=step)))
        assert found == pytest.approx((whole[step % 8] + whole[(step + 4) % 8]) / 2, rel=1e-5)
    with pytest.raises(UsageError, match="slices=-1"):
        loss("vgg(slices=-1)", estimate, target)


def test_vgg_is_found_by_knob_environment_and_then_what_came_along_or_torch_keeps(tmp_path, monkeypatch):
    places = [tmp_path / name for name in ("knob.pth", "environment.pth")]
    hub = tmp_path / "torch" / "hub" / "checkpoints" / "vgg19-dcbb9e9d.pth"
    hub.parent.mkdir(parents=True)
    for path in (*places, hub):
        path.touch()
    assert _vgg.located("vgg19", "relu3_3", "") == hub
    assert _vgg.located("vgg16", "conv3_3", "") == _vgg.SHIPPED
    monkeypatch.setenv("BONECTL_VGG_WEIGHTS", str(places[1]))
    assert _vgg.located("vgg19", "relu3_3", "") == _vgg.located("vgg16", "relu3_3", "") == places[1]
    assert _vgg.located("vgg19", "relu3_3", str(places[0])) == places[0]
    with pytest.raises(MissingInputError, match=r"torch/vgg16-397923af\.pth: there are no weights of vgg16"):
        _vgg.located("vgg16", "relu3_3", str(tmp_path / "torch"))


def test_absent_weights_are_an_error_that_says_what_to_fetch_and_where():
    with pytest.raises(UnavailableError, match=r"vgg16-397923af\.pth to there") as failure:
        loss("vgg(layer=relu4_1)", *pair((1, 1, 16, 16)))
    assert failure.value.status == 69


def test_the_original_weights_for_pictures_of_0_to_255_are_refused(tmp_path):
    """They have the same keys, and were taken: features 40 times too weak, without a word."""
    state = {key: value.float() for key, value in load_file(_vgg.SHIPPED).items()}
    state["features.0.weight"] /= 255 * torch.tensor(_vgg.DEVIATIONS).view(1, 3, 1, 1)
    torch.save(state, tmp_path / "w")
    named = tmp_path / f"vgg16_features-amdegroot-{hashlib.sha256((tmp_path / 'w').read_bytes()).hexdigest()[:8]}.pth"
    (tmp_path / "w").rename(named)
    with pytest.raises(DataError, match="is for pictures of 0 to 255"):
        loss(f"vgg(weights='{named}')", *pair((1, 1, 16, 16)))


@pytest.mark.parametrize(
    ("new", "message"),
    [("vgg16.pth", r"no hash.*rename it vgg16-[0-9a-f]{8}\.pth"), ("vgg16-00000000.pth", "SHA-256 begins")],
)
def test_weights_that_are_not_what_their_name_says_are_refused(tmp_path, new, message):
    path, _ = weight_file(tmp_path)
    with pytest.raises(DataError, match=message):
        loss(f"vgg(layer=relu1_1, weights='{path.rename(tmp_path / new)}')", *pair((1, 1, 16, 16)))


def test_weights_of_other_layers_are_refused(tmp_path):
    path, _ = weight_file(tmp_path)  # ends before the third block
    with pytest.raises(DataError, match="no weights of vgg16"):
        loss(f"vgg(layer=relu3_1, weights='{path}')", *pair((1, 1, 16, 16)))


def test_random_networks_repeat_by_seed():
    values = [float(loss(f"randvgg(layer=relu1_2, seed={seed})", *pair())) for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize(("layer", "least"), [("relu3_3", 4), ("conv4_1", 8), ("relu5_1", 16)])
def test_patches_that_a_network_pools_away_are_refused(layer, least):
    """Torch spoke of an output size, and the command called it a bug."""
    loss = kit.bind("losses", parse(f"randvgg(layer={layer})"))
    images = [torch.rand(1, 1, least, least + 1) for _ in range(2)]
    assert torch.isfinite(loss(Sample(estimate=images[0], clean=images[1])))
    with pytest.raises(UsageError, match=f"needs patches of {least} pixels, not {least - 1}; give a larger --patch"):
        loss(Sample(estimate=images[0][..., 1:, :], clean=images[1][..., 1:, :]))
