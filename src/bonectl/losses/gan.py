"""Adversarial loss, non-saturating (Goodfellow et al. 2014)."""

from torch import Tensor
from torch.nn.functional import softplus

from bonectl.learning.adversary import Adversary


class Gan(Adversary):
    """Cross-entropy with a critic that tells estimates from targets.

    With D the scores: the critic minimises softplus(-D(target)) + softplus(D(estimate)), the denoiser
    softplus(-D(estimate)).
    """

    def wanted(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the denoiser's loss."""
        return softplus(-fake).mean()

    def judged(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the critic's loss."""
        return softplus(-real).mean() + softplus(fake).mean()
