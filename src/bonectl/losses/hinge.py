"""Adversarial loss, hinge (Lim and Ye 2017)."""

from torch import Tensor
from torch.nn.functional import relu

from bonectl.learning.adversary import Adversary


class hinge(Adversary):  # noqa: N801 (a part has the name of its file)
    """Score of a critic that no longer cares once it is sure.

    The critic minimises relu(1 - D(target)) + relu(1 + D(estimate)), the denoiser -D(estimate).

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
        return -fake.mean()

    def judged(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the critic's loss."""
        return relu(1 - real).mean() + relu(1 + fake).mean()
