"""A trained model in one file: weights, and everything needed to use them rightly.

The file is safetensors; its metadata hold one JSON text under the key ``bonectl`` (safetensors' metadata map text
to text, and one key keeps the bytes independent of any hash order). Its ``sha256`` is that of the weights, its ``seal``
that of all other facts and so of the whole file. There is no time stamp: the same training gives the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from bonectl.core import atomic, kit
from bonectl.core.header import AXES, Fact, Header
from bonectl.core.shape import ANY, check, maybe, number, span, text
from bonectl.core.spec import parse
from bonectl.errors import DataError, UsageError
from bonectl.learning.weights import digest, read, sealed, shown, unsealed

VERSION = 2

Values = TypeVar("Values", Tensor, NDArray[np.float32])

# What `training` and `validated` hold that somebody reads: a card, or a comparison with what is to be denoised.
_LEVEL = dict.fromkeys(("most", "noise_least", "noise_median", "noise_most"), number)
TRAINING = {
    "stacks": [text],
    "stacks_sha256": [text],
    "shapes": [[number]],
    "loss_weights_sha256": {ANY: text},
    "held_out_psnr_db": [(number, maybe(number))],
    "held_out_psnr_input_db": maybe(number),
    "held_out_bone_errors": maybe({ANY: maybe(number)}),
    "held_out_bone_errors_input": maybe({ANY: maybe(number)}),
    "voxel_mm": maybe(span),
    "level": maybe(_LEVEL),
}
_NUMBER = {"input": number, "output": number, "unit": text, "filters": {ANY: number}}
_SCAN = {"bone": text, "voxel_mm": number, "views": number, "photons": number, "numbers": {ANY: _NUMBER}}
VALIDATED = {"voxel_mm": span, "noise": span, "judged": [_SCAN]}

# Mineral density that becomes 1 in normalised units: fully mineralised bone tissue [mgHA/cm3].
BONE = 1200.0


@dataclass(frozen=True)
class Normalisation:
    """The fixed affine map between physical values and what a network sees: u = (value - offset) / scale.

    It comes from the calibration, never from the statistics of an image, and nothing is clipped: so the density
    of a denoised voxel is as absolute as that of a noisy one.

    Parameters
    ----------
    unit : str
        Unit of the values.
    offset, scale : float
        In that unit; the scale is positive.

    Raises
    ------
    UsageError
        Beyond float32, in which networks compute, or the scale is not positive.
    """

    unit: str
    offset: float
    scale: float

    def __post_init__(self) -> None:
        least, most = (float(end) for end in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))
        if not (abs(self.offset) <= most and least <= self.scale <= most):
            raise UsageError(
                f"normalisation has offset {self.offset:g} and scale {self.scale:g}; both must lie within float32, and "
                "the scale be positive"
            )

    @classmethod
    def of(cls, header: Header) -> Self:
        """Return the map under which 0 mgHA/cm3 becomes 0 and ``BONE`` becomes 1.

        Raises
        ------
        UsageError
            Values without a known relation to mineral density.
        """
        if header.unit == "mgHA/cm3":
            return cls(header.unit, 0.0, BONE)
        if header.unit == "1/cm" and header.calibration is not None:
            offset = header.calibration.attenuation(0.0)
            return cls(header.unit, offset, header.calibration.attenuation(BONE) - offset)
        raise UsageError(
            f"values in {header.unit!r} have no calibration, so there is no fixed scale for a network; "
            "reconstruct with a calibration, or give --offset and --scale in the unit of the data"
        )

    def normalised(self, values: Values) -> Values:
        """Return u for values in ``unit``, a tensor or an array."""
        return (values - self.offset) / self.scale

    def physical(self, u: Tensor) -> Tensor:
        """Return values in ``unit``: the inverse of :meth:`normalised`."""
        return u * self.scale + self.offset


@dataclass(frozen=True, eq=False, kw_only=True)
class Checkpoint:
    """Weights and what they were trained on.

    Parameters
    ----------
    model, loss, pairs : str
        Specs, canonical text.
    normalisation : Normalisation
        Of the data.
    axes : tuple of str
        Axes of the training stacks.
    spacing : tuple of float or None
        Their spacing [mm].
    acquisition : mapping
        Facts of the training scans' exposure, as their headers gave them; where their ``photons`` differ,
        ``photons_least`` and ``photons_most``.
    calibrated : bool
        Whether the normalisation is that of the training data's calibration, and so no numbers that the user gave:
        data of another calibration then have their own.
    pseudo : bool
        Whether the training data's calibration was guessed from grey values.
    steps, seed : int
        Steps trained, seed of every random draw.
    training : mapping
        The rest of the recipe, and what was measured on the held-out part; JSON values.
    versions : mapping
        Software by name.
    validated : mapping
        For what the network was tried after its training, JSON values: ``voxel_mm`` and ``noise`` (in the unit) are
        the least and largest for which it may be used, and the rest says what was found
        (``examples/bone-model/README.md``). Empty for a network that nobody tried.
    weights : mapping of Tensor
        The model's state, on the CPU.

    Raises
    ------
    UsageError
        Axes or spacing of no stack.
    """

    model: str
    loss: str
    pairs: str
    normalisation: Normalisation
    axes: tuple[str, ...]
    spacing: tuple[float | None, ...]
    acquisition: Mapping[str, Fact] = field(default_factory=dict)
    calibrated: bool = False
    pseudo: bool = False
    steps: int
    seed: int
    training: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    validated: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Tensor] = field(repr=False)

    def __post_init__(self) -> None:
        if self.axes not in AXES:
            raise UsageError(f"axes {self.axes!r} are those of no stack")
        if len(self.spacing) != len(self.axes) or not all(
            step is None or (isfinite(step) and step > 0) for step in self.spacing
        ):
            raise UsageError(f"spacing {self.spacing!r}; a positive length in mm, or None, is needed for each axis")
        for end in ("voxel_mm", "noise") if self.validated else ():
            least, most = self.validated[end]
            if not 0 < least <= most < inf:
                raise UsageError(f"validated for {end} of {least!r} to {most!r}; both must be positive")
        for name in ("acquisition", "training", "versions", "validated", "weights"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def digest(self) -> str:
        """SHA-256 of the weights: names, types, shapes and bytes, in the order of the names."""
        return digest(self.weights)

    def network(self, path: Path, what: str) -> nn.Module:
        """Return the network with its weights, frozen and not in training.

        Parameters
        ----------
        path : Path
            Where it was loaded from.
        what : str
            Whose weights they should be.

        Raises
        ------
        DataError
            They do not fit the model.
        """
        try:
            network: nn.Module = kit.bind("models", parse(self.model))()
            network.load_state_dict(dict(self.weights))
        except (UsageError, RuntimeError) as error:
            raise DataError(f"{path}: these are no weights of {what} ({str(error).splitlines()[0]})") from error
        return network.requires_grad_(False).eval()

    def save(self, path: Path) -> None:
        """Write the file whole or not at all; an older one stays until then.

        Raises
        ------
        OutputError, PermissionDeniedError, WriteError
            It cannot be written.
        """
        with atomic.replacing(path) as temporary:
            temporary.write_bytes(self.packed())

    def packed(self) -> bytes:
        """Return the bytes of the file."""
        weights = {name: weight.contiguous() for name, weight in self.weights.items()}
        whole: bytes = save(weights, {"bonectl": sealed(self._facts())})
        return whole

    def _facts(self) -> dict[str, Any]:
        """Everything but the weights, as JSON values."""
        normalisation = self.normalisation
        return {
            "version": VERSION,
            "model": self.model,
            "loss": self.loss,
            "pairs": self.pairs,
            "unit": normalisation.unit,
            "offset": normalisation.offset,
            "scale": normalisation.scale,
            "axes": list(self.axes),
            "spacing_mm": list(self.spacing),
            "acquisition": dict(self.acquisition),
            "calibrated": self.calibrated,
            "pseudo": self.pseudo,
            "steps": self.steps,
            "seed": self.seed,
            "training": dict(self.training),
            "versions": dict(self.versions),
            "sha256": self.digest,
        } | ({"validated": dict(self.validated)} if self.validated else {})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that :meth:`save` wrote.

        Raises
        ------
        MissingInputError, PermissionDeniedError
            There is no such file, or it may not be read.
        DataError
            It is truncated, or no checkpoint of bonectl, or not what was saved.
        """
        weights, metadata = read(path, "checkpoint")
        if "bonectl" not in metadata:
            raise DataError(f"{path}: no checkpoint of bonectl; give a file that `bonectl train` wrote")
        try:
            facts = unsealed(metadata["bonectl"], VERSION)
            checkpoint, promised = cls._of(facts, weights), facts["sha256"]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, UsageError) as error:
            raise DataError(f"{path}: the checkpoint's description is damaged ({shown(str(error))})") from error
        if checkpoint.digest != promised:
            raise DataError(f"{path}: the weights are not those that were saved; copy the file again")
        if odd := [name for name, weight in weights.items() if not torch.isfinite(weight).all()]:
            raise DataError(f"{path}: the weights {shown(odd[0])} are not finite; train anew")
        return checkpoint

    @classmethod
    def _of(cls, facts: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Self:
        """Return the checkpoint that facts describe; raises all sorts of errors where they are none."""
        return cls(
            model=str(facts["model"]),
            loss=str(facts["loss"]),
            pairs=str(facts["pairs"]),
            normalisation=Normalisation(str(facts["unit"]), float(facts["offset"]), float(facts["scale"])),
            axes=tuple(str(axis) for axis in facts["axes"]),
            spacing=tuple(None if step is None else float(step) for step in facts["spacing_mm"]),
            acquisition=_plain(facts["acquisition"]),
            calibrated=bool(facts.get("calibrated", False)),  # version 1 did not tell
            pseudo=bool(facts["pseudo"]),
            steps=int(facts["steps"]),
            seed=int(facts["seed"]),
            training=check(facts["training"], TRAINING),
            versions={str(name): str(version) for name, version in facts["versions"].items()},
            validated=_tried(facts.get("validated", {})),
            weights=weights,
        )


def _tried(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Check what a network was tried for: of voxels a range, if of anything."""
    known = check(facts, VALIDATED)
    if known and "voxel_mm" not in known:
        raise KeyError("voxel_mm")
    return known


def _plain(facts: Mapping[str, Any]) -> dict[str, Fact]:
    """Check that facts are words and finite numbers."""
    for name, fact in facts.items():
        if not (isinstance(fact, str) or (isinstance(fact, float | int) and isfinite(fact))):
            raise TypeError(f"{name} is {fact!r}")
    return dict(facts)
