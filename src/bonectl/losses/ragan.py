"""Adversarial loss, relativistic average (Jolicoeur-Martineau 2018; Wang et al. 2018)."""

from torch import Tensor
from torch.nn.functional import softplus

from bonectl.learning.adversary import Adversary


class Ragan(Adversary):
    """Whether estimates look more real than targets do on average, and the reverse.

    The critic minimises softplus(-(D(target) - mean D(estimate))) + softplus(D(estimate) - mean D(target)),
    halved; the denoiser the same with the roles exchanged.
    """

    def wanted(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the denoiser's loss."""
        return (softplus(real - fake.mean()).mean() + softplus(real.mean() - fake).mean()) / 2

    def judged(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the critic's loss."""
        return (softplus(fake.mean() - real).mean() + softplus(fake - real.mean()).mean()) / 2
