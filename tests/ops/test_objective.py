"""The weighted sum: values, weights, schedules, precision."""

import pytest
import torch

from bonectl.core import kit
from bonectl.core.spec import parse
from bonectl.errors import UsageError
from bonectl.learning.sample import Sample
from bonectl.training.objective import Objective


def sample(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    estimate = torch.rand((2, 4, 16, 16), generator=generator).to(dtype).requires_grad_()
    return Sample(estimate=estimate, clean=torch.rand((2, 4, 16, 16), generator=generator).to(dtype))


def test_the_sum_is_weighted_and_its_parts_are_told():
    s = sample()
    score = Objective("2*l1 + 0.5*l2", 10)(s, 0)
    difference = (s.estimate - s.target).detach()
    l1, l2 = float(difference.abs().mean()), float(difference.square().mean())
    assert score.values == pytest.approx({"l1": l1, "l2": l2})
    assert score.loss == pytest.approx(2 * l1 + 0.5 * l2)
    gradients = {"l1": 2 * difference.sign() / difference.numel(), "l2": difference / difference.numel()}
    norms = {name: float(gradient.norm()) for name, gradient in gradients.items()}
    assert score.shares == pytest.approx({name: norm / sum(norms.values()) for name, norm in norms.items()})
    assert score.weights == {"l1": 2, "l2": 0.5}
    torch.testing.assert_close(score.gradient, gradients["l1"] + gradients["l2"])


def test_the_gradient_is_that_of_the_sum():
    s = sample(torch.float64)
    score = Objective("l1 + 0.3*ssim + 2*hist", 10)(s, 0)
    total = sum(w * kit.bind("losses", parse(name))(s) for w, name in ((1, "l1"), (0.3, "ssim"), (2, "hist")))
    (gradient,) = torch.autograd.grad(total, s.estimate)
    assert score.loss == pytest.approx(float(total.detach()))
    torch.testing.assert_close(score.gradient, gradient)


def test_balanced_terms_take_the_shares_that_are_stated():
    objective = Objective("2*l1 + l2 + 0.5*ssim + 0.5*euler@5~8", 10, balanced=True)
    score = objective(sample(), 0)
    assert score.shares == pytest.approx({"l1": 2 / 3.5, "l2": 1 / 3.5, "ssim": 0.5 / 3.5})
    assert score.weights["l1"] == 2
    assert set(objective(sample(), 9).weights) == {"l1", "l2", "ssim", "euler"}
    assert objective(sample(), 9).shares["euler"] == pytest.approx(0.5 / 4)


def test_balance_goes_on_where_it_was():
    one, other = (Objective("l1 + l2", 10, balanced=True) for _ in range(2))
    one(sample(), 0)
    other.restore(one.state())
    worse = Sample(estimate=2 * sample().estimate.detach(), clean=sample().clean)
    assert one(worse, 1).weights == other(worse, 1).weights != Objective("l1 + l2", 10, balanced=True)(worse, 1).weights


def test_a_term_without_a_gradient_is_left_out_of_the_balance():
    same = sample()
    score = Objective("bvtv + l1", 10, balanced=True)(Sample(estimate=same.clean + 2, clean=same.clean + 1.5), 0)
    assert score.weights == {"bvtv": 0, "l1": 1}


def test_a_schedule_switches_a_term_on():
    objective = Objective("l1 + l2@50%", 10)
    assert set(objective(sample(), 4).values) == {"l1"}
    assert set(objective(sample(), 5).values) == {"l1", "l2"}


def test_a_ramp_grows():
    objective = Objective("l1 + l2@2~4", 10)
    shares = [objective(sample(), step).shares.get("l2", 0) for step in range(6)]
    assert shares[:3] == [0, 0, 0]
    assert 0 < shares[3] < shares[4] == shares[5]


def test_text_comes_back():
    assert str(Objective("1*l1+.5*l2 @ 70 %", 10)) == "l1 + 0.5*l2@70%"


@pytest.mark.parametrize("text", ["nope", "l1(a=1)", "l1@50%", "l1 + l1", "0*l1", "-1*l1", "l1 +", "l1 + gan + wgan"])
def test_what_is_refused(text):
    with pytest.raises(UsageError):
        Objective(text, 10)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_estimates_are_scored_in_float32(dtype):
    s = sample(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        score = Objective("l1", 10)(s, 0)
    assert score.gradient.dtype == torch.float32
    full = Sample(estimate=s.estimate.detach().float(), clean=s.target.float())
    assert score.loss == Objective("l1", 10)(full, 0).loss


def test_a_loss_without_what_it_needs_says_so():
    with pytest.raises(UsageError, match="needs a target"):
        Objective("l1", 10)(Sample(estimate=torch.zeros(1, 1, 4, 4)), 0)


def test_a_term_that_is_not_finite_is_named():
    s = sample()
    score = Objective("l1 + l2", 10)(Sample(estimate=s.estimate * 1e30, clean=s.target), 0)
    assert score.diverged == ["l2"]
