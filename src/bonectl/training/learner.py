"""The state of a training run: one step forward, saved, restored, turned into a checkpoint."""

import copy
import json
import os
import platform
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import bonectl
from bonectl.core import kit, progress
from bonectl.core.counted import counted
from bonectl.core.header import Header
from bonectl.core.spec import Spec
from bonectl.errors import UnavailableError, UsageError
from bonectl.learning import device
from bonectl.learning.checkpoint import Checkpoint, Normalisation
from bonectl.learning.denoiser import Trainable
from bonectl.learning.inflate import inflated
from bonectl.learning.noise import Level
from bonectl.learning.ranks import ALONE, Ranks
from bonectl.learning.sample import Sample
from bonectl.learning.weights import restore
from bonectl.training import provenance, resume_file
from bonectl.training.objective import Objective, Score
from bonectl.training.patches import Batch
from bonectl.training.patience import Patience
from bonectl.training.recipe import Recipe
from bonectl.training.validation import Trial


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
    digests : tuple of str
        Of their values, in the same order (``bonectl.training.survey``).
    start : Checkpoint, optional
        Whose weights to begin with.
    world : int
        Processes that train together.
    taught : mapping
        Who teaches, and how much that counts (``bonectl.training.lessons``); empty where nobody does.
    """

    recipe: Recipe
    model: Spec
    pairs: Spec
    normalisation: Normalisation
    headers: tuple[Header, ...]
    stacks: tuple[str, ...]
    digests: tuple[str, ...]
    start: Checkpoint | None = None
    world: int = 1
    taught: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, Any]:
        """All that must be equal when a run is resumed, as JSON values; the batch is that of all ranks together."""
        return asdict(self.recipe) | {
            "batch": self.recipe.batch * self.world,
            "model": str(self.model),
            "pairs": str(self.pairs),
            "offset": self.normalisation.offset,
            "scale": self.normalisation.scale,
            "stacks": list(self.stacks),
            "stacks_sha256": list(self.digests),
            "shapes": [list(header.shape) for header in self.headers],
            "init_from_sha256": None if self.start is None else self.start.digest,
            **self.taught,
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Estimates:
    """What the averaged network makes of the held-out part: (z, y, x) each, one for each stack, normalised units."""

    noisy: tuple[Tensor, ...]
    made: tuple[Tensor, ...]
    clean: tuple[Tensor, ...]


class Learner:
    """What changes during training: weights, their average, the optimiser, the step.

    Parameters
    ----------
    task : Task
    objective : Objective
        Of the task's recipe.
    ranks : Ranks
        Where to compute, and with which other processes.
    compiled : bool
        Whether ``torch.compile`` makes machine code of the network first: faster on a GPU, and rounded differently.
    """

    def __init__(self, task: Task, objective: Objective, ranks: Ranks = ALONE, *, compiled: bool = False) -> None:
        self.task = task
        self.recipe = task.recipe
        self.ranks = ranks
        self.where = where = ranks.where
        self.objective = objective.to(where)
        _keep_no_cache(compiled)
        self.network = initial(task.model, self.recipe.seed)
        if task.start is not None:
            _begin_with(self.network, task.start, task.normalisation)
        self.network.to(where)
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.optimiser = torch.optim.AdamW(_groups(self.network, self.recipe.decay), betas=(0.9, 0.99))
        if compiled:
            self.network.compile()
        self.shared = ranks.shared(self.network)
        self.patience = Patience(self.recipe.patience)
        self.step = 0
        self.history: list[tuple[int, float, float]] = []  # step, held-out PSNR [dB], composite of bone numbers
        self.weights: Mapping[str, float] = {}  # of the loss's terms at the last step
        self.level: Level | None = None  # of what the network sees
        self.torn = False  # whether a step is under way that cannot be taken again from here
        self.lengths: list[tuple[int, int]] = [(0, self.recipe.steps)]  # steps planned, from which step on

    def look(self, batches: Sequence[Batch]) -> None:
        """Look at some batches before the first step: at what the network will see, and whether every term can score.

        Raises
        ------
        BonectlError
            What a term that begins later lacks.
        """
        self.level = Level.of(part.numpy() for batch in batches for run in batch.noisy.float() for part in run)
        first = batches[0].to(self.where)
        self.objective.rehearse(Sample(estimate=first.noisy, clean=first.clean, noisy=first.noisy))

    def advance(self, batch: Batch) -> Step:
        """Take one step."""
        batch = batch.to(self.where)
        with torch.autocast(self.where.type, torch.bfloat16, enabled=device.half(self.where)):
            estimate = self._estimate(batch)
        sample = Sample(estimate=estimate, clean=batch.clean, noisy=batch.noisy, step=self.step)
        self.torn = bool(self.objective.critics)
        critics = self.objective.learn(sample, self.step, self.recipe.critic_pace(self.step))
        score = self.objective(sample, self.step)
        self.torn |= self.objective.balance is not None
        self.optimiser.zero_grad()
        with self.ranks.together():  # where there are others, gradients are averaged while they flow back
            estimate.backward(score.gradient.to(estimate.dtype))  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip))
        self.torn = True
        if score.diverged or not isfinite(norm):
            raise self._diverged(score)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate(self.step)
        self.optimiser.step()
        self._average()
        self.weights = score.weights
        self.step += 1
        self.torn = False
        return Step(score=score, norm=norm, critics=critics)

    def _estimate(self, batch: Batch) -> Tensor:
        """Run the network; the first time, it is compiled if it shall be."""
        try:
            return batch.estimate(self.shared)
        except torch._dynamo.exc.TorchDynamoException as error:
            raise UnavailableError(
                f"torch.compile cannot compile here ({type(error).__name__}); install a C++ compiler such as g++ (on a "
                "GPU also triton), or leave out --compile"
            ) from error

    @torch.no_grad()
    def _average(self) -> None:
        share = 1 - self.recipe.average_decay(self.step)
        for kept, new in zip(self.average.parameters(), self.network.parameters(), strict=True):
            kept.lerp_(new, share)

    def _diverged(self, score: Score) -> UsageError:
        """Say which term it was; the data are known to be finite."""
        term = ", ".join(score.diverged) or "the gradient"
        return UsageError(
            f"training diverged at step {self.step}: {term} is not finite; lower --rate; the last checkpoint is kept"
        )

    @torch.no_grad()
    def estimates(self, held_out: Iterable[tuple[int, Batch]]) -> Estimates:
        """Let the averaged network estimate the held-out part (``Batches.validation``)."""
        parts: dict[int, list[tuple[Tensor, Tensor, Tensor]]] = {}
        for stack, batch in held_out:
            batch = batch.to(self.where)
            made = batch.estimate(self.average)[0].to(batch.clean)
            parts.setdefault(stack, []).append((batch.noisy[0], made, batch.clean[0]))
        volumes = [[torch.cat(slices) for slices in zip(*runs, strict=True)] for runs in parts.values()]
        return Estimates(**dict(zip(("noisy", "made", "clean"), map(tuple, zip(*volumes, strict=True)), strict=True)))

    def save(self, path: Path) -> None:
        """Write everything needed to go on, after a line with its hash."""
        state = {
            "identity": json.dumps(self.task.identity),
            "step": self.step,
            "history": self.history,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "objective": self.objective.state(),
            "patience": self.patience.state,
            "lengths": self.lengths,
        }
        resume_file.write(path, state)

    def restore(self, path: Path) -> None:
        """Go back to a saved state; the run may be planned longer or shorter than it was then.

        Raises
        ------
        MissingInputError, DataError
            There is none, or it is damaged.
        UsageError
            It belongs to another recipe, or to other data, or has gone beyond the steps that are asked for.
        """
        state = resume_file.loaded(path, self.where)
        try:
            resume_file.check_same(json.loads(state["identity"]), json.loads(json.dumps(self.task.identity)), path)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            restore(self.optimiser, state["optimiser"])
            self.objective.restore(state["objective"])
            self.patience.restore(state["patience"])
            self.step = int(state["step"])
            lengths = [(int(since), int(steps)) for since, steps in state["lengths"]]
            if not 0 <= self.step <= lengths[-1][1]:
                raise ValueError(self.step)
            self.history = [(int(step), float(psnr), float(bone)) for step, psnr, bone in state["history"]]
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise resume_file.damaged(path) from error
        resume_file.check_length(self.step, self.recipe.steps, path)
        self._planned_anew(lengths)

    def _planned_anew(self, lengths: list[tuple[int, int]]) -> None:
        """Go on for as many steps as are asked for now, and say so where they were others."""
        self.lengths = lengths
        before, now = lengths[-1][1], self.recipe.steps
        if now == before:
            return
        self.lengths = [*(each for each in lengths if each[0] < self.step), (self.step, now)]
        rate = f"; the rate goes on at {self.recipe.learning_rate(self.step):.3g}" if self.step < now else ""
        progress.note(
            f"the run of {counted(before, 'step')} goes on from step {self.step} by the schedule of {now}: "
            f"cosine of the rate and @ of the loss{rate}"
        )

    def checkpoint(self, before: Trial, now: Trial) -> Checkpoint:
        """Return the averaged network with everything it was trained on.

        Parameters
        ----------
        before, now : Trial
            Of the held-out input, and of the network's latest estimate of it.
        """
        task, first = self.task, self.task.headers[0]
        return Checkpoint(
            model=str(task.model),
            loss=str(self.objective),
            pairs=str(task.pairs),
            normalisation=task.normalisation,
            axes=first.axes,
            spacing=provenance.spacing(task.headers),
            acquisition=provenance.exposure(task.headers),
            calibrated=provenance.calibrated(first, task.normalisation),
            pseudo=any(header.calibration is not None and header.calibration.pseudo for header in task.headers),
            steps=self.step,
            seed=self.recipe.seed,
            training=task.identity
            | {
                "held_out_psnr_db": [[step, provenance.plain(psnr)] for step, psnr, _ in self.history],
                "held_out_composite": [[step, provenance.plain(composite)] for step, _, composite in self.history],
                "held_out_psnr_input_db": provenance.plain(before.psnr),
                "held_out_bone_errors": provenance.errors(now),
                "held_out_bone_errors_input": provenance.errors(before),
                "processes": task.world,
                "weights": dict(self.weights),
                "level": None if self.level is None else asdict(self.level),
                "loss_weights_sha256": self.objective.weight_files(),
                "lengths": [list(length) for length in self.lengths],
            }
            | provenance.voxels(task.headers),
            versions={
                "bonectl": bonectl.__version__,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
            weights={name: weight.detach().cpu().contiguous() for name, weight in self.average.state_dict().items()},
        )


def _keep_no_cache(compiled: bool) -> None:
    """Let torch make no folder for compiled code beside the temporary files, where nothing is compiled.

    Its optimisers load the compiler, which makes the folder that this variable names, or torchinductor_USER.
    """
    name, there = "TORCHINDUCTOR_CACHE_DIR", tempfile.gettempdir()
    if not compiled:
        os.environ.setdefault(name, there)
    elif os.environ.get(name) == there:
        del os.environ[name]


def initial(model: Spec, seed: int) -> Trainable:
    """Build a model with weights drawn from the seed; torch's global generator stays as it was.

    Raises
    ------
    UsageError
        It has nothing to train.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Trainable = kit.bind("models", model)()
    if not network.learns:
        raise UsageError(f"{model.name} has nothing to train; give it to `bonectl denoise --model` as it is")
    return network


def _begin_with(network: Trainable, start: Checkpoint, normalisation: Normalisation) -> None:
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


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weights, which decay, and biases, which do not."""
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    biases = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    return [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}]
