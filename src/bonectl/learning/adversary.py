"""A loss that learns: a critic that is taught to tell estimates from targets, and scores estimates by that.

The critic belongs to the loss term: it makes it, trains it and keeps its state. Who trains the denoiser calls
:meth:`Adversary.learn` before scoring, saves :meth:`Adversary.state`, and knows nothing else of it.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bonectl.core import draws
from bonectl.errors import UsageError
from bonectl.learning.ranks import ALONE, Ranks
from bonectl.learning.sample import Sample, need
from bonectl.learning.weights import restore

# Slope of the leaky ReLU, and what Adam remembers: those of WGAN-GP and pix2pix with a longer second moment.
LEAK = 0.2
BETAS = (0.5, 0.9)


class PatchCritic(nn.Module):
    """Scores overlapping patches of slices, (n, channels, y, x) → (n, 1, y', x') (Isola et al. 2017).

    Without normalisation layers: batch statistics would tie the samples of a batch together, against which a gradient
    penalty by sample has no meaning.

    Parameters
    ----------
    channels : int
        1, or 2 with the noisy slice beside.
    width : int
        Channels of the first layer, doubled by each halving and at most eight times as many.
    layers : int
        Halvings; a score sees 16, 34 or 70 pixels with 1, 2 or 3.
    """

    def __init__(self, channels: int, width: int, layers: int) -> None:
        super().__init__()
        widths = [width * min(2**layer, 8) for layer in range(layers + 1)]
        strides = [2] * layers + [1]
        body: list[nn.Module] = []
        for before, after, stride in zip([channels, *widths[:-1]], widths, strides, strict=True):
            body += [nn.Conv2d(before, after, 4, stride, 1), nn.LeakyReLU(LEAK)]
        self.body = nn.Sequential(*body, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Score (n, channels, y, x)."""
        scores: Tensor = self.body(images)
        return scores


class Adversary(nn.Module):
    """What ``gan``, ``lsgan``, ``hinge``, ``wgan`` and ``ragan`` share; they differ in two formulas and a penalty.

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

    Raises
    ------
    UsageError
        A number below 1, or a rate that is not positive.
    """

    def __init__(
        self, *, conditional: bool = False, steps: int = 1, rate: float = 3e-4, width: int = 64, layers: int = 3
    ) -> None:
        super().__init__()
        self.part = type(self).__name__.lower()
        if min(steps, width, layers) < 1 or not rate > 0:
            knobs = f"steps={steps}, rate={rate}, width={width}, layers={layers}"
            raise UsageError(f"{self.part}({knobs}): all must be positive")
        self.conditional = conditional
        self.steps = steps
        self.least = 3 * 2**layers  # pixels that leave a score after two 4 × 4 convolutions without stride
        self.critic = PatchCritic(1 + conditional, width, layers)
        self.optimiser = torch.optim.Adam(self.critic.parameters(), rate, BETAS)
        self.critic.requires_grad_(False)
        self.rate = rate
        self.seed = 0
        self.ranks = ALONE

    def begin(self, seed: int, ranks: Ranks = ALONE) -> None:
        """Draw the critic's first weights: normal with deviation 0.02 (Radford et al. 2016), biases zero.

        Parameters
        ----------
        seed : int
            Of these weights and of every later draw.
        ranks : Ranks
            The processes that teach the critic together.
        """
        self.seed, self.ranks = seed, ranks
        for number, parameter in enumerate(self.critic.parameters()):
            drawn = draws.generator(seed, "critic", number).standard_normal(parameter.shape)
            scale = 0.02 if parameter.ndim > 1 else 0.0
            parameter.data.copy_(torch.from_numpy(scale * drawn))

    def forward(self, sample: Sample) -> Tensor:
        """Return what the denoiser minimises, (); the critic is frozen."""
        real, fake = self._scores(sample)
        return self.wanted(real, fake)

    def learn(self, sample: Sample, step: int, pace: float = 1.0) -> float:
        """Teach the critic, and return its loss before the last of its steps, the mean over the ranks.

        Parameters
        ----------
        sample : Sample
            With a target; the estimate is taken as it is, no gradient flows back to the denoiser.
        step : int
            Of the training; keys the draws.
        pace : float
            Factor of the learning rate at this step.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * pace
        sample = Sample(estimate=sample.estimate.detach(), clean=sample.target.detach(), noisy=sample.noisy)
        self.critic.requires_grad_(True)
        told = 0.0
        for turn in range(self.steps):
            self.optimiser.zero_grad()
            loss = self.judged(*self._scores(sample)) + self.penalised(sample, step, turn)
            loss.backward()  # type: ignore[no-untyped-call]
            self.ranks.average(self.critic.parameters())
            self.optimiser.step()
            told = float(loss.detach())
        self.optimiser.zero_grad()
        self.critic.requires_grad_(False)
        return self.ranks.mean([told])[0]

    def wanted(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the denoiser minimises, from the scores of targets and estimates, (n, 1, y', x') each."""
        raise NotImplementedError

    def judged(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the critic minimises, from the same scores."""
        raise NotImplementedError

    def penalised(self, sample: Sample, step: int, turn: int) -> Tensor:
        """Return what else the critic minimises; nothing, unless a loss says otherwise."""
        return torch.zeros((), dtype=sample.estimate.dtype, device=sample.estimate.device)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on, tensors and plain values."""
        return {"critic": self.critic.state_dict(), "optimiser": self.optimiser.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a saved state."""
        self.critic.load_state_dict(state["critic"])
        restore(self.optimiser, state["optimiser"])

    def images(self, values: Tensor, sample: Sample) -> Tensor:
        """Return the slices of (b, z, y, x) as the critic wants them, (b · z, 1 or 2, y, x)."""
        side = min(values.shape[2:])
        if side < self.least:
            raise UsageError(
                f"{self.part}: its critic judges patches of at least {self.least} pixels, not {side}; give "
                "a larger --patch or fewer layers"
            )
        images = values.flatten(0, 1).unsqueeze(1)
        if not self.conditional:
            return images
        noisy = need(sample.noisy, "the noisy slices").flatten(0, 1).unsqueeze(1)
        return torch.cat((images, noisy.to(images)), dim=1)

    def _scores(self, sample: Sample) -> tuple[Tensor, Tensor]:
        """Scores of targets and estimates."""
        return self.critic(self.images(sample.target, sample)), self.critic(self.images(sample.estimate, sample))
