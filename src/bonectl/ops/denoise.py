"""Remove noise from a volume: stack in, stack out, slab by slab.

The stream is cut into fixed blocks of slices, each read with the neighbours that the model looks at, and each block
into tiles with the model's halo: so neither the slabs that arrive nor the tiles change a value, and memory does not
grow with the volume. At the ends of the stack others of its slices stand in for the missing neighbours
(`Reach.within`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bonectl.core import kit, memory, progress, shipped
from bonectl.core.counted import counted
from bonectl.core.header import Header
from bonectl.core.slabs import Array, windows
from bonectl.core.spec import Spec, parse
from bonectl.core.stack import Stack
from bonectl.errors import DataError, MemoryShortageError, UsageError
from bonectl.learning import device
from bonectl.learning.agreement import TOLERANCE, scale
from bonectl.learning.checkpoint import Checkpoint, Normalisation
from bonectl.learning.denoiser import Denoiser, Reach, Trainable
from bonectl.learning.tiles import apply
from bonectl.learning.weights import shown
from bonectl.ops.denoise_watch import outside, watched
from bonectl.stacks.screening import single

# Slices per block. A CPU is fastest with one: what a layer leaves is still in its caches when the next one reads
# it (1.4 times the speed of four, bench/denoise.py). A GPU needs more to be busy.
BLOCK = {"cpu": 1, "cuda": 16}

# A model in three dimensions computes all slices of its context anew for every block: so a block of it is as long as
# the context on both sides, if that is more than this many slices.
LONG_CONTEXT = 8

# Side of a tile without its halo [pixels]; halved while memory does not suffice.
TILE = 512

# Beyond this ratio between the training data and the input, a note says so.
APART = 2.0


@dataclass(frozen=True, eq=False)
class Model:
    """A network ready to use.

    Parameters
    ----------
    network : Denoiser
    name : str
        Its spec.
    checkpoint : Checkpoint, optional
        What it was trained on; None for a filter that needs no training.
    anyway : bool
        Whether what lies outside of what it was validated for is denoised all the same.
    """

    network: Denoiser
    name: str
    checkpoint: Checkpoint | None = None
    anyway: bool = False

    @property
    def validated(self) -> Mapping[str, Any]:
        """What it was tried for (``Checkpoint.validated``); empty for one that nobody tried."""
        return {} if self.checkpoint is None else self.checkpoint.validated


def trained(path: Path) -> Model:
    """Load a checkpoint.

    Raises
    ------
    MissingInputError, PermissionDeniedError, DataError
        It cannot be read, or its weights do not fit its model.
    UsageError
        Its model reconstructs scans.
    """
    checkpoint = Checkpoint.load(shipped.found(path))
    try:
        spec = parse(checkpoint.model)
        with torch.device("meta"), _Undrawn():  # nothing is allocated before the weights are known to fit
            network = kit.bind("models", spec)()
        layouts = {name: parameter.stride() for name, parameter in network.named_parameters()}
        network.load_state_dict(dict(checkpoint.weights), strict=True, assign=True)
    except (RuntimeError, TypeError, ValueError, OverflowError, UsageError) as error:
        name, reason = shown(checkpoint.model, 60), shown(str(error))
        raise DataError(f"{path}: its weights do not fit its model {name} ({reason})") from error
    for name, parameter in network.named_parameters():  # laid out in memory as the model was built
        parameter.data = torch.empty_strided(parameter.shape, layouts[name], dtype=parameter.dtype).copy_(parameter)
    return Model(_denoiser(network, spec), checkpoint.model, checkpoint)


class _Undrawn(TorchFunctionMode):
    """Weights that are about to be replaced are not drawn first.

    On the device "meta" there is nothing to fill, and torch would load its compiler for it: a second, and a folder
    beside the temporary files that nobody removes.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init" or func in (Tensor.normal_, Tensor.uniform_):
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


def _denoiser(network: Trainable, spec: Spec) -> Denoiser:
    """Return a model that denoises.

    Raises
    ------
    UsageError
        It reconstructs.
    """
    if not isinstance(network, Denoiser):
        raise UsageError(
            f"{spec.name} reconstructs scans and denoises no volumes; use bonectl reconstruct --method "
            f"\"{spec.name}(weights='FILE')\""
        )
    return network


