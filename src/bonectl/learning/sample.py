"""What a training step looks at: where a patch lies, the pair cut there, and what a loss may see."""

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bonectl.core.header import Header
from bonectl.errors import DataError, UsageError

T = TypeVar("T")


def need(value: T | None, what: str) -> T:
    """Return the value, or say which pairing gives it.

    Raises
    ------
    UsageError
        The value is None.
    """
    if value is None:
        raise UsageError(f"this loss needs {what}; choose pairs that give it")
    return value


@dataclass(frozen=True, eq=False, kw_only=True)
class Sample:
    """An estimate and what is known besides; each loss takes what it needs.

    Parameters
    ----------
    estimate : Tensor, (b, z, y, x)
        What the model made: b runs of z consecutive slices, normalised units (0 is no mineral, 1 is one
        ``Normalisation.scale``).
    clean : Tensor, (b, z, y, x), optional
        The same voxels as they should be, when the pairing gives a target.
    noisy : Tensor, (b, z, y, x), optional
        The same voxels as the model saw them.
    step : int
        How many steps were taken before.
    """

    estimate: Tensor
    clean: Tensor | None = None
    noisy: Tensor | None = None
    step: int = 0

    @property
    def target(self) -> Tensor:
        """The clean values; UsageError where the pairing gives none."""
        return need(self.clean, "a target")


class Values(Protocol):
    """An array, or what reads one from a file: slices by number or by range, and ranges of their rows and columns."""

    def __getitem__(self, place: Any, /) -> NDArray[Any]: ...


@dataclass(frozen=True, eq=False)
class Volume:
    """A stack that can be read anywhere: an array, or a file of one, and its header.

    Parameters
    ----------
    values : Values, (z, y, x)
        In the header's unit; any real type, converted when a patch is cut.
    header : Header
        What the values mean.
    name : str
        How messages call it.
    """

    values: Values
    header: Header
    name: str

    def slices(self, numbers: NDArray[np.intp] | slice) -> NDArray[np.float32]:
        """Return whole slices as float32, (n, y, x).

        Raises
        ------
        DataError
            A value lies beyond float32.
        """
        return self._single(self.values[numbers])

    def crop(self, slices: NDArray[np.intp], patch: "Patch") -> NDArray[np.float32]:
        """Return the given slices of a patch as float32, (len(slices), side, side); DataError as :meth:`slices`."""
        rows = slice(patch.row, patch.row + patch.side)
        columns = slice(patch.column, patch.column + patch.side)
        return self._single(self.values[slices, rows, columns])

    def _single(self, values: NDArray[Any]) -> NDArray[np.float32]:
        most = np.finfo(np.float32).max
        if values.dtype == np.float64 and (beyond := values[np.abs(values) > most]).size:
            raise DataError(f"{self.name}: {beyond[0]:.4g} is beyond float32 (±{most:.4g}), in which networks compute")
        return np.asarray(values, dtype=np.float32)


@dataclass(frozen=True)
class Patch:
    """Where a patch lies: ``depth`` slices from ``first`` on, ``side`` × ``side`` pixels from (row, column).

    ``begin`` and ``end`` bound the slices that may be read at all: the context of a patch repeats the outermost
    of them, so that training never sees a slice that is held out.
    """

    volume: int
    first: int
    depth: int
    row: int
    column: int
    side: int
    begin: int
    end: int

    def slices(self, context: int) -> NDArray[np.intp]:
        """Return the slice numbers of the patch with ``context`` neighbours on either side."""
        numbers = np.arange(self.first - context, self.first + self.depth + context)
        return np.clip(numbers, self.begin, self.end - 1)


class Pairing(Protocol):
    """How a training pair is made: volumes that belong together, and the patches cut from them."""

    @property
    def headers(self) -> tuple[Header, ...]:
        """One header for each volume that patches may be drawn from."""
        ...

    @property
    def clean(self) -> bool:
        """Whether targets are free of the noise that is to be learned, so that bone numbers may be read off them."""
        ...

    def cut(
        self, patch: Patch, context: int, random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Cut a pair.

        Parameters
        ----------
        patch : Patch
            Where.
        context : int
            Neighbouring slices the model needs on either side.
        random : numpy.random.Generator
            For pairings that draw; keyed by (seed, step, index).

        Returns
        -------
        tuple of NDArray, (depth + 2 * context, side, side) and (depth, side, side)
            Input and target, in the volumes' unit.
        """
        ...
