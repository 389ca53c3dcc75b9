"""Adversarial loss, least squares (Mao et al. 2017)."""

from torch import Tensor

from bonectl.learning.adversary import Adversary


class lsgan(Adversary):  # noqa: N801 (a part has the name of its file)
    """Squared distance from the score of a target, 1; the most forgiving adversarial loss.

    The critic minimises (D(target) - 1)² + D(estimate)², the denoiser (D(estimate) - 1)².

    Parameters
    ----------
    conditional : bool
        Whether the critic sees the noisy slice beside the one it judges.
    steps : int
        Critic steps before each step of the denoiser.
    rate : float
        Learning rate of the critic (Adam).
    width : int
        Channels of its first layer.
    layers : int
        Its halvings: a score sees 16, 34 or 70 pixels with 1, 2 or 3.
    """

    def __init__(
        self, *, conditional: bool = False, steps: int = 1, rate: float = 3e-4, width: int = 64, layers: int = 3
    ) -> None:
        super().__init__(conditional=conditional, steps=steps, rate=rate, width=width, layers=layers)

    def wanted(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the denoiser's loss."""
        return (fake - 1).square().mean()

    def judged(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the critic's loss."""
        return (real - 1).square().mean() + fake.square().mean()
