"""Where a training run is kept: the checkpoint, the state to resume from, the log, the curves, the picture."""

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bonectl.core import atomic, progress
from bonectl.errors import BonectlError, UsageError
from bonectl.training.curves import Curves
from bonectl.training.learner import Estimates, Learner, Step
from bonectl.training.log import Log
from bonectl.training.validation import Trial


@dataclass(frozen=True, kw_only=True)
class Saving:
    """Where a run is kept.

    Parameters
    ----------
    output : Path
        The checkpoint; ``.resume``, ``.csv`` and ``.png`` lie beside it.
    every : int
        Steps between checkpoints, each with a trial of the network on the held-out part.
    force : bool
        Replace an existing output.
    resume : bool
        Go on from the ``.resume`` file.
    picture : bool
        Whether to draw curves and a sample when the run ends (``bonectl.training.picture``).
    tensorboard : Path, optional
        Folder for TensorBoard's event files (``bonectl.training.curves``).

    Raises
    ------
    UsageError
        ``every`` is below 1.
    """

    output: Path
    every: int = 500
    force: bool = False
    resume: bool = False
    picture: bool = True
    tensorboard: Path | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise UsageError(f"a checkpoint every {self.every} steps; it must be at least 1")

    def beside(self, suffix: str) -> Path:
        """Return a file beside the checkpoint, ``x.safetensors`` → ``x.safetensors.resume``."""
        return self.output.with_name(f"{self.output.name}.{suffix}")


class Keeping(Protocol):
    """What a training loop tells about itself."""

    def __enter__(self) -> "Keeping": ...

    def __exit__(self, *failure: object) -> None: ...

    def row(self, step: Step, trial: Trial | None) -> None:
        """Take what a step was like, and the trial after it, if there was one."""
        ...

    def save(self, trial: Trial, *, best: bool) -> None:
        """Save the state, and the network too if it is the best."""
        ...

    def rescue(self) -> None:
        """Save the state after a failure, if it can be gone on from."""
        ...

    def draw(self, estimates: Estimates) -> None:
        """Draw the run so far."""
        ...


class Keeper:
    """Keeps a run in files.

    Parameters
    ----------
    learner : Learner
    saving : Saving
    before : Trial
        Of the held-out input.
    """

    def __init__(self, learner: Learner, saving: Saving, before: Trial) -> None:
        self.learner = learner
        self.saving = saving
        self.before = before
        self._saved = learner.step  # the last step that --resume can go on from
        self._open = ExitStack()
        self._log = Log(saving.beside("csv"), learner.objective, learner.task.normalisation, learner.step)
        self._curves = None if saving.tensorboard is None else Curves(saving.tensorboard, learner.step)

    def __enter__(self) -> "Keeper":
        self._open.enter_context(self._log)
        if self._curves is not None:
            self._open.enter_context(self._curves)
        return self

    def __exit__(self, *failure: object) -> None:
        self._open.close()

    def row(self, step: Step, trial: Trial | None) -> None:
        """Write what a step was like, and the trial after it."""
        number = self.learner.step
        row = self._log.row(number, step, self.learner.recipe.learning_rate(number - 1), trial)
        if self._curves is not None:
            self._curves.add(number, row)

    def save(self, trial: Trial, *, best: bool) -> None:
        """Write the checkpoint and the state: whatever a state takes for granted is there, log included.

        Both are on the disk before the first has its name, so that a full disk leaves no checkpoint without a state.
        """
        self._log.flush()
        left = f"step {self._saved} is saved, and --resume goes on from there" if self._saved else "nothing was saved"
        with atomic.replacing(self.saving.beside("resume"), left=left) as state:
            self.learner.save(state)
            atomic.settle(state)
            if best:
                whole = self.learner.checkpoint(self.before, trial).packed()
                with atomic.replacing(self.saving.output, left=left) as checkpoint:
                    checkpoint.write_bytes(whole)
        self._saved = self.learner.step

    def rescue(self) -> None:
        """Write the state of the last whole step, which is newer than what is saved; a failure to is not told."""
        if self.learner.torn or self.learner.step == self._saved:
            return
        with suppress(BonectlError, OSError):
            self._log.flush()
            with atomic.replacing(self.saving.beside("resume")) as state:
                self.learner.save(state)
            self._saved = self.learner.step
            progress.note(f"step {self._saved} is saved, and --resume goes on from there")

    def draw(self, estimates: Estimates) -> None:
        """Write the picture, if one is wanted."""
        self._log.flush()
        if not self.saving.picture:
            return
        from bonectl.training.picture import picture

        drawn = picture(self.saving.beside("csv"), estimates, self.learner, self.before)
        with atomic.replacing(self.saving.beside("png"), left="the checkpoint is saved") as temporary:
            temporary.write_bytes(drawn)


class Bystander:
    """Keeps nothing: for the processes of a run that do not lead."""

    def __enter__(self) -> "Bystander":
        return self

    def __exit__(self, *failure: object) -> None:
        pass

    def row(self, step: Step, trial: Trial | None) -> None:
        """Nothing is written."""

    def save(self, trial: Trial, *, best: bool) -> None:
        """Nothing is written."""

    def rescue(self) -> None:
        """Nothing is written."""

    def draw(self, estimates: Estimates) -> None:
        """Nothing is drawn."""
