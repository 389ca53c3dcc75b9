"""The state of a training run: one step forward, saved, restored, turned into a checkpoint."""

import copy
import io
import json
import pickle
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite, log10
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import bonectl
from bonectl.core import atomic, kit
from bonectl.core.header import Fact, Header
from bonectl.core.spec import Spec
from bonectl.errors import DataError, MissingInputError, UsageError
from bonectl.learning.checkpoint import Checkpoint, Normalisation
from bonectl.learning.denoiser import Denoiser
from bonectl.learning.inflate import inflated
from bonectl.learning.sample import Sample
from bonectl.ops.objective import Objective, Score
from bonectl.ops.patches import Batch
from bonectl.ops.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is learned, and from what.

    Parameters
    ----------
    recipe : Recipe
    model, pairs : Spec
        With every knob written out.
    normalisation : Normalisation
    headers : tuple of Header
        Of the pairing's volumes.
    stacks : tuple of str
        File names of all inputs and targets, without folders.
    start : Checkpoint, optional
        Whose weights to begin with.
    """

    recipe: Recipe
    model: Spec
    pairs: Spec
    normalisation: Normalisation
    headers: tuple[Header, ...]
    stacks: tuple[str, ...]
    start: Checkpoint | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """All that must be equal when a run is resumed, as JSON values."""
        return asdict(self.recipe) | {
            "model": str(self.model),
            "pairs": str(self.pairs),
            "offset": self.normalisation.offset,
            "scale": self.normalisation.scale,
            "stacks": list(self.stacks),
            "shapes": [list(header.shape) for header in self.headers],
            "init_from_sha256": None if self.start is None else self.start.digest,
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    """What one step was like.

    Parameters
    ----------
    score : Score
        Of the estimate before the step.
    norm : float
        Of the gradient of the weights, before it was clipped.
    critics : mapping of float
        Losses of the critics that acted, by their terms.
    """

    score: Score
    norm: float
    critics: Mapping[str, float]


class Learner:
    """What changes during training: weights, their average, the optimiser, the step.

    Parameters
    ----------
    task : Task
    objective : Objective
        Of the task's recipe.
    where : torch.device
    """

    def __init__(self, task: Task, objective: Objective, where: torch.device) -> None:
        self.task = task
        self.recipe = task.recipe
        self.objective = objective.to(where)
        self.where = where
        self.network = initial(task.model, self.recipe.seed)
        if task.start is not None:
            _begin_with(self.network, task.start, task.normalisation)
        self.network.to(where)
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.optimiser = torch.optim.AdamW(_groups(self.network, self.recipe.decay), betas=(0.9, 0.99))
        self.step = 0
        self.history: list[tuple[int, float]] = []  # (step, held-out PSNR [dB])
        self.weights: Mapping[str, float] = {}  # of the loss's terms at the last step

    def advance(self, batch: Batch) -> Step:
        """Take one step."""
        noisy, clean = batch.noisy.to(self.where), batch.clean.to(self.where)
        with torch.autocast(self.where.type, torch.bfloat16, enabled=self.where.type == "cuda"):
            estimate = self.network(noisy)
        context = self.network.reach.slices
        middle = noisy[:, context : context + clean.shape[1]]
        sample = Sample(estimate=estimate, clean=clean, noisy=middle)
        critics = self.objective.learn(sample, self.step)
        score = self.objective(sample, self.step)
        self.optimiser.zero_grad()
        estimate.backward(score.gradient.to(estimate.dtype))
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip))
        if score.diverged or not isfinite(norm):
            raise self._diverged(score, batch)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate(self.step)
        self.optimiser.step()
        self._average()
        self.weights = score.weights
        self.step += 1
        return Step(score=score, norm=norm, critics=critics)

    @torch.no_grad()
    def _average(self) -> None:
        share = 1 - self.recipe.average_decay(self.step)
        for kept, new in zip(self.average.parameters(), self.network.parameters(), strict=True):
            kept.lerp_(new, share)

    def _diverged(self, score: Score, batch: Batch) -> DataError | UsageError:
        """Say whether the data or the training are to blame."""
        for name, values in (("an input", batch.noisy), ("a target", batch.clean)):
            if not torch.isfinite(values).all():
                return DataError(f"{name} holds values that are not finite (met at step {self.step}); repair the stack")
        term = ", ".join(score.diverged) or "the gradient"
        return UsageError(
            f"training diverged at step {self.step}: {term} is not finite; lower --rate; the last checkpoint is kept"
        )

    @torch.no_grad()
    def psnr(self, batches: Iterable[Batch]) -> tuple[float, float]:
        """Return the PSNR [dB] of the averaged network, and of its input, at peak 1 (one scale)."""
        errors, inputs, count = 0.0, 0.0, 0
        context = self.network.reach.slices
        for batch in batches:
            noisy, clean = batch.noisy.to(self.where), batch.clean.to(self.where)
            middle = noisy[:, context : context + clean.shape[1]]
            errors += float((self.average(noisy) - clean).double().square().sum())
            inputs += float((middle - clean).double().square().sum())
            count += clean.numel()
        return _decibel(errors / count), _decibel(inputs / count)

    def save(self, path: Path) -> None:
        """Write everything needed to go on, whole or not at all."""
        state = {
            "identity": json.dumps(self.task.identity),
            "step": self.step,
            "history": self.history,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "objective": self.objective.state(),
        }
        with atomic.replacing(path) as temporary:
            torch.save(state, temporary)

    def restore(self, path: Path) -> None:
        """Go back to a saved state.

        Raises
        ------
        MissingInputError, DataError
            There is none, or it is damaged.
        UsageError
            It belongs to another recipe, or to other data.
        """
        state = _loaded(path, self.where)
        try:
            _same(json.loads(state["identity"]), json.loads(json.dumps(self.task.identity)), path)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.objective.restore(state["objective"])
            self.step = int(state["step"])
            self.history = [(int(step), float(psnr)) for step, psnr in state["history"]]
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: the saved state is damaged; train anew without --resume") from error

    def checkpoint(self, psnr_input: float) -> Checkpoint:
        """Return the averaged network with everything it was trained on.

        Parameters
        ----------
        psnr_input : float
            PSNR of the held-out input [dB].
        """
        task, first = self.task, self.task.headers[0]
        return Checkpoint(
            model=str(task.model),
            loss=str(self.objective),
            pairs=str(task.pairs),
            normalisation=task.normalisation,
            axes=first.axes,
            spacing=first.spacing,
            acquisition=_common(task.headers),
            pseudo=any(header.calibration is not None and header.calibration.pseudo for header in task.headers),
            steps=self.step,
            seed=self.recipe.seed,
            training=task.identity
            | {
                "held_out_psnr_db": [[step, _plain(psnr)] for step, psnr in self.history],
                "held_out_psnr_input_db": _plain(psnr_input),
                "weights": dict(self.weights),
            },
            versions={
                "bonectl": bonectl.__version__,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
            weights={name: weight.detach().cpu().contiguous() for name, weight in self.average.state_dict().items()},
        )


def initial(model: Spec, seed: int) -> Denoiser:
    """Build a model with weights drawn from the seed; torch's global generator stays as it was.

    Raises
    ------
    UsageError
        It has nothing to train.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Denoiser = kit.bind("models", model)()
    if not network.learns:
        raise UsageError(f"{model.name} has nothing to train; give it to `bonectl denoise --model` as it is")
    return network


