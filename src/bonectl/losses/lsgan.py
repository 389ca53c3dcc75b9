"""Adversarial loss, least squares (Mao et al. 2017)."""

from torch import Tensor

from bonectl.learning.adversary import Adversary


class Lsgan(Adversary):
    """Squared distance from the score of a target, 1; the most forgiving adversarial loss.

    The critic minimises (D(target) - 1)² + D(estimate)², the denoiser (D(estimate) - 1)².
    """

    def wanted(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the denoiser's loss."""
        return (fake - 1).square().mean()

    def judged(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the critic's loss."""
        return (real - 1).square().mean() + fake.square().mean()
