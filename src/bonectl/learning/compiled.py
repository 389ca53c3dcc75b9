"""A network as OpenVINO computes it: the same map, on a CPU in less time.

torch runs one operator after another, and each reads and writes the whole tile; OpenVINO makes one graph of them and
joins what can be joined. The graph is the network alone, in normalised units: tiles, halo and scale stay those of
`bonectl denoise`. Sums are joined otherwise than torch joins them, so the last digits differ
(``tests/learning/test_compiled.py``: at most 1e-5 of what the network changes).
"""

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from bonectl.core import threads
from bonectl.errors import UnavailableError
from bonectl.learning import graph
from bonectl.learning.denoiser import Denoiser
from bonectl.learning.tiles import round_up

# Side of the picture by which a network is traced [pixels]; any other may follow.
TRACED = 32


class Compiled(Denoiser):
    """A network that OpenVINO computes, on the CPU.

    It is compiled once for every shape of a tile, when the first one comes: 0.1 s each.

    Parameters
    ----------
    network : Denoiser
        Trained, on the CPU.

    Raises
    ------
    UnavailableError
        The package openvino is not installed.
    """

    def __init__(self, network: Denoiser) -> None:
        super().__init__(network.reach)
        self.network = network.eval()
        self._core = _openvino().Core()
        self._graphs: dict[int, bytes] = {}
        self._requests: dict[torch.Size, Any] = {}

    def forward(self, volume: Tensor) -> Tensor:
        """Estimate the inner slices of a slab, as the network does."""
        if volume.shape not in self._requests:
            self._requests[volume.shape] = self._compiled(volume.shape)
        (answer,) = self._requests[volume.shape].infer([volume.contiguous().numpy()]).values()
        return torch.from_numpy(answer)

    def _compiled(self, shape: torch.Size) -> Any:
        """What computes tiles of one shape, with as many threads as everything else."""
        model = self._core.read_model(self._graph(shape[1]))
        model.reshape(list(shape))
        settings = {
            "INFERENCE_NUM_THREADS": threads.count(),
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 where the processor has it, with two digits
            "EXECUTION_MODE_HINT": "ACCURACY",
        }
        return self._core.compile_model(model, "CPU", settings).create_infer_request()

    def _graph(self, depth: int) -> bytes:
        """The network for slabs of so many slices, neighbours included."""
        if depth not in self._graphs:
            side = round_up(TRACED, self.reach.grid)
            self._graphs[depth] = graph.traced(self.network, torch.zeros(1, depth, side, side + self.reach.grid))
        return self._graphs[depth]


def _openvino() -> Any:
    """The package."""
    try:
        return import_module("openvino")
    except ImportError as error:
        raise UnavailableError(
            "the engine openvino needs the package of that name, which is not installed; install 'bonectl[openvino]', "
            "or leave --engine away"
        ) from error
