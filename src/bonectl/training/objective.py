"""A weighted sum of losses, from its text to one gradient per step.

Each term's gradient is taken at the estimate, on its own; their weighted sum is what flows back through the network. So
the share that each term has of the gradient is known at every step, and costs nothing.

Processes that train together (``bonectl.learning.ranks``) each score their part of the batch. Values and norms are
means over the whole batch, so weights and shares are those that one process would have found. Terms that look at a
batch as a whole look at each part: ``hist`` and ``w1`` at its distribution, ``ragan`` at its mean scores.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bonectl.core import kit, reading
from bonectl.core.counted import counted
from bonectl.core.spec import Spec, parse_sum, print_sum
from bonectl.errors import UsageError
from bonectl.learning.adversary import Adversary
from bonectl.learning.ranks import ALONE, Ranks
from bonectl.learning.sample import Sample

Loss = Callable[[Sample], Tensor]

# Balanced weights follow a moving average of the gradients' norms that forgets this much per step.
FORGETTING = 0.01


@dataclass(frozen=True, eq=False)
class Score:
    """What an estimate cost at one step.

    Parameters
    ----------
    loss : float
        The weighted sum.
    gradient : Tensor, (b, z, y, x)
        Of the weighted sum with respect to the estimate: to flow back from there.
    values : mapping of float
        Raw value of each term that acts, by its text without weight and schedule.
    shares : mapping of float
        Norm of each term's weighted gradient at the estimate, as a fraction of the sum of these norms.
    weights : mapping of float
        The weight each had.
    """

    loss: float
    gradient: Tensor
    values: Mapping[str, float]
    shares: Mapping[str, float]
    weights: Mapping[str, float]

    @property
    def diverged(self) -> list[str]:
        """Terms whose value, or share of the gradient, is not finite."""
        return [name for name, value in self.values.items() if not (isfinite(value) and isfinite(self.weights[name]))]


@dataclass
class Norm:
    """Moving average of a gradient's norm, unbiased from the first step on."""

    total: float = 0.0
    mass: float = 0.0

    def update(self, norm: float) -> None:
        """Take the norm of a step."""
        self.total += FORGETTING * (norm - self.total)
        self.mass += FORGETTING * (1 - self.mass)

    @property
    def mean(self) -> float:
        """The average, 0 before the first step."""
        return self.total / self.mass if self.mass else 0.0


@dataclass(frozen=True)
class Balance:
    """Chooses weights such that the numbers in the text are the terms' shares of the gradient.

    The first term that acts keeps its weight; the others' are scaled by its gradient's norm over theirs, averages both.
    With ``l1 + 0.5*ssim`` the gradient of ssim at the estimate is half as long as that of l1, whatever their values.
    """

    norms: dict[str, Norm] = field(default_factory=dict)

    def __call__(self, wanted: Mapping[str, float], norms: Mapping[str, float]) -> dict[str, float]:
        """Return weights, from the stated ones and this step's norms of the terms that act."""
        for name, norm in norms.items():
            if isfinite(norm):
                self.norms.setdefault(name, Norm()).update(norm)
        means = {name: self.norms[name].mean if name in self.norms else 0.0 for name in norms}
        reference = next((mean for mean in means.values() if mean), 0.0)
        return {name: wanted[name] * reference / means[name] if means[name] else 0.0 for name in norms}