def untrained(text: str) -> Model:
    """Make a filter that needs no training, such as ``gaussian(sigma=1)``.

    Raises
    ------
    UsageError
        There is no such model or knob, or it needs training.
    """
    spec = parse(text)
    network = _denoiser(kit.bind("models", spec)(), spec)
    if network.learns:
        raise UsageError(f"{spec.name} must be trained first; give the checkpoint that `bonectl train` wrote")
    return Model(network, str(spec))


def denoise(stack: Stack, model: Model, *, device_name: str = "auto", tile: int = TILE) -> Stack:
    """Remove noise from a volume.

    Parameters
    ----------
    stack : Stack
        In the unit, and with about the voxel size, of the model's training data.
    model : Model
        See :func:`trained` and :func:`untrained`.
    device_name : str
        See ``bonectl.learning.device.choose``.
    tile : int
        Largest side of a tile without its halo [pixels]; changes speed and memory, not the result: on a CPU not a
        bit of it, as long as every layer sees more than 20,480 values of a tile. Below, torch rounds differently: by
        some 1e-6 of the scale.

    Returns
    -------
    Stack
        float32, the same unit, voxels and geometry.

    Raises
    ------
    UsageError
        Labels, or a unit or axes other than the model's.
    MemoryShortageError
        Even small tiles do not fit into memory.
    """
    if tile < 1:
        raise UsageError(f"tiles of {tile} pixels; the side must be positive")
    header = stack.header
    normalisation = normalisation_for(header, model)
    where = device.choose(device_name)
    network = model.network.to(where).eval()
    worker = Worker(network, normalisation, where, tile)
    passing = watched(stack, model.checkpoint, normalisation, anyway=model.anyway)
    return Stack(header.replace(dtype="<f4"), _blocks(passing, worker))


def _blocks(stack: Stack, worker: "Worker") -> Iterator[Array]:
    reach = worker.network.reach
    with progress.task("denoise", stack.header.shape[0]) as advance:
        for block in in_context(stack, block_size(worker.where, reach.slices), reach):
            answer = worker(block)
            yield answer
            advance(len(answer))


def in_context(stack: Stack, size: int, reach: Reach) -> Iterator[NDArray[np.float32]]:
    """Yield blocks of `size` slices with their neighbours on either side; `Reach.within` says what stands in for some.

    Raises
    ------
    UsageError
        A model that is blind to each slice would have to look at it, for want of neighbours.
    """
    total, context = stack.header.shape[0], reach.slices
    if reach.blind and total <= context:
        raise UsageError(
            f"the input has {counted(total, 'slice')}; the model needs {context + 1}, to tell each from others"
        )
    for slab, low, high in windows(single(stack, "the input").slabs, total, size, context):
        numbers = reach.within(np.arange(low - context, high + context), 0, len(slab))
        yield np.asarray(slab[numbers], dtype=np.float32)


def block_size(where: torch.device, context: int) -> int:
    """Return the slices per block, for a model that looks at `context` slices on either side."""
    return BLOCK[where.type] if context <= LONG_CONTEXT // 2 else max(16, 2 * context)


