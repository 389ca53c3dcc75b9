"""Learn to denoise: volumes and a recipe in, a checkpoint out.

One loop. Every batch is a function of (seed, step), so a run that was stopped and resumed gives the same
bytes as one that was not (on one CPU type and number of threads; ``tests/ops/test_train.py``). Beside the checkpoint
lie ``.resume`` (everything needed to go on) and ``.csv`` (one row per step).

Several processes may train together (``bonectl.learning.ranks``): each runs this loop on its part of every batch, and
the leading one writes. Whatever decides how the loop goes on, a signal or a trial of the network, is told to all.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bonectl.core import atomic, kit, memory, progress
from bonectl.core.header import VOLUME, Header
from bonectl.core.spec import Spec, parse
from bonectl.errors import MemoryShortageError, MissingInputError, UsageError
from bonectl.learning.agreement import agree
from bonectl.learning.checkpoint import Checkpoint, Normalisation
from bonectl.learning.denoiser import Denoiser
from bonectl.learning.ranks import joined
from bonectl.learning.sample import Pairing, Volume
from bonectl.training import curves
from bonectl.training.learner import Estimates, Learner, Task
from bonectl.training.objective import Objective
from bonectl.training.patches import Batches, Patches
from bonectl.training.recipe import Recipe
from bonectl.training.rows import Rows, Scans
from bonectl.training.saving import Bystander, Keeper, Keeping, Saving
from bonectl.training.validation import Trial
from bonectl.training.volumes import opened


@dataclass(frozen=True, kw_only=True)
class Trained:
    """How a run ended.

    Parameters
    ----------
    steps : int
        Steps done in all.
    finished : bool
        False when it was asked to stop; ``resume`` goes on from there.
    before, now : Trial
        Of the held-out part: its input, and the network's last estimate of it.
    kept : int
        The step whose network is in the checkpoint.
    leads : bool
        Whether this process is the one that wrote.
    """

    steps: int
    finished: bool
    before: Trial
    now: Trial
    kept: int
    leads: bool = True

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio [dB] of the estimate; the peak is the normalisation's scale."""
        return self.now.psnr

    @property
    def psnr_input(self) -> float:
        """The same of the input [dB]."""
        return self.before.psnr


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
    compiled: bool = False,
    stop: Callable[[], bool] = never,
) -> Trained:
    """Train a model and keep it in a file; under ``torchrun``, together with its other processes.

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
    compiled : bool
        Whether ``torch.compile`` makes machine code of the network first.
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
    UnavailableError
        There is no such device, no compiler, no TensorBoard, or another process of the run ended.
    WriteError
        A disk is full; what was saved before is whole.
    MemoryShortageError
        The patches of a step do not fit into memory.
    """
    atomic.check(saving.output, force=saving.force or saving.resume)
    if saving.tensorboard is not None:
        curves.writer()  # refuses before the work
    model, pairs = _with_defaults("models", recipe.model), _with_defaults("pairings", recipe.pairs)
    with joined(device_name) as ranks, opened([*inputs, *targets]) as volumes:
        objective = Objective(recipe.loss, recipe.steps, balanced=recipe.balance, seed=recipe.seed, ranks=ranks)
        source = _source(model, pairs, volumes[: len(inputs)], volumes[len(inputs) :])
        task = Task(
            recipe=recipe,
            model=model,
            pairs=pairs,
            normalisation=_normalisation(source.headers, volumes[: len(inputs)], normalisation),
            headers=source.headers,
            stacks=tuple(Path(volume.name).name for volume in volumes),
            start=None if start is None else Checkpoint.load(start),
            world=ranks.world,
        )
        learner = Learner(task, objective, ranks, compiled=compiled)
        batches = _batches(source, learner)
        examiner = _Examiner(learner, batches, bone=_tells_bone(source, recipe))
        if saving.resume:
            _restore(learner, saving)
        with progress.silence() if not ranks.leads else nullcontext(), _within_memory():
            return _loop(learner, batches, examiner, saving, stop)