def _begin_with(network: Denoiser, start: Checkpoint, normalisation: Normalisation) -> None:
    """Copy the weights of a checkpoint, whose network may see fewer slices.

    Raises
    ------
    UsageError
        They do not fit, or were trained on another scale.
    """
    if start.normalisation != normalisation:
        raise UsageError(
            f"the weights to begin with belong to {start.normalisation}, the data to {normalisation}; give data in the "
            "same unit, with the same calibration"
        )
    try:
        network.load_state_dict(inflated(start.weights, network.state_dict()))
    except UsageError as error:
        raise UsageError(f"cannot begin with the weights of {start.model}: {error}") from error


def _loaded(path: Path, where: torch.device) -> Any:
    """Return what a resume file holds; only tensors and plain values are unpickled."""
    try:
        whole = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingInputError(f"{path}: there is nothing to resume; leave out --resume") from error
    try:
        return torch.load(io.BytesIO(whole), map_location=where, weights_only=True)
    except (RuntimeError, EOFError, OSError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: the saved state is damaged; train anew without --resume") from error


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weights, which decay, and biases, which do not."""
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    biases = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    return [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}]


def _common(headers: Sequence[Header]) -> dict[str, Fact]:
    """Return the facts of the exposure on which all stacks agree."""
    first = headers[0].acquisition
    return {key: fact for key, fact in first.items() if all(h.acquisition.get(key) == fact for h in headers)}


def _same(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on with another recipe."""
    if odd := sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name)):
        name = odd[0]
        raise UsageError(
            f"{path}: was made with {name}={before.get(name)!r}, not {now.get(name)!r}; "
            "a resumed run needs the same recipe"
        )


def _decibel(square: float) -> float:
    """Return a mean squared error as PSNR at peak 1 [dB]."""
    return -10 * log10(square) if square > 0 else inf


def _plain(number: float) -> float | None:
    """Return a number rounded for JSON, which has no infinity."""
    return round(number, 4) if isfinite(number) else None
