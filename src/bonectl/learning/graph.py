"""A denoiser as a graph in ONNX, which other software runs without bonectl.

The scale of the data is part of the graph: values go in and come out in the unit of the training data, so whoever runs
it cannot leave the calibration out. A slice goes in between its neighbours, as channels, and may have any size.
"""

import io
import json
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bonectl.errors import UnavailableError
from bonectl.learning.checkpoint import Normalisation
from bonectl.learning.denoiser import Denoiser
from bonectl.learning.tiles import round_up

# Version of ONNX's operators: the newest of torch's tracing exporter that runtimes of 2023 know too.
OPSET = 17

# What the tensors are called.
INPUT, OUTPUT = "volume", "estimate"


class Graph(nn.Module):
    """Denoises one slice between its neighbours, in the unit of the data.

    Parameters
    ----------
    network : Denoiser
    normalisation : Normalisation
        Of the data.
    """

    def __init__(self, network: Denoiser, normalisation: Normalisation) -> None:
        super().__init__()
        self.network = network
        self.normalisation = normalisation

    def forward(self, volume: Tensor) -> Tensor:
        """Map (b, 2 * reach.slices + 1, y, x) to (b, 1, y, x); any y and x."""
        rows, columns = volume.shape[2], volume.shape[3]
        context, grid = self.network.reach.slices, self.network.reach.grid
        # As `bonectl.learning.tiles.padded`, by indices: ONNX has no padding by a length that depends on the input.
        below = torch.arange(round_up(rows, grid), device=volume.device).clamp(max=rows - 1)
        right = torch.arange(round_up(columns, grid), device=volume.device).clamp(max=columns - 1)
        u = self.normalisation.normalised(volume.index_select(2, below).index_select(3, right))
        middle = slice(context, context + 1)
        correction = (self.network(u) - u[:, middle]) * self.normalisation.scale
        estimate: Tensor = volume[:, middle] + correction[:, :, :rows, :columns]
        return estimate


def exported(graph: Graph, facts: Mapping[str, Any]) -> bytes:
    """Return a graph as a file in ONNX.

    Parameters
    ----------
    graph : Graph
    facts : mapping
        JSON values that the file holds as its metadata, each by its name.

    Raises
    ------
    UnavailableError
        The package onnx is not installed.
    """
    onnx = package("onnx")
    reach = graph.network.reach
    sides = [round_up(side, reach.grid) + 1 for side in (32, 48)]  # sides that are padded, and not alike
    drawn = traced(graph.eval(), torch.zeros(1, 2 * reach.slices + 1, *sides))
    model = onnx.load_model_from_string(drawn)
    words = {name: fact if isinstance(fact, str) else json.dumps(fact) for name, fact in facts.items()}
    onnx.helper.set_model_props(model, words)
    onnx.checker.check_model(model)
    whole: bytes = model.SerializeToString(deterministic=True)
    return whole


def traced(module: nn.Module, example: Tensor) -> bytes:
    """Return what a module does with (b, channels, y, x) in ONNX, for any b, y and x, by what it does with an example.

    Parameters
    ----------
    module : nn.Module
        Not in training.
    example : Tensor, (b, channels, y, x)
        Of sides that are not alike, so that no one is taken for the other.
    """
    free = {0: "b", 2: "y", 3: "x"}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing: what it takes for constant is constant here
        torch.onnx.export(
            module,
            (example,),
            file,  # type: ignore[arg-type]  # torch's annotation forgets it
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: free, OUTPUT: free},
        )
    return file.getvalue()


def run(model: bytes, volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what onnxruntime makes of (b, channels, y, x), on the CPU.

    Raises
    ------
    UnavailableError
        The package onnxruntime is not installed.
    """
    runtime = package("onnxruntime")
    session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    answer: NDArray[np.float32] = session.run([OUTPUT], {INPUT: volume})[0]
    return answer


def package(name: str) -> Any:
    """Return a package of the extra ``onnx``.

    Raises
    ------
    UnavailableError
        It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise UnavailableError(
            f"export needs the package {name}, which is not installed; install 'bonectl[onnx]'"
        ) from error
