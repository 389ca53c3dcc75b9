"""A projector and its transpose as one engine computes them, and where they are found.

An engine is a folder here: `numba`, `torch`, `triton`, `astra`. Each of its files, such as `projection.numba.fan` or
`projection.triton.cone`, has two functions ``project(tables, volume)`` and ``backproject(tables, scan)``; a mapping
from engine to `Pair` is all that operators need.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

Step = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True)
class Pair:
    """Two steps that take the tables of a geometry, and a volume or a scan (float32, contiguous) to the other.

    Parameters
    ----------
    project, backproject : callable
    """

    project: Step
    backproject: Step


def on_arrays(module: ModuleType) -> Pair:
    """The pair of a module whose functions take arrays: those of `projection.numba`."""
    return Pair(
        lambda tables, x: torch.from_numpy(module.project(tables, x.numpy())),
        lambda tables, y: torch.from_numpy(module.backproject(tables, y.numpy())),
    )


def on_tensors(name: str, prepared: Callable[[Any], Any] = lambda tables: tables) -> Pair:
    """The pair of a module for tensors, imported when it is first needed: triton is not installed everywhere.

    Parameters
    ----------
    name : str
        Engine and file, such as ``torch.joseph``.
    prepared : callable
        What the module's functions take in place of the tables, such as `projection.torch.joseph.fan_rays`.
    """

    def module() -> ModuleType:
        return import_module(f"bonectl.projection.{name}")

    return Pair(
        lambda tables, x: module().project(prepared(tables), x),
        lambda tables, y: module().backproject(prepared(tables), y),
    )


def each(pair: Pair) -> Pair:
    """The pair that does for a stack, one by one, what another does for its items."""
    return Pair(
        lambda tables, x: torch.stack([pair.project(tables, one) for one in x]),
        lambda tables, y: torch.stack([pair.backproject(tables, one) for one in y]),
    )