class Objective:
    """What training minimises: ``l1 + 0.1*ssim@50%`` as one function of a sample.

    Parameters
    ----------
    text : str
        A weighted sum of losses with schedules (``bonectl.core.spec``).
    steps : int
        Length of the run, which schedules in per cent refer to.
    balanced : bool
        Whether the numbers in the text are shares of the gradient (:class:`Balance`) and not weights.
    seed : int
        Of the losses that learn.
    ranks : Ranks
        The processes that train together.

    Raises
    ------
    UsageError
        Unknown losses or knobs, a loss that is given twice, several that learn, nothing that acts from the first step
        on, or a term that never acts.
    """

    def __init__(self, text: str, steps: int, *, balanced: bool = False, seed: int = 0, ranks: Ranks = ALONE) -> None:
        self.terms = parse_sum(text)
        self.steps = steps
        self.ranks = ranks
        self.balance = Balance() if balanced else None
        kit.check("losses", self.terms)
        names = [label(term) for term in self.terms]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(f"loss {text!r}: {twice[0]} is given twice; add up its weights")
        if not any(weight(term, 0, steps) for term in self.terms):
            raise UsageError(f"loss {text!r}: no term acts at the first step; leave one without @")
        if idle := [term for term in self.terms if not weight(term, steps - 1, steps)]:
            raise UsageError(
                f"loss {text!r}: {label(idle[0])} never acts within {counted(steps, 'step')}; let it begin earlier, or "
                "leave it out"
            )
        self._losses: dict[str, Loss] = {label(term): _made(term) for term in self.terms}
        self._adversaries = {name: loss for name, loss in self._losses.items() if isinstance(loss, Adversary)}
        if len(self._adversaries) > 1:
            raise UsageError(f"loss {text!r}: {' and '.join(self._adversaries)}; one adversary at a time")
        for adversary in self._adversaries.values():
            adversary.begin(seed, ranks)

    def __str__(self) -> str:
        return print_sum(self.terms)

    @property
    def names(self) -> list[str]:
        """Text of each term, without weight and schedule."""
        return list(self._losses)

    @property
    def critics(self) -> list[str]:
        """The terms among them that learn."""
        return list(self._adversaries)

    def to(self, where: torch.device) -> "Objective":
        """Move what learns to a device."""
        for adversary in self._adversaries.values():
            adversary.to(where)
        return self

    def learn(self, sample: Sample, step: int, pace: float = 1.0) -> dict[str, float]:
        """Teach the critics that act at a step, before the sample is scored; returns their losses.

        Parameters
        ----------
        sample : Sample
        step : int
            Number of the step, from 0.
        pace : float
            Factor of the critics' learning rates.
        """
        acting = [(label(term), term) for term in self.terms if label(term) in self._adversaries]
        with torch.autocast(sample.estimate.device.type, enabled=False):
            return {
                name: self._adversaries[name].learn(_in_full(sample), step, pace)
                for name, term in acting
                if weight(term, step, self.steps)
            }

    def rehearse(self, sample: Sample) -> None:
        """Score the terms that begin later once, so that what they lack is said now and not halfway through the run."""
        leaf = _in_full(sample)
        leaf = replace(leaf, estimate=leaf.estimate.detach().requires_grad_())
        with torch.autocast(leaf.estimate.device.type, enabled=False), torch.enable_grad():
            for term in self.terms:
                if not weight(term, 0, self.steps):
                    torch.autograd.grad(self._losses[label(term)](leaf), leaf.estimate)

    def weight_files(self) -> dict[str, str]:
        """SHA-256 of the files of weights that terms see with (`weights_file` beside a loss), by their texts."""
        return {label(term): path for term in self.terms if (path := _weights_digest(term)) is not None}

    def __call__(self, sample: Sample, step: int) -> Score:
        """Score a sample at a step, in float32 (or float64) whatever the network computed in.

        Parameters
        ----------
        sample : Sample
            The estimate and its target, normalised units.
        step : int
            Number of the step, from 0.
        """
        leaf = _in_full(sample)
        leaf = replace(leaf, estimate=leaf.estimate.detach().requires_grad_())
        values, gradients, weights = {}, {}, {}
        with torch.autocast(leaf.estimate.device.type, enabled=False), torch.enable_grad():
            for term in self.terms:
                if factor := weight(term, step, self.steps):
                    name = label(term)
                    value = self._losses[name](leaf)
                    (gradients[name],) = torch.autograd.grad(value, leaf.estimate)
                    values[name], weights[name] = float(value.detach()), factor
        values, norms = self._everywhere(values, {name: float(part.norm()) for name, part in gradients.items()})
        if self.balance is not None:
            weights = self.balance(weights, norms)
        parts = {name: weights[name] * norm for name, norm in norms.items()}
        whole = sum(parts.values())
        total = torch.zeros_like(leaf.estimate)
        for name, gradient in gradients.items():
            total.add_(gradient, alpha=weights[name])
        return Score(
            loss=sum(weights[name] * value for name, value in values.items()),
            gradient=total,
            values=values,
            shares={name: part / whole if whole else 0.0 for name, part in parts.items()},
            weights=weights,
        )

    def _everywhere(
        self, values: Mapping[str, float], norms: Mapping[str, float]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Return values and norms of gradients of the whole batch, from those of this rank's part of it."""
        if self.ranks.world == 1:
            return dict(values), dict(norms)
        count = len(values)
        means = self.ranks.mean([*values.values(), *(norm**2 for norm in norms.values())])
        # A part's loss is a mean over world times fewer samples than the whole batch, its gradient as much longer.
        lengths = [(square / self.ranks.world) ** 0.5 for square in means[count:]]
        return dict(zip(values, means[:count], strict=True)), dict(zip(norms, lengths, strict=True))

    def state(self) -> dict[str, Any]:
        """Everything that changes during training, tensors and plain values."""
        balance = {} if self.balance is None else self.balance.norms
        return {
            "critics": {name: adversary.state() for name, adversary in self._adversaries.items()},
            "norms": {name: [norm.total, norm.mass] for name, norm in balance.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a saved state."""
        for name, adversary in self._adversaries.items():
            adversary.restore(state["critics"][name])
        if self.balance is not None:
            self.balance.norms.clear()
            self.balance.norms.update({name: Norm(*map(float, pair)) for name, pair in state["norms"].items()})


def label(term: Spec) -> str:
    """Return a term's text without weight and schedule."""
    return str(replace(term, weight=1.0, when=None))


def weight(term: Spec, step: int, steps: int) -> float:
    """Return a term's weight at a step, 0 where its schedule has not begun."""
    return term.weight * (term.when.factor(step, steps) if term.when else 1.0)


def _made(term: Spec) -> Loss:
    """Return a loss with its knobs set; one that learns is made first, and takes samples then."""
    part = kit.bind("losses", term)
    loss: Loss = part if kit.describe("losses", term.name).flows else part()
    return loss


def _weights_digest(term: Spec) -> str | None:
    """The SHA-256 of the file of weights that a loss sees with, if it sees with any."""
    if "weights_file" not in kit.describe("losses", term.name).functions:
        return None
    path: Path = kit.ask("losses", term, "weights_file")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise reading.failure(path, error) from error


def _in_full(sample: Sample) -> Sample:
    """Return a sample with half-precision values as float32, others as they are."""
    clean, noisy = _optional(sample.clean), _optional(sample.noisy)
    return Sample(estimate=_full(sample.estimate), clean=clean, noisy=noisy, step=sample.step)


def _optional(values: Tensor | None) -> Tensor | None:
    return None if values is None else _full(values)


def _full(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
