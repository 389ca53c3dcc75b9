"""A projector and its transpose as one engine computes them, and where they are found.

Every module of an engine, such as `bonectl.projection.fan` or `bonectl.projection.triton_cone`, has two functions
``project(plan, volume)`` and ``backproject(plan, scan)``; a table from engine to `Pair` is all that operators need.
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
    """Two steps that take the plan of a geometry, and a volume or a scan (float32, contiguous) to the other.

    Parameters
    ----------
    project, backproject : callable
    """

    project: Step
    backproject: Step


def compiled(module: ModuleType) -> Pair:
    """The pair of a module whose functions take arrays: those compiled with numba."""
    return Pair(
        lambda plan, x: torch.from_numpy(module.project(plan, x.numpy())),
        lambda plan, y: torch.from_numpy(module.backproject(plan, y.numpy())),
    )


def named(name: str, prepared: Callable[[Any], Any] = lambda plan: plan) -> Pair:
    """The pair of a module for tensors, imported when it is first needed: triton is not installed everywhere.

    Parameters
    ----------
    name : str
        Of a module in `bonectl.projection`.
    prepared : callable
        What the module's functions take in place of the plan, such as `bonectl.projection.torch_joseph.fan_rays`.
    """

    def module() -> ModuleType:
        return import_module(f"bonectl.projection.{name}")

    return Pair(
        lambda plan, x: module().project(prepared(plan), x),
        lambda plan, y: module().backproject(prepared(plan), y),
    )


def each(pair: Pair) -> Pair:
    """The pair that does for a stack, one by one, what another does for its items."""
    return Pair(
        lambda plan, x: torch.stack([pair.project(plan, one) for one in x]),
        lambda plan, y: torch.stack([pair.backproject(plan, one) for one in y]),
    )
