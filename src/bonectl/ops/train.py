"""Learn to denoise: volumes and a recipe in, a checkpoint out.

One loop. Every batch is a function of (seed, step), so a run that was stopped and resumed gives the same
bytes as one that was not (on one CPU type and number of threads; ``tests/ops/test_train.py``). Beside the checkpoint
lie ``.resume`` (everything needed to go on) and ``.csv`` (one row per step).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bonectl.core import atomic, kit, progress
from bonectl.core.header import Header
from bonectl.core.spec import Spec, parse
from bonectl.errors import UsageError
from bonectl.learning import device
from bonectl.learning.checkpoint import Checkpoint, Normalisation
from bonectl.learning.sample import Pairing
from bonectl.ops.learner import Learner, Task
from bonectl.ops.objective import Objective
from bonectl.ops.patches import Patches
from bonectl.ops.recipe import Recipe
from bonectl.ops.training_log import Log
from bonectl.ops.volumes import mapped


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


def train(  # noqa: PLR0913 (four flow, four are knobs)
    inputs: Sequence[Path],
    targets: Sequence[Path],
    recipe: Recipe,
    saving: Saving,
    *,
    normalisation: tuple[float, float] | None = None,
    start: Path | None = None,
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
    start : Path, optional
        Checkpoint whose weights to begin with: of the same model, or of one that sees fewer slices
        (``bonectl.learning.inflate``).
    device_name : str
        See ``bonectl.learning.device.choose``.
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
    objective = Objective(recipe.loss, recipe.steps, balanced=recipe.balance, seed=recipe.seed)
    model, pairs = _with_defaults("models", recipe.model), _with_defaults("pairings", recipe.pairs)
    where = device.choose(device_name)
    with mapped([*inputs, *targets]) as volumes:
        pairing: Pairing = kit.bind("pairings", pairs)(volumes[: len(inputs)], volumes[len(inputs) :])
        task = Task(
            recipe=recipe,
            model=model,
            pairs=pairs,
            normalisation=_normalisation(pairing.headers, normalisation),
            headers=pairing.headers,
            stacks=tuple(Path(volume.name).name for volume in volumes),
            start=None if start is None else Checkpoint.load(start),
        )
        learner = Learner(task, objective, where)
        patches = Patches(pairing, task.normalisation, learner.network.reach, recipe)
        if saving.resume:
            learner.restore(saving.beside("resume"))
        return _loop(learner, patches, saving, stop)


def _loop(learner: Learner, patches: Patches, saving: Saving, stop: Callable[[], bool]) -> Trained:
    """Train to the end, or until asked to stop."""
    steps = learner.recipe.steps
    psnr, psnr_input = learner.psnr(patches.validation())
    with (
        Log(saving.beside("csv"), learner.objective, learner.step) as log,
        progress.task("train", steps, "step") as advance,
    ):
        if learner.step:
            advance(learner.step)
        begun, slices = time.monotonic(), 0
        for batch in patches.from_step(learner.step, steps):
            step = learner.advance(batch)
            stopped, due = stop(), learner.step % saving.every == 0 or learner.step == steps
            if due:
                psnr, _ = learner.psnr(patches.validation())
                learner.history.append((learner.step, psnr))
            log.row(learner.step, step, learner.recipe.learning_rate(learner.step - 1), psnr if due else None)
            if due or stopped:
                learner.save(saving.beside("resume"))
                learner.checkpoint(psnr_input).save(saving.output)
            slices += patches.batch * patches.run
            speed = f"{slices / (time.monotonic() - begun):.0f} patches/s"
            advance(1, loss=f"{step.score.loss:.4g}", psnr=f"{psnr:.2f} dB", speed=speed)
            if stopped:
                break
    return Trained(steps=learner.step, finished=learner.step >= steps, psnr=psnr, psnr_input=psnr_input)


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
