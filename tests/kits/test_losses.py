"""Every loss has an exact gradient and its own oracle."""

import numpy as np
import pytest
import scipy.stats
import skimage.measure
import skimage.metrics
import torch

from bonectl.core import kit
from bonectl.core.sample import Sample
from bonectl.core.spec import parse
from bonectl.errors import UsageError
from bonectl.losses._occupancy import occupancy, window_means
from bonectl.losses.euler import euler_density

LOSSES = kit.names("losses")
SHAPE = (1, 4, 12, 12)


def loss(text, estimate, target):
    return kit.bind("losses", parse(text))(Sample(estimate=estimate, clean=target))


def pair(shape=SHAPE, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand(shape, generator=generator, dtype=dtype) for _ in range(2))


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_that_of_finite_differences(name):
    estimate, target = pair((1, 2, 12, 11))
    estimate.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(name, x, target), (estimate,), eps=1e-7, atol=1e-6, fast_mode=True)


@pytest.mark.parametrize("name", LOSSES)
def test_zero_at_the_target_positive_elsewhere_and_it_pulls(name):
    estimate, target = pair()
    assert float(loss(name, target, target)) == pytest.approx(1e-3 if name == "charbonnier" else 0, abs=1e-9)
    estimate.requires_grad_()
    value = loss(name, estimate, target)
    assert value.shape == ()
    assert float(value.detach()) > 0
    value.backward()
    assert torch.isfinite(estimate.grad).all()
    assert float(estimate.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", LOSSES)
def test_descending_the_loss_lowers_it(name):
    estimate, target = pair()
    estimate = (0.5 * estimate).requires_grad_()  # mostly marrow, so the bone numbers differ as well
    optimiser = torch.optim.Adam([estimate], lr=0.002)
    first = float(loss(name, estimate, target).detach())
    for _ in range(40):
        optimiser.zero_grad()
        loss(name, estimate, target).backward()
        optimiser.step()
    assert float(loss(name, estimate, target).detach()) < 0.8 * first


@pytest.mark.parametrize("name", LOSSES)
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
    "text", ["ssim(dim=3)", "ssim(dim=4)", "euler(connectivity=18)", "hist(bins=1)", "hist(low=2)"]
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
