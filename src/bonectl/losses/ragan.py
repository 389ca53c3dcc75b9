"""Adversarial loss, relativistic average (Jolicoeur-Martineau 2018; Wang et al. 2018)."""

from torch import Tensor
from torch.nn.functional import softplus

from bonectl.learning.adversary import Adversary


class ragan(Adversary):  # noqa: N801 (a part has the name of its file)
    """Whether estimates look more real than targets do on average, and the reverse.

    The critic minimises softplus(-(D(target) - mean D(estimate))) + softplus(D(estimate) - mean D(target)),
    halved; the denoiser the same with the roles exchanged.

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
        return (softplus(real - fake.mean()).mean() + softplus(real.mean() - fake).mean()) / 2

    def judged(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the critic's loss."""
        return (softplus(fake.mean() - real).mean() + softplus(fake - real.mean()).mean()) / 2
