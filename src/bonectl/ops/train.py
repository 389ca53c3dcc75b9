"""Learn to denoise: volumes and a recipe in, a checkpoint out.

One loop. Every batch is a function of (seed, step), so a run that was stopped and resumed gives the same
bytes as one that was not (on one CPU type and number of threads; ``tests/ops/test_train.py``). Beside the checkpoint
lie ``.resume`` (everything needed to go on) and ``.csv`` (one row per step).
"""

import copy
import csv
import io
import json
import pickle
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite, log10
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import bonectl
from bonectl.core import atomic, device, kit, progress
from bonectl.core.checkpoint import Checkpoint, Normalisation
from bonectl.core.denoiser import Denoiser
from bonectl.core.header import Fact, Header
from bonectl.core.sample import Pairing, Sample, Volume
from bonectl.core.spec import Spec, parse
from bonectl.errors import DataError, MissingInputError, UsageError
from bonectl.ops.objective import Objective, Score
from bonectl.ops.patches import Batch, Patches
from bonectl.ops.recipe import Recipe
from bonectl.ops.volumes import mapped

# Facts of the exposure that must be equal in all training stacks to be facts of the checkpoint.
Facts = Mapping[str, Fact]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """How a run ended.

    Parameters
    ----------
    steps : int
        Steps done in all.
    finished : bool
        False when it was asked to stop; ``resume`` goes on from there.
    psnr, psnr_input : float
        Peak signal-to-noise ratio [dB] of estimate and input against the targets of the held-out part;
        the peak is the normalisation's scale.
    """

    steps: int
    finished: bool
    psnr: float
    psnr_input: float


@dataclass(frozen=True, kw_only=True)
class Saving:
    """Where a run is kept.

    Parameters
    ----------
    output : Path
        The checkpoint; ``.resume`` and ``.csv`` lie beside it.
    every : int
        Steps between checkpoints, each with a look at the held-out part.
    force : bool
        Replace an existing output.
    resume : bool
        Go on from the ``.resume`` file.

    Raises
    ------
    UsageError
        ``every`` is below 1.
    """

    output: Path
    every: int = 500
    force: bool = False
    resume: bool = False

    def __post_init__(self) -> None:
        if self.every < 1:
            raise UsageError(f"a checkpoint every {self.every} steps; it must be at least 1")

    def beside(self, suffix: str) -> Path:
        """Return a file beside the checkpoint, ``x.safetensors`` → ``x.safetensors.resume``."""
        return self.output.with_name(f"{self.output.name}.{suffix}")


def never() -> bool:
    """Ask for no stop."""
    return False


def train(
    inputs: Sequence[Path],
    targets: Sequence[Path],
    recipe: Recipe,
    saving: Saving,
    *,
    normalisation: tuple[float, float] | None = None,
    device_name: str = "auto",
    stop: Callable[[], bool] = never,
) -> Trained:
    """Train a model and keep it in a file.

    Parameters
    ----------
    inputs, targets : sequence of Path
        Stacks, as the pairing wants them.
    recipe : Recipe
        What to do.
    saving : Saving
        Where the checkpoint goes.
    normalisation : tuple of float, optional
        Offset and scale in the data's unit, where its calibration does not give them.
    device_name : str
        See ``bonectl.core.device.choose``.
    stop : callable
        Asked after every step; when it says True, the state is saved and the run ends.

    Returns
    -------
    Trained

    Raises
    ------
    UsageError
        The data do not fit together or the recipe, or the loss ceased to be finite (the message names the
        term; the last checkpoint is kept).
    DataError
        A stack holds values that are not finite, or the ``.resume`` file is damaged.
    OutputError
        The output exists, and ``saving`` says neither ``force`` nor ``resume``.
    """
    atomic.check(saving.output, force=saving.force or saving.resume)
    objective = Objective(recipe.loss, recipe.steps)
    model, pairs = _with_defaults("models", recipe.model), _with_defaults("pairings", recipe.pairs)
    where = device.choose(device_name)
    with mapped([*inputs, *targets]) as volumes:
        pairing: Pairing = kit.bind("pairings", pairs)(volumes[: len(inputs)], volumes[len(inputs) :])
        scale = _normalisation(pairing.headers, normalisation)
        run = Run(recipe, objective, model, where)
        patches = Patches(pairing, scale, run.network.reach, recipe)
        run.describe = _description(recipe, objective, model, pairs, scale, pairing.headers, volumes)
        if saving.resume:
            run.restore(saving.beside("resume"))
        return _loop(run, patches, saving, stop)