@contextmanager
def _within_memory() -> Iterator[None]:
    """Say what to do where memory does not suffice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not memory.is_shortage(error):
            raise
        raise MemoryShortageError(
            "no memory for the patches of a step; give a smaller --batch, --run or --patch, or a smaller model"
        ) from error


def _loop(
    learner: Learner, batches: Batches, examiner: "_Examiner", saving: Saving, stop: Callable[[], bool]
) -> Trained:
    """Train to the end, until asked to stop, or until it is in vain."""
    steps, ranks, patience = learner.recipe.steps, learner.ranks, learner.patience
    before, now = examiner.first()
    keeper: Keeping = Keeper(learner, saving, before) if ranks.leads else Bystander()
    stopped = False
    with keeper, progress.task("train", steps, "step") as advance:
        if learner.step:
            advance(learner.step)
        begun, slices = time.monotonic(), 0
        for batch in batches.from_step(learner.step, learner.step if patience.over else steps):
            step = learner.advance(batch)
            stopped, due = ranks.any(stop()), learner.step % saving.every == 0 or learner.step == steps
            if due:
                now = examiner.trial()
                learner.history.append((learner.step, now.psnr, now.composite))
            keeper.row(step, now if due else None)
            if due or stopped:
                best = patience.hear(now.composite, learner.step) if due else patience.keeps_newest
                keeper.save(now, best=best)
            slices += batches.batch * batches.run * ranks.world
            speed = f"{slices / (time.monotonic() - begun):.0f} patches/s"
            terms = {name: f"{value:.3g}" for name, value in step.score.values.items()}
            advance(1, loss=f"{step.score.loss:.4g}", **terms, psnr=f"{now.psnr:.2f} dB", speed=speed)
            if stopped or patience.over:
                break
        keeper.draw(examiner.estimates)
    return Trained(
        steps=learner.step,
        finished=patience.over or learner.step >= steps,
        before=before,
        now=now,
        kept=patience.step if patience.trials and patience.step else learner.step,
        leads=ranks.leads,
    )


class _Examiner:
    """Tries the averaged network on the held-out part; the leading process does, and tells the others.

    Parameters
    ----------
    learner : Learner
    batches : Batches
    bone : bool
        Whether the targets tell bone numbers.
    """

    def __init__(self, learner: Learner, batches: Batches, *, bone: bool) -> None:
        self.learner = learner
        self.batches = batches
        self.bone = bone
        self.estimates = Estimates(noisy=(), made=(), clean=())

    def first(self) -> tuple[Trial, Trial]:
        """Try the input itself, and the network as it is."""
        now = self.trial()
        return self._told(lambda: Trial.of(self.estimates.noisy, self.estimates.clean, bone=self.bone)), now

    def trial(self) -> Trial:
        """Try the network."""

        def tried() -> Trial:
            self.estimates = self.learner.estimates(self.batches.validation())
            return Trial.of(self.estimates.made, self.estimates.clean, bone=self.bone)

        return self._told(tried)

    def _told(self, tried: Callable[[], Trial]) -> Trial:
        ranks = self.learner.ranks
        numbers = tried().numbers if ranks.leads else [0.0] * Trial.count(bone=self.bone)
        return Trial.from_numbers(ranks.told(numbers))


def _source(model: Spec, pairs: Spec, inputs: Sequence[Volume], targets: Sequence[Volume]) -> Pairing | Scans:
    """Pair what is learned from: volumes by a pairing, or scans for the method that learns from them.

    Raises
    ------
    UsageError
        They are no pairs.
    """
    if kit.fact("models", model.name, "LEARNS") != "scans":
        pairing: Pairing = kit.bind("pairings", pairs)(inputs, targets)
        return pairing
    if pairs.name != "supervised":
        raise UsageError(
            f"{model.name} learns from scans and the volumes they are scans of, not from {pairs}; leave out --pairs"
        )
    return Scans(inputs, targets)


def _batches(source: Pairing | Scans, learner: Learner) -> Batches:
    """Cut batches out of what is learned from."""
    normalisation, recipe, ranks = learner.task.normalisation, learner.recipe, learner.ranks
    if isinstance(source, Scans):
        return Rows(source, normalisation, recipe, ranks)
    assert isinstance(learner.network, Denoiser)  # whatever else there is to train learns from scans
    return Patches(source, normalisation, learner.network.reach, recipe, ranks)


def _tells_bone(source: Pairing | Scans, recipe: Recipe) -> bool:
    """Return whether bone numbers can be read off the targets.

    Raises
    ------
    UsageError
        The recipe's patience needs them, and they cannot.
    """
    tells = source.clean and all(header.axes == VOLUME for header in source.headers)
    if recipe.patience and not tells:
        raise UsageError(
            f"--patience judges by bone numbers of clean volumes, and {recipe.pairs} has no such targets; leave it out"
        )
    return tells


def _restore(learner: Learner, saving: Saving) -> None:
    """Go back to where the run stopped.

    Raises
    ------
    MissingInputError
        The best checkpoint, which only that file holds, is gone.
    """
    learner.restore(saving.beside("resume"))
    if learner.patience.trials and learner.patience.step and not saving.output.exists():
        raise MissingInputError(f"{saving.output}: the best checkpoint so far is gone; train anew without --resume")


def _with_defaults(name: str, text: str) -> Spec:
    """Write every knob out, so that a later default does not change what a checkpoint means."""
    spec = parse(text)
    kit.check(name, [spec])
    return Spec(spec.name, {**kit.describe(name, spec.name).knobs, **spec.knobs})


def _normalisation(
    headers: Sequence[Header], inputs: Sequence[Volume], given: tuple[float, float] | None
) -> Normalisation:
    """Return the one map that all stacks share.

    Raises
    ------
    UsageError
        They do not share one.
    """
    first, apart = headers[0], len(inputs) // len(headers)  # noise2inverse has a header for a group of inputs
    for number, header in enumerate(headers):
        agree(first, inputs[0].name, header, inputs[number * apart].name)
    if given is not None:
        return Normalisation(first.unit, *given)
    return Normalisation.of(first)