class Worker:
    """Denoises one block that carries its context slices.

    Parameters
    ----------
    network : Denoiser
        On the device, not in training.
    normalisation : Normalisation
        Of the data.
    where : torch.device
    tile : int
        Side of a tile without its halo [pixels]; halved when memory does not suffice.
    """

    def __init__(self, network: Denoiser, normalisation: Normalisation, where: torch.device, tile: int) -> None:
        self.network = network
        self.normalisation = normalisation
        self.where = where
        self.tile = tile
        # Filters without weights gain nothing from half precision and would lose digits.
        self.half = where.type == "cuda" and network.learns

    def __call__(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (z + 2 * context, y, x) to (z, y, x), both in the data's unit."""
        while True:
            try:
                return self._run(block)
            except (MemoryError, RuntimeError) as error:
                if not memory.is_shortage(error):
                    raise
                if self.network.reach.pixels is None or self.tile <= max(32, self.network.reach.grid):
                    raise MemoryShortageError(
                        f"no memory for tiles of {self.tile} pixels on {self.where}; use --device cpu, or a "
                        "smaller model"
                    ) from error
                self.tile //= 2

    @torch.inference_mode()
    def _run(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        values = torch.from_numpy(block).to(self.where)
        u = self.normalisation.normalised(values).unsqueeze(0)
        with torch.autocast(self.where.type, torch.bfloat16, enabled=self.half):
            estimate = apply(self.network, u, self.tile)
        context = self.network.reach.slices
        inner = slice(context, context + estimate.shape[1])
        # Only the correction goes through the scale: what the model leaves alone keeps every bit.
        correction: Tensor = (estimate - u[:, inner])[0] * self.normalisation.scale
        answer: NDArray[np.float32] = (values[inner] + correction).cpu().numpy()
        return answer


def normalisation_for(header: Header, model: Model) -> Normalisation:
    """Return the scale to use; refuse data the model does not know, and note what is far from it.

    Data whose calibration is not that of the training data (another energy) are scaled by their own: the same density
    is the same number to the network. Seen at the scale of 25 keV, bone of 60 keV would be a tenth of bone.

    Raises
    ------
    UsageError
        Labels, or a unit or axes other than the model's.
    """
    if header.unit == "label":
        raise UsageError("labels have no noise; denoise the grey values they were cut from")
    checkpoint = model.checkpoint
    if checkpoint is None:
        try:
            return Normalisation.of(header)
        except UsageError:
            return Normalisation(header.unit, 0.0, 1.0)
    known = checkpoint.normalisation
    if header.unit != known.unit:
        raise UsageError(
            f"the input is in {header.unit}, but {model.name} was trained on {known.unit}; reconstruct to "
            f"{known.unit}, or train on {header.unit}"
        )
    if header.axes != checkpoint.axes:
        raise UsageError(
            f"the input has axes {', '.join(header.axes)}, but the model was trained on "
            f"{', '.join(checkpoint.axes)}; convert with --order"
        )
    if checkpoint.validated:
        _check_voxels(header, model)
    _compare(header, checkpoint)
    return scale(header) if checkpoint.calibrated and header.calibration is not None else known


def _check_voxels(header: Header, model: Model) -> None:
    """Refuse voxels that a model was not validated for.

    Raises
    ------
    UsageError
        Their size is not known, or lies outside of the range.
    """
    least, most = model.validated["voxel_mm"]
    for axis, step in zip(header.axes, header.spacing, strict=True):
        if step is None:
            outside(f"the voxel size along {axis} is not known; give --voxel-size", anyway=model.anyway)
        elif not least * (1 - TOLERANCE) <= step <= most * (1 + TOLERANCE):
            message = f"the step along {axis} is {step:g} mm, the model was validated for {least:g} to {most:g} mm"
            outside(f"{message}; train at this voxel size", anyway=model.anyway)


def _compare(header: Header, checkpoint: Checkpoint) -> None:
    """Note where the input is far from what the model was trained on."""
    for axis, here, there in zip(header.axes, header.spacing, checkpoint.spacing, strict=True):
        if here is not None and there is not None and _apart(here, there):
            progress.note(
                f"warning: the step along {axis} is {here:g} mm, the model was trained at {there:g} mm; "
                "train at this voxel size for trustworthy numbers"
            )
    for fact in ("photons", "views", "energy_kev"):
        now, trained_at = header.acquisition.get(fact), checkpoint.acquisition
        least, most = (trained_at.get(f"{fact}_{end}", trained_at.get(fact)) for end in ("least", "most"))
        if not (isinstance(now, float | int) and isinstance(least, float | int) and isinstance(most, float | int)):
            continue
        if _apart(now, min(max(now, least), most)):
            then = f"{least:g}" if least == most else f"{least:g} to {most:g}"
            progress.note(f"warning: {fact} is {now:g}, the model was trained at {then}")
    if header.calibration is not None and header.unit == "1/cm":
        here, known = scale(header).scale, checkpoint.normalisation.scale
        if not isclose(here, known, rel_tol=0.01):
            tail = "; the network sees mineral density" if checkpoint.calibrated else ""
            progress.note(
                f"warning: {here:g} /cm of attenuation are as much mineral here as {known:g} /cm in training{tail}"
            )


def _apart(here: float, there: float) -> bool:
    """Whether two positive numbers differ by more than the ratio ``APART``."""
    return min(here, there) <= 0 or not 1 / APART <= here / there <= APART
