"""What denoising is asked for, as one value, and what it will do with a volume: a dry run prints it, a run does it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bonectl.core import shipped
from bonectl.core.cost import Cost
from bonectl.core.header import DIGITS, Fact, Header
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.learning import device
from bonectl.ops import denoise_cost
from bonectl.ops.denoise import TILE, Model, denoise, trained, untrained
from bonectl.ops.samples import Samples, sampled

# What computes networks.
ENGINES = ("torch", "openvino")


@dataclass(frozen=True, kw_only=True)
class Request:
    """By which models, how often and where.

    Parameters
    ----------
    models : tuple of str
        Checkpoints by their paths, or by name where they come with bonectl, or filters that need no training by their
        specs; several give a sample each.
    samples : int
        Answers that are asked for; 0 is one for each model.
    device_name : str
        See ``bonectl.learning.device.choose``.
    tile : int
        Largest side of a tile without its halo [pixels].
    engine : str
        What computes the networks: ``torch``, or ``openvino`` on a CPU.
    anyway : bool
        Whether what lies outside of what a model was validated for is denoised all the same.

    Raises
    ------
    UsageError
        There is no model, a tile has no side, fewer than no samples are asked for, or there is no such engine, or not
        on that device.
    """

    models: tuple[str, ...]
    samples: int = 0
    device_name: str = "auto"
    tile: int = TILE
    engine: str = "torch"
    anyway: bool = False

    def __post_init__(self) -> None:
        if not self.models:
            raise UsageError("no model; give a checkpoint of `bonectl train`, or a filter such as gaussian(sigma=1)")
        if self.tile < 1:
            raise UsageError(f"tiles of {self.tile} pixels; the side must be positive")
        if self.samples < 0:
            raise UsageError(f"{self.samples} samples; give at least 2, or 0 for one of each checkpoint")
        if self.engine not in ENGINES:
            raise UsageError(f"there is no engine {self.engine!r}; there are {' and '.join(ENGINES)}")
        if self.engine == "openvino" and self.device_name not in ("auto", "cpu"):
            raise UsageError(f"openvino computes on the CPU, not on {self.device_name}; give --device cpu")

    @property
    def is_sampled(self) -> bool:
        """Whether several answers are asked for."""
        return len(self.models) > 1 or self.samples > 0

    @property
    def count(self) -> int:
        """How many answers."""
        return self.samples or len(self.models)

    @property
    def place(self) -> str:
        """The device that is meant, by its name."""
        return "cpu" if self.engine == "openvino" else self.device_name

    def loaded(self) -> tuple[Model, ...]:
        """Return the models, ready to use.

        Raises
        ------
        UsageError, MissingInputError, PermissionDeniedError, DataError
            As `bonectl.ops.denoise.trained` and `bonectl.ops.denoise.untrained`.
        UnavailableError
            The engine is not installed.
        """
        models = tuple(replace(model(text), anyway=self.anyway) for text in self.models)
        if self.engine == "torch":
            return models
        from bonectl.learning.compiled import Compiled

        # Filters have no weights that a graph could hold, and are what they are by torch.
        return tuple(replace(one, network=Compiled(one.network)) if one.network.learns else one for one in models)


def model(text: str) -> Model:
    """Load a checkpoint by its path or name, or make a filter by its spec.

    Raises
    ------
    UsageError, MissingInputError, PermissionDeniedError, DataError
        As `bonectl.ops.denoise.trained` and `bonectl.ops.denoise.untrained`.
    """
    path = Path(text)
    if shipped.is_name(text) or path.suffix == ".safetensors" or path.is_file() or ("/" in text and "(" not in text):
        return trained(path)
    return untrained(text)


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """What will be done with a volume.

    Parameters
    ----------
    request : Request
    models : tuple of Model
        Those of the request.
    header : Header
        Of the volume.
    """

    request: Request
    models: tuple[Model, ...]
    header: Header

    def denoised(self, stack: Stack) -> Stack:
        """Return the one answer (`bonectl.ops.denoise.denoise`)."""
        (model,) = self.models
        return denoise(stack, model, device_name=self.request.place, tile=self.request.tile)

    def sampled(self, stack: Stack) -> Samples:
        """Return the several answers (`bonectl.ops.samples.sampled`)."""
        asked = self.request
        return sampled(stack, self.models, asked.count, device_name=asked.place, tile=asked.tile)

    def cost(self) -> Cost:
        """Return about what it takes."""
        return denoise_cost.cost(
            self.header,
            self.models,
            self.request.count,
            device_name=self.request.place,
            tile=self.request.tile,
        )

    def facts(self) -> Mapping[str, Fact]:
        """Return what a history says of it: models, hashes of their weights, samples, engine, device."""
        names = dict.fromkeys(model.name for model in self.models)
        digests = [model.checkpoint.digest[:DIGITS] for model in self.models if model.checkpoint is not None]
        facts: dict[str, Fact] = {"model": "; ".join(names)}
        if digests:
            facts["weights_sha256"] = " ".join(digests)
        if self.request.is_sampled:
            facts["samples"] = self.request.count
        if self.request.engine != "torch":
            facts["engine"] = self.request.engine
        return facts | {"device": str(device.choose(self.request.place))}