class Run:
    """What changes during training: weights, their average, the optimiser, the step.

    Parameters
    ----------
    recipe : Recipe
    objective : Objective
    model : Spec
        With every knob written out.
    where : torch.device
    """

    def __init__(self, recipe: Recipe, objective: Objective, model: Spec, where: torch.device) -> None:
        self.recipe = recipe
        self.objective = objective
        self.where = where
        self.network = initial(model, recipe.seed).to(where)
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.optimiser = torch.optim.AdamW(_groups(self.network, recipe.decay), betas=(0.9, 0.99))
        self.step = 0
        self.history: list[tuple[int, float]] = []
        self.describe: Callable[[Run, float], Checkpoint] | None = None

    def advance(self, batch: Batch) -> tuple[Score, float]:
        """Take one step; returns the score before it and the norm of the gradient."""
        noisy, clean = batch.noisy.to(self.where), batch.clean.to(self.where)
        with torch.autocast(self.where.type, torch.bfloat16, enabled=self.where.type == "cuda"):
            estimate = self.network(noisy)
        score = self.objective(Sample(estimate=estimate, clean=clean), self.step)
        self.optimiser.zero_grad()
        score.total.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip))
        if score.diverged or not isfinite(norm):
            raise self._diverged(score, batch)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate(self.step)
        self.optimiser.step()
        self._average()
        self.step += 1
        return score, norm

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

    def save(self, saving: Saving, psnr_input: float) -> None:
        """Write the resume file, then the checkpoint; each whole or not at all."""
        state = {
            "recipe": json.dumps(asdict(self.recipe)),
            "step": self.step,
            "history": self.history,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        with atomic.replacing(saving.beside("resume")) as temporary:
            torch.save(state, temporary)
        assert self.describe is not None
        self.describe(self, psnr_input).save(saving.output)

    def restore(self, path: Path) -> None:
        """Go back to a saved state.

        Raises
        ------
        MissingInputError, DataError
            There is none, or it is damaged.
        UsageError
            It belongs to another recipe.
        """
        state = _loaded(path, self.where)
        try:
            recipe = json.loads(state["recipe"])
            _same(recipe, json.loads(json.dumps(asdict(self.recipe))), path)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = int(state["step"])
            self.history = [(int(step), float(psnr)) for step, psnr in state["history"]]
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: the saved state is damaged; train anew without --resume") from error


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


def _loop(run: Run, patches: Patches, saving: Saving, stop: Callable[[], bool]) -> Trained:
    """Train to the end, or until asked to stop."""
    steps = run.recipe.steps
    psnr, psnr_input = run.psnr(patches.validation())
    saved = run.step
    with (
        Log(saving.beside("csv"), run.objective.names, run.step) as log,
        progress.task("train", steps, "step") as advance,
    ):
        if run.step:
            advance(run.step)
        stopped = False
        begun, first = time.monotonic(), run.step
        for batch in patches.from_step(run.step, steps):
            score, norm = run.advance(batch)
            stopped = stop()
            if run.step % saving.every == 0 or run.step == steps or stopped:
                psnr, psnr_input = run.psnr(patches.validation())
                run.history = [*run.history, (run.step, round(psnr, 4))]
                run.save(saving, psnr_input)
                saved = run.step
            rate = (run.step - first) * patches.batch * patches.run / (time.monotonic() - begun)
            log.row(run.step, score, norm, run.recipe.learning_rate(run.step - 1), psnr if saved == run.step else None)
            advance(1, loss=f"{score.loss:.4g}", psnr=f"{psnr:.2f} dB", speed=f"{rate:.0f} patches/s")
            if stopped:
                break
    return Trained(steps=run.step, finished=run.step >= steps, psnr=psnr, psnr_input=psnr_input)


class Log:
    """A CSV file with a row per step: loss, each term's value and share, gradient, rate, PSNR where measured.

    Parameters
    ----------
    path : Path
        Rows up to ``step`` of an older file are kept.
    terms : sequence of str
        Of the objective.
    step : int
        Steps done before.
    """

    def __init__(self, path: Path, terms: Sequence[str], step: int) -> None:
        kept = _rows(path, step) if step else []
        self.terms = terms
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file, lineterminator="\n")
        columns = [column for term in terms for column in (term, f"share of {term}")]
        self._writer.writerow(["step", "loss", *columns, "gradient norm", "learning rate", "held-out PSNR [dB]"])
        self._writer.writerows(kept)

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *failure: object) -> None:
        self._file.close()

    def row(self, step: int, score: Score, norm: float, rate: float, psnr: float | None) -> None:
        """Write one step."""
        terms = [number for term in self.terms for number in (score.values.get(term, ""), score.shares.get(term, ""))]
        self._writer.writerow([step, score.loss, *terms, norm, rate, "" if psnr is None else psnr])


