"""Curves of a training run for TensorBoard, which is installed only where it is wanted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bonectl.errors import UnavailableError


def writer() -> type[Any]:
    """Return the class that writes event files.

    Raises
    ------
    UnavailableError
        TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UnavailableError(
            "--tensorboard needs the package tensorboard, which is not installed; install 'bonectl[tensorboard]', or "
            "leave it out: the .csv has the same numbers"
        ) from error
    return SummaryWriter


class Curves:
    """Writes every number of the log as a scalar, in an event file of its own.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    step : int
        Steps done before; curves of an older run beyond it are dropped by TensorBoard.

    Raises
    ------
    UnavailableError
        TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._writer = writer()(str(folder), purge_step=step + 1)

    def __enter__(self) -> "Curves":
        return self

    def __exit__(self, *failure: object) -> None:
        self._writer.close()

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add the numbers of a step, by the columns of the log; TensorBoard groups names by their part before /."""
        for name, number in numbers.items():
            self._writer.add_scalar(name, number, step)
