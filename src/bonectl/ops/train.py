"""Learn to denoise: volumes and a recipe in, a checkpoint out.

One loop. Every batch is a function of (seed, step), so a run that was stopped and resumed gives the same
bytes as one that was not (on one CPU type and number of threads; ``tests/ops/test_train.py``). Beside the checkpoint
lie ``.resume`` (everything needed to go on) and ``.csv`` (one row per step).

Several processes may train together (``bonectl.learning.ranks``): each runs this loop on its part of every batch, and
the leading one writes. Whatever decides how the loop goes on, a signal or a trial of the network, is told to all.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from bonectl.core import atomic, memory, progress
from bonectl.core.cost import Cost
from bonectl.errors import MemoryShortageError, MissingInputError, WriteError
from bonectl.learning.ranks import joined
from bonectl.learning.sample import Volume
from bonectl.ops import teaching
from bonectl.ops.denoise import Model
from bonectl.training import curves
from bonectl.training.learner import Estimates, Learner
from bonectl.training.patches import Batches
from bonectl.training.plan import Plan
from bonectl.training.request import Request
from bonectl.training.saving import Bystander, Keeper, Keeping, Saving
from bonectl.training.validation import Trial
from bonectl.training.volumes import opened

# Batches that are looked at before the first step.
LOOKED_AT = 4


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


def train(request: Request, *, stop: Callable[[], bool] = never) -> Trained:
    """Train a model and keep it in a file; under ``torchrun``, together with its other processes.

    Parameters
    ----------
    request : Request
        What to train on, how, and where the result goes.
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
    with (
        _planned(request) as (untaught, models, inputs),
        progress.silence() if not untaught.ranks.leads else nullcontext(),
        _within_memory(),
        teaching.taught(untaught, models, inputs) as plan,
    ):
        learner, batches = plan.begun()
        examiner = _Examiner(learner, batches, bone=plan.tells_bone)
        if request.saving.resume:
            _restore(learner, request.saving)
        learner.look(list(batches.from_step(0, LOOKED_AT)))
        return _loop(learner, batches, examiner, request.saving, stop)


def estimated(request: Request) -> tuple[dict[str, object], Cost]:
    """What a run will do, and what it takes: a step and a trial are done now, and nothing is written.

    Parameters
    ----------
    request : Request

    Raises
    ------
    BonectlError
        As `train`.
    """
    with _planned(request) as (plan, models, _), progress.silence(), _within_memory():
        return plan.facts(), teaching.cost(plan, models)


@contextmanager
def _planned(request: Request) -> Iterator[tuple[Plan, tuple[Model, ...], list[Volume]]]:
    """The plan of a run, its teachers and its inputs, while its stacks are open and its other processes there."""
    atomic.check(request.saving.output, force=request.saving.force or request.saving.resume)
    if request.saving.tensorboard is not None:
        curves.writer()  # refuses before the work
    with joined(request.device_name) as ranks, opened([*request.inputs, *request.targets], request.mending) as volumes:
        with progress.silence() if not ranks.leads else nullcontext():
            models = teaching.teachers(request)
            plan = Plan.of(request, volumes, ranks, teaching.lessons(request, models))
            teaching.check(plan, models)
        yield plan, models, volumes[: len(request.inputs)]


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


@contextmanager
def _rescued(keeper: Keeping) -> Iterator[None]:
    """Save the state before a failure goes its way; one of writing is told by what failed to write."""
    try:
        yield
    except WriteError:
        raise
    except Exception:
        keeper.rescue()
        raise


def _loop(
    learner: Learner, batches: Batches, examiner: "_Examiner", saving: Saving, stop: Callable[[], bool]
) -> Trained:
    """Train to the end, until asked to stop, or until it is in vain."""
    steps, ranks, patience = learner.recipe.steps, learner.ranks, learner.patience
    before, now = examiner.first()
    keeper: Keeping = Keeper(learner, saving, before) if ranks.leads else Bystander()
    stopped = False
    with keeper, _rescued(keeper), progress.task("train", steps, "step") as advance:
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
