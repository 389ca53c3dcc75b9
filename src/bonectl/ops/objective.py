"""A weighted sum of losses, from its text to one number per step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isfinite

import torch
from torch import Tensor

from bonectl.core import kit
from bonectl.core.sample import Sample
from bonectl.core.spec import Spec, parse_sum, print_sum
from bonectl.errors import UsageError

Loss = Callable[[Sample], Tensor]


@dataclass(frozen=True, eq=False)
class Score:
    """What an estimate cost at one step.

    Parameters
    ----------
    total : Tensor, ()
        The weighted sum, to differentiate.
    values : mapping of float
        Raw value of each term that acts, by its text without weight and schedule.
    shares : mapping of float
        Weight times value of each, as a fraction of the total.
    """

    total: Tensor
    values: Mapping[str, float]
    shares: Mapping[str, float]

    @property
    def loss(self) -> float:
        """The weighted sum as a number."""
        return float(self.total.detach())

    @property
    def diverged(self) -> list[str]:
        """Terms whose value is not finite."""
        return [name for name, value in self.values.items() if not isfinite(value)]


class Objective:
    """What training minimises: ``l1 + 0.1*ssim@50%`` as one function of a sample.

    Parameters
    ----------
    text : str
        A weighted sum of losses with schedules (``bonectl.core.spec``).
    steps : int
        Length of the run, which schedules in per cent refer to.

    Raises
    ------
    UsageError
        Unknown losses or knobs, a loss that is given twice, or nothing that acts from the first step on.
    """

    def __init__(self, text: str, steps: int) -> None:
        self.terms = parse_sum(text)
        self.steps = steps
        kit.check("losses", self.terms)
        names = [label(term) for term in self.terms]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(f"loss {text!r}: {twice[0]} is given twice; add up its weights")
        if not any(weight(term, 0, steps) for term in self.terms):
            raise UsageError(f"loss {text!r}: no term acts at the first step; leave one without @")
        self._losses: list[Loss] = [kit.bind("losses", term) for term in self.terms]

    def __str__(self) -> str:
        return print_sum(self.terms)

    @property
    def names(self) -> list[str]:
        """Text of each term, without weight and schedule."""
        return [label(term) for term in self.terms]

    def __call__(self, sample: Sample, step: int) -> Score:
        """Score a sample at a step, in float32 (or float64) whatever the network computed in.

        Parameters
        ----------
        sample : Sample
            The estimate and its target, normalised units.
        step : int
            Number of the step, from 0.
        """
        sample = Sample(estimate=_full(sample.estimate), clean=None if sample.clean is None else _full(sample.clean))
        total = torch.zeros((), dtype=sample.estimate.dtype, device=sample.estimate.device)
        values, parts = {}, {}
        with torch.autocast(sample.estimate.device.type, enabled=False):
            for term, loss in zip(self.terms, self._losses, strict=True):
                if factor := weight(term, step, self.steps):
                    value = loss(sample)
                    total = total + factor * value
                    values[label(term)] = float(value.detach())
                    parts[label(term)] = factor * values[label(term)]
        whole = sum(parts.values())
        return Score(total, values, {name: part / whole if whole else 0.0 for name, part in parts.items()})


def label(term: Spec) -> str:
    """Return a term's text without weight and schedule."""
    return str(replace(term, weight=1.0, when=None))


def weight(term: Spec, step: int, steps: int) -> float:
    """Return a term's weight at a step, 0 where its schedule has not begun."""
    return term.weight * (term.when.factor(step, steps) if term.when else 1.0)


def _full(values: Tensor) -> Tensor:
    """Return half-precision values as float32, others as they are."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
