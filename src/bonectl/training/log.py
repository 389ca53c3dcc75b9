"""What happened at every step of a training run, as a CSV file."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from bonectl.core import atomic
from bonectl.learning.checkpoint import Normalisation
from bonectl.training.learner import Step
from bonectl.training.objective import Objective
from bonectl.training.validation import Trial

PSNR, COMPOSITE = "held-out PSNR [dB]", "held-out composite [1]"


class Log:
    """A CSV file with a row per step.

    Loss; value of each term, its share of the gradient at the estimate and its weight; loss of each critic; norm of the
    gradient of the weights, learning rate; and, where the network was tried on the held-out part, PSNR, errors of
    bone numbers and their composite (``bonectl.training.validation``). A field is empty where a term did not act, or
    nothing was measured.

    Parameters
    ----------
    path : Path
        Rows up to ``step`` of an older file are kept.
    objective : Objective
        Its terms are the columns.
    normalisation : Normalisation
        Gives errors of densities their unit.
    step : int
        Steps done before.
    """

    def __init__(self, path: Path, objective: Objective, normalisation: Normalisation, step: int) -> None:
        self.terms, self.critics = objective.names, objective.critics
        self.normalisation = normalisation
        columns = [column for term in self.terms for column in (term, f"share of {term}", f"weight of {term}")]
        columns += [f"critic of {term}" for term in self.critics]
        self.head = ["step", "loss", *columns, "gradient norm", "learning rate", *self._tried(None)]
        self._path, self._kept = path, rows(path, self.head, step)
        self._file: TextIO | None = None

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *failure: object) -> None:
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as error:
            if not failure[0]:  # an error that is under way already says more
                raise atomic.failure(self._path, error, "") from error

    def row(self, number: int, step: Step, rate: float, trial: Trial | None) -> dict[str, float]:
        """Write one step, by its number from 1; returns what there was to write, by column, without the number."""
        score = step.score
        facts = {"loss": score.loss, "gradient norm": step.norm, "learning rate": rate, **score.values}
        facts |= {f"share of {term}": share for term, share in score.shares.items()}
        facts |= {f"weight of {term}": weight for term, weight in score.weights.items()}
        facts |= {f"critic of {term}": loss for term, loss in step.critics.items()}
        facts |= {} if trial is None else self._tried(trial)
        try:
            self._file = self._file or self._begun()
            csv.writer(self._file, lineterminator="\n").writerow([number, *(facts.get(c, "") for c in self.head[1:])])
        except OSError as error:
            raise atomic.failure(self._path, error, "") from error
        return facts

    def flush(self) -> None:
        """Let all rows reach the file."""
        try:
            if self._file is not None:
                self._file.flush()
        except OSError as error:
            raise atomic.failure(self._path, error, "") from error

    def _begun(self) -> TextIO:
        """Begin the file with its head and the rows of before; nothing is written until there is a row."""
        with (
            atomic.replacing(self._path, left="") as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            csv.writer(file, lineterminator="\n").writerows([self.head, *self._kept])
        return self._path.open("a", newline="", encoding="utf-8")

    def _tried(self, trial: Trial | None) -> dict[str, float]:
        """Columns of a trial, with its numbers; those without a value stay empty."""
        unit, scale = self.normalisation.unit, self.normalisation.scale
        names = (
            "held-out BV/TV error [1]",
            "held-out Euler number error [1]",
            f"held-out BMD error [{unit}]",
            f"held-out W1 [{unit}]",
            COMPOSITE,
        )
        if trial is None:
            return dict.fromkeys((PSNR, *names), 0.0)
        if trial.bone is None:
            return {PSNR: trial.psnr}
        bone = trial.bone
        errors = (bone.bvtv, bone.euler, bone.bmd * scale, bone.w1 * scale, bone.composite)
        return {PSNR: trial.psnr, **dict(zip(names, errors, strict=True))}


def rows(path: Path, head: list[str], last: int) -> list[list[str]]:
    """Return the whole rows of an older log with the same columns, up to a step."""
    if not last or not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.reader(file))
    return [row for row in found if len(row) == len(head) and row[0].isdigit() and int(row[0]) <= last]


def columns(path: Path) -> Mapping[str, list[tuple[int, float]]]:
    """Return the curves of a log: (step, value) wherever there is a value, by column."""
    with path.open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    names = [name for name in (table[0] if table else {}) if name != "step"]
    return {name: [(int(row["step"]), float(row[name])) for row in table if row[name]] for name in names}
