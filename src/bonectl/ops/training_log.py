"""What happened at every step of a training run, as a CSV file."""

import csv
from collections.abc import Sequence
from pathlib import Path

from bonectl.ops.objective import Score


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
