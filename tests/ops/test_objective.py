"""The weighted sum: values, weights, schedules, precision."""

import pytest
import torch

from bonectl.core.sample import Sample
from bonectl.errors import UsageError
from bonectl.ops.objective import Objective


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
    assert score.shares == pytest.approx({"l1": 2 * l1 / score.loss, "l2": 0.5 * l2 / score.loss})
    score.total.backward()
    assert float(s.estimate.grad.abs().sum()) > 0


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


@pytest.mark.parametrize("text", ["nope", "l1(a=1)", "l1@50%", "l1 + l1", "0*l1", "-1*l1", "l1 +"])
def test_what_is_refused(text):
    with pytest.raises(UsageError):
        Objective(text, 10)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_estimates_are_scored_in_float32(dtype):
    s = sample(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        score = Objective("l1", 10)(s, 0)
    assert score.total.dtype == torch.float32
    full = Sample(estimate=s.estimate.detach().float(), clean=s.target.float())
    assert score.loss == float(Objective("l1", 10)(full, 0).total)


def test_a_loss_without_what_it_needs_says_so():
    with pytest.raises(UsageError, match="needs a target"):
        Objective("l1", 10)(Sample(estimate=torch.zeros(1, 1, 4, 4)), 0)


def test_a_term_that_is_not_finite_is_named():
    s = sample()
    score = Objective("l1 + l2", 10)(Sample(estimate=s.estimate * 1e30, clean=s.target), 0)
    assert score.diverged == ["l2"]
