"""Adversarial loss, hinge (Lim and Ye 2017)."""

from torch import Tensor
from torch.nn.functional import relu

from bonectl.learning.adversary import Adversary


class Hinge(Adversary):
    """Score of a critic that no longer cares once it is sure.

    The critic minimises relu(1 - D(target)) + relu(1 + D(estimate)), the denoiser -D(estimate).
    """

    def wanted(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the denoiser's loss."""
        return -fake.mean()

    def judged(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the critic's loss."""
        return relu(1 - real).mean() + relu(1 + fake).mean()