def _rows(path: Path, step: int) -> list[list[str]]:
    """Return the rows of an older log up to a step."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    return [row for row in rows if row and row[0].isdigit() and int(row[0]) <= step]


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weights, which decay, and biases, which do not."""
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    biases = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    return [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}]


def _with_defaults(name: str, text: str) -> Spec:
    """Write every knob out, so that a later default does not change what a checkpoint means."""
    spec = parse(text)
    kit.check(name, [spec])
    return Spec(spec.name, {**kit.describe(name, spec.name).knobs, **spec.knobs})


def _normalisation(headers: Sequence[Header], given: tuple[float, float] | None) -> Normalisation:
    """Return the one map that all stacks share."""
    first = headers[0]
    for header in headers[1:]:
        if header.unit != first.unit:
            raise UsageError(f"stacks in {first.unit} and in {header.unit} cannot be trained on together")
        if header.spacing != first.spacing:
            raise UsageError(f"stacks of spacing {first.spacing} and {header.spacing} mm cannot be trained on together")
    if given is not None:
        return Normalisation(first.unit, *given)
    return Normalisation.of(first)


def _description(
    recipe: Recipe,
    objective: Objective,
    model: Spec,
    pairs: Spec,
    normalisation: Normalisation,
    headers: Sequence[Header],
    volumes: Sequence[Volume],
) -> Callable[[Run, float], Checkpoint]:
    """Return what makes a checkpoint of a run."""
    first = headers[0]

    def describe(run: Run, psnr_input: float) -> Checkpoint:
        training = asdict(recipe) | {
            "stacks": [Path(volume.name).name for volume in volumes],
            "held_out_psnr_db": run.history,
            "held_out_psnr_input_db": round(psnr_input, 4),
        }
        return Checkpoint(
            model=str(model),
            loss=str(objective),
            pairs=str(pairs),
            normalisation=normalisation,
            axes=first.axes,
            spacing=first.spacing,
            acquisition=_common(headers),
            pseudo=any(header.calibration is not None and header.calibration.pseudo for header in headers),
            steps=run.step,
            seed=recipe.seed,
            training=training,
            versions={
                "bonectl": bonectl.__version__,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
            weights={name: weight.detach().cpu().contiguous() for name, weight in run.average.state_dict().items()},
        )

    return describe


def _common(headers: Sequence[Header]) -> Facts:
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
