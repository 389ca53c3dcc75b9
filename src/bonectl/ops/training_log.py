"""What happened at every step of a training run, as a CSV file."""

import csv
from pathlib import Path
from typing import TextIO

from bonectl.ops.learner import Step
from bonectl.ops.objective import Objective


class Log:
    """A CSV file with a row per step.

    Loss; value of each term, its share of the gradient at the estimate and its weight; loss of each critic; norm of the
    gradient of the weights, learning rate, and PSNR where it was measured. A field is empty where a term did not act.

    Parameters
    ----------
    path : Path
        Rows up to ``step`` of an older file are kept.
    objective : Objective
        Its terms are the columns.
    step : int
        Steps done before.
    """

    def __init__(self, path: Path, objective: Objective, step: int) -> None:
        self.terms, self.critics = objective.names, objective.critics
        self._path, self._kept = path, _rows(path, step) if step else []
        self._file: TextIO | None = None

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *failure: object) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self) -> TextIO:
        """Begin the file with its head and the rows of before; nothing is written until there is a row."""
        columns = [column for term in self.terms for column in (term, f"share of {term}", f"weight of {term}")]
        columns += [f"critic of {term}" for term in self.critics]
        file = self._path.open("w", newline="", encoding="utf-8")
        head = ["step", "loss", *columns, "gradient norm", "learning rate", "held-out PSNR [dB]"]
        csv.writer(file, lineterminator="\n").writerows([head, *self._kept])
        return file

    def row(self, number: int, step: Step, rate: float, psnr: float | None) -> None:
        """Write one step, by its number from 1."""
        score = step.score
        terms = [facts.get(term, "") for term in self.terms for facts in (score.values, score.shares, score.weights)]
        critics = [step.critics.get(term, "") for term in self.critics]
        self._file = self._file or self._open()
        row = [number, score.loss, *terms, *critics, step.norm, rate, "" if psnr is None else psnr]
        csv.writer(self._file, lineterminator="\n").writerow(row)


def _rows(path: Path, step: int) -> list[list[str]]:
    """Return the rows of an older log up to a step."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    return [row for row in rows if row and row[0].isdigit() and int(row[0]) <= step]
