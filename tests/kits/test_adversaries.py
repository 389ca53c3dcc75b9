"""Losses with a critic: the formulas, the critic learns, and learning leaves no trace elsewhere."""

import copy
import math

import pytest
import torch

from bonectl.core import kit
from bonectl.core.spec import parse
from bonectl.errors import UsageError
from bonectl.learning.sample import Sample

NAMES = [name for name in kit.names("losses") if not kit.describe("losses", name).flows]


def made(text, seed=0):
    adversary = kit.bind("losses", parse(text))()
    adversary.begin(seed)
    return adversary


def small(name, **knobs):
    extra = "".join(f", {key}={value}" for key, value in knobs.items())
    return made(f"{name}(width=4, layers=1{extra})")


def sample(dtype=torch.float32, noisy=False):
    """Targets with stripes, estimates without."""
    generator = torch.Generator().manual_seed(0)
    flat = torch.rand((2, 3, 16, 16), generator=generator, dtype=dtype)
    clean = flat + (torch.arange(16) % 4 < 2)
    return Sample(estimate=flat.clone().requires_grad_(), clean=clean, noisy=flat if noisy else None)


def test_there_are_five():
    assert NAMES == ["gan", "hinge", "lsgan", "ragan", "wgan"]


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_that_of_finite_differences(name):
    adversary, s = small(name).double(), sample(torch.float64)
    for parameter in adversary.critic.parameters():
        parameter.data *= 10

    def value(estimate):
        return adversary(Sample(estimate=estimate, clean=s.clean))

    assert torch.autograd.gradcheck(value, (s.estimate,), eps=1e-6, atol=1e-6, fast_mode=True)
    (gradient,) = torch.autograd.grad(value(s.estimate), s.estimate)
    assert float(gradient.abs().sum()) > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("conditional", ["false", "true"])
def test_the_critic_learns_to_tell_and_a_better_estimate_costs_less(name, conditional):
    adversary, s = small(name, rate=0.01, conditional=conditional), sample(noisy=True)
    losses = [adversary.learn(s, step) for step in range(60)]
    assert all(map(math.isfinite, losses))
    assert sum(losses[-10:]) < sum(losses[:10])
    real = adversary.critic(adversary.images(s.clean, s)).mean()
    fake = adversary.critic(adversary.images(s.estimate.detach(), s)).mean()
    assert real > fake
    bad, good = (adversary(Sample(estimate=e.detach(), clean=s.clean, noisy=s.noisy)) for e in (s.estimate, s.clean))
    assert good < bad


@pytest.mark.parametrize("name", NAMES)
def test_neither_side_leaves_gradients_with_the_other(name):
    adversary, s = small(name, steps=3), sample()
    adversary.learn(s, 0)
    assert s.estimate.grad is None
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in adversary.critic.parameters())
    adversary(s).backward()
    assert s.estimate.grad is not None
    assert all(parameter.grad is None for parameter in adversary.critic.parameters())


def test_the_formulas_by_hand():
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 3.0])

    def plus(x):
        return math.log1p(math.exp(x))

    expected = {
        "gan": ((plus(1) + plus(-3)) / 2, (plus(-2) + plus(0)) / 2 + (plus(-1) + plus(3)) / 2),
        "lsgan": ((4 + 4) / 2, (1 + 1) / 2 + (1 + 9) / 2),
        "hinge": (-1, (0 + 1) / 2 + (0 + 4) / 2),
        "wgan": (-1, 0),
        # means: real 1, fake 1
        "ragan": ((plus(1) + plus(-1)) / 2 / 2 + (plus(2) + plus(-2)) / 2 / 2,
                  (plus(-1) + plus(1)) / 2 / 2 + (plus(-2) + plus(2)) / 2 / 2),
    }  # fmt: skip
    for name, (wanted, judged) in expected.items():
        adversary = small(name)
        assert float(adversary.wanted(real, fake)) == pytest.approx(wanted), name
        assert float(adversary.judged(real, fake)) == pytest.approx(judged), name


def test_the_penalty_is_by_sample():
    """A linear critic has the same slope everywhere, so the penalty is known; unlike slices must not be averaged."""

    class Linear(torch.nn.Module):
        def forward(self, images):
            slopes = torch.tensor([0.0, 2.0]).view(2, 1, 1, 1)
            return slopes * images.mean(dim=(1, 2, 3), keepdim=True) * 4  # norm of the gradient: slope * 4 / side

    adversary = small("wgan")
    adversary.critic = Linear()
    s = Sample(estimate=torch.rand(1, 2, 16, 16), clean=torch.rand(1, 2, 16, 16))
    expected = 10 * ((0 - 1) ** 2 + (0.5 - 1) ** 2) / 2
    assert float(adversary.penalised(s, 0, 0)) == pytest.approx(expected, rel=1e-4)


def test_the_wasserstein_critic_measures_the_distance():
    """At distance d, n d - penalty (n - 1)² is greatest at a slope n = 1 + d / (2 penalty); small critics come near."""
    s = sample()
    near = Sample(estimate=s.estimate.detach(), clean=s.estimate.detach() + 0.1 * (s.clean - s.estimate.detach()))
    distance = float((near.clean - near.estimate)[0, 0].norm())
    adversary = small("wgan", rate=0.01)
    for step in range(300):
        told = -adversary.learn(near, step)
    best = distance + distance**2 / 40
    assert 0.7 * best < told < 1.01 * best


@pytest.mark.parametrize("name", ["gan", "wgan"])
def test_saved_and_restored_goes_on_bit_for_bit(name):
    one, other = small(name), small(name)
    one.learn(sample(), 0)
    other.restore(copy.deepcopy(one.state()))
    assert one.learn(sample(), 1) == other.learn(sample(), 1)
    for a, b in zip(one.critic.parameters(), other.critic.parameters(), strict=True):
        assert torch.equal(a, b)


def test_critics_repeat_by_seed():
    weights = [torch.cat([p.flatten() for p in made("gan(width=2)", seed).critic.parameters()]) for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_what_a_conditional_critic_lacks_is_said():
    with pytest.raises(UsageError, match="the noisy slices"):
        small("gan", conditional="true").learn(sample(), 0)


@pytest.mark.parametrize(
    "text", ["gan(steps=0)", "gan(rate=0)", "hinge(width=0)", "ragan(layers=0)", "wgan(penalty=0)"]
)
def test_what_is_refused(text):
    with pytest.raises(UsageError):
        made(text)


def test_patches_too_small_for_the_critic_are_refused():
    with pytest.raises(UsageError, match="at least 24 pixels, not 16"):
        made("lsgan(width=2)").learn(sample(), 0)
