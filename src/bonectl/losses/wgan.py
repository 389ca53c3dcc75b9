"""Adversarial loss, Wasserstein with gradient penalty (Arjovsky et al. 2017; Gulrajani et al. 2017)."""

from typing import Any

import torch
from torch import Tensor

from bonectl.core import draws
from bonectl.errors import UsageError
from bonectl.learning.adversary import Adversary
from bonectl.learning.sample import Sample


class Wgan(Adversary):
    """Difference of the scores that a critic with a bounded slope gives to targets and estimates.

    The critic minimises D(estimate) - D(target) + penalty · (norm of its gradient - 1)², the denoiser -D(estimate). D
    of a slice is the mean over its patches; the gradient is taken, slice by slice, at a random place between target
    and estimate.

    Parameters
    ----------
    penalty : float
        Weight of the gradient penalty.

    Raises
    ------
    UsageError
        When the penalty is not positive: without it the critic has no bound.
    """

    def __init__(self, *, penalty: float = 10.0, **knobs: Any) -> None:
        if not penalty > 0:
            raise UsageError(f"wgan(penalty={penalty}): without a positive penalty the critic's slope has no bound")
        super().__init__(**knobs)
        self.penalty = penalty

    def wanted(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the denoiser's loss."""
        return -fake.mean()

    def judged(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the critic's loss but for the penalty."""
        return fake.mean() - real.mean()

    def penalised(self, sample: Sample, step: int, turn: int) -> Tensor:
        """Return the gradient penalty, the mean over slices."""
        batch, depth = sample.estimate.shape[:2]
        drawn = draws.generator(self.seed, "penalty", step, turn).random((batch * self.ranks.world, depth, 1, 1))
        place = self.ranks.part(torch.from_numpy(drawn)).to(sample.estimate)
        between = torch.lerp(sample.target, sample.estimate, place).requires_grad_()
        scores = self.critic(self.images(between, sample)).mean(dim=(1, 2, 3)).sum()
        (slope,) = torch.autograd.grad(scores, between, create_graph=True)
        # The norm has no gradient at 0; the tiny term keeps it finite there.
        norms = (slope.square().sum(dim=(2, 3)) + 1e-12).sqrt()
        return self.penalty * (norms - 1).square().mean()
