"""A trained model for other software: a graph in ONNX, alone or as a package of the BioImage Model Zoo.

What is written was run: onnxruntime must give the values that `bonectl denoise` gives, or nothing is written.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bonectl.core import atomic
from bonectl.errors import UnavailableError, UsageError
from bonectl.learning import graph
from bonectl.learning.card import card
from bonectl.learning.checkpoint import Checkpoint
from bonectl.learning.denoiser import Reach
from bonectl.learning.tiles import round_up
from bonectl.ops.denoise import TILE, Model, Worker, trained

# What is written, by the ending of its name.
ENDINGS = (".onnx", ".zip")

# Largest difference between onnxruntime's values and ours, as a part of full bone or of the largest correction.
TOLERANCE = 1e-5

# Of the description of models in the BioImage Model Zoo.
FORMAT = "0.5.3"

# Every file in a package is of this time: the same model gives the same bytes.
TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Parameters
    ----------
    size : int
        Bytes.
    difference : float
        Largest difference between onnxruntime's values and ours, in `unit`.
    unit : str
        Of what goes in and comes out.
    """

    size: int
    difference: float
    unit: str


def export(model: Path, output: Path, *, force: bool = False) -> Exported:
    """Write a trained model for other software.

    Parameters
    ----------
    model : Path
        Checkpoint of `bonectl train`.
    output : Path
        ``x.onnx``, or ``x.zip`` for a package of the BioImage Model Zoo.
    force : bool
        Whether there may be an older one.

    Raises
    ------
    UsageError
        Another ending, or a model that reconstructs scans.
    UnavailableError
        The packages of the extra ``onnx`` are not there, or onnxruntime gives other values than bonectl.
    MissingInputError, DataError, OutputError, PermissionDeniedError, WriteError
        As `bonectl.ops.denoise.trained` and `bonectl.core.atomic.replacing`.
    """
    if output.suffix not in ENDINGS:
        raise UsageError(
            f"{output}: give a name that ends in .onnx, or in .zip for a package of the BioImage Model Zoo"
        )
    atomic.check(output, force=force)
    for name in ("onnx", "onnxruntime"):
        graph.package(name)
    known = trained(model)
    assert known.checkpoint is not None
    told = card(known.checkpoint, model.name)
    weights = graph.exported(graph.Graph(known.network.eval(), known.checkpoint.normalisation), _facts(told))
    asked = example(known)
    answer = Worker(known.network, known.checkpoint.normalisation, torch.device("cpu"), TILE)(asked)
    difference = _checked(weights, asked, answer, known.checkpoint)
    whole = weights if output.suffix == ".onnx" else _package(known, told, weights, asked, answer)
    with atomic.replacing(output, force=force) as temporary:
        temporary.write_bytes(whole)
    return Exported(size=len(whole), difference=difference, unit=known.checkpoint.normalisation.unit)


def example(model: Model) -> NDArray[np.float32]:
    """Return a slice between its neighbours, (2 * reach.slices + 1, y, x): noisy bars, in the data's unit."""
    assert model.checkpoint is not None
    reach, scale = model.network.reach, model.checkpoint.normalisation
    side = _least(model) + 2 * reach.grid
    z, y, x = np.indices((2 * reach.slices + 1, side, side + reach.grid))
    bars = ((z + y) // 6 % 2) * ((z + x) // 5 % 2)
    u = 0.8 * bars + np.random.default_rng(0).normal(0, 0.15, bars.shape)
    values: NDArray[np.float32] = (scale.offset + scale.scale * u).astype(np.float32)
    return values


def _checked(weights: bytes, asked: NDArray[np.float32], answer: NDArray[np.float32], checkpoint: Checkpoint) -> float:
    """Largest difference between what onnxruntime makes of a slice and what we do."""
    scale = checkpoint.normalisation.scale
    context = len(asked) // 2
    most = TOLERANCE * max(scale, float(np.abs(answer - asked[context]).max()))
    found = float(np.abs(graph.run(weights, asked[None])[0] - answer).max())
    if not found <= most:
        raise UnavailableError(
            f"onnxruntime gives values that differ by {found:.3g} {checkpoint.normalisation.unit}, more than "
            f"{most:.3g}; nothing is written"
        )
    return found


def _facts(told: Mapping[str, Any]) -> dict[str, Any]:
    """What the graph's metadata tell: the unit of its values in words, and the card of the checkpoint."""
    return {"unit": told["unit"], "values": _values(told), "spacing_mm": told["spacing_mm"], "bonectl": dict(told)}


def _values(told: Mapping[str, Any]) -> str:
    """What goes in and comes out, in a sentence."""
    guessed = " (pseudo-calibrated)" if told["pseudo"] else ""
    law = (
        f"; 0 and full bone are {told['offset']:.6g} and {told['offset'] + told['scale']:.6g}"
        if told["unit"] != "mgHA/cm3"
        else ""
    )
    return f"in and out: {told['unit']}{guessed}{law}; scaled inside; never normalise by the image"


def _least(model: Model) -> int:
    """Smallest side of a tile [pixels]: its halo on both sides, and something between."""
    reach = model.network.reach
    return 2 * round_up(reach.pixels or 0, reach.grid) + round_up(8, reach.grid)


def _package(
    model: Model, told: Mapping[str, Any], weights: bytes, asked: NDArray[np.float32], answer: NDArray[np.float32]
) -> bytes:
    """A package of the BioImage Model Zoo: description, weights, an example, and a page to read."""
    files = {
        "model.onnx": weights,
        "test_input.npy": _npy(asked[None]),
        "test_output.npy": _npy(answer[None]),
        "README.md": _page(told, model.network.reach).encode(),
    }
    description = _description(model, told, {name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    # JSON is YAML.
    files["bioimageio.yaml"] = json.dumps(description, indent=2, ensure_ascii=False).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, TIME), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _npy(array: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _description(model: Model, told: Mapping[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    """The model as the BioImage Model Zoo describes it."""
    reach = model.network.reach
    halo = round_up(reach.pixels or 0, reach.grid)
    sides = list(zip("yx", told["spacing_mm"][1:], strict=True))
    neighbours = [f"z{offset:+d}" for offset in range(-reach.slices, reach.slices + 1)]
    size = {"min": _least(model), "step": reach.grid}
    return {
        "format_version": FORMAT,
        "type": "model",
        "name": _plain(f"bonectl {told['model'].partition('(')[0]} {told['name'].removesuffix('.safetensors')}"),
        "description": f"{told['about']} Denoises bone micro-CT, {_values(told)}.",
        "documentation": "README.md",
        "tags": ["denoising", "restoration", "micro-ct", "bone", "tomography", "bonectl"],
        "inputs": [
            {
                "id": graph.INPUT,
                "description": _values(told)[:128],
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": [_plain(name) for name in neighbours]},
                    *({"type": "space", "id": axis, "size": size, **_step(step)} for axis, step in sides),
                ],
                "data": {"type": "float32", "unit": "arbitrary unit"},
                "preprocessing": [],
                "test_tensor": {"source": "test_input.npy", "sha256": digests["test_input.npy"]},
            }
        ],
        "outputs": [
            {
                "id": graph.OUTPUT,
                "description": _values(told)[:128],
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": ["z"]},
                    *(
                        {
                            "type": "space",
                            "id": axis,
                            "size": {"tensor_id": graph.INPUT, "axis_id": axis},
                            **_step(step),
                            **({"halo": halo} if halo else {}),
                        }
                        for axis, step in sides
                    ),
                ],
                "data": {"type": "float32", "unit": "arbitrary unit"},
                "postprocessing": [],
                "test_tensor": {"source": "test_output.npy", "sha256": digests["test_output.npy"]},
            }
        ],
        "weights": {"onnx": {"source": "model.onnx", "sha256": digests["model.onnx"], "opset_version": graph.OPSET}},
        "config": {"bonectl": dict(told)},
    }


def _step(step: float | None) -> dict[str, Any]:
    """The pixel of an axis, where it is known."""
    return {} if step is None else {"unit": "micrometer", "scale": step * 1e3}


def _plain(name: str) -> str:
    """A name in the letters that the zoo allows."""
    return re.sub(r"[^A-Za-z0-9_+\- ()]", "_", name)[:64]


def _instead(reach: Reach) -> str:
    """What stands in for slices beyond the ends of a stack, as `Reach.within` has it."""
    farther = f"the slices {reach.slices + 1} farther in, which are none that it is told from, stand in"
    return farther if reach.blind else "its outermost slices stand in"


def _page(told: Mapping[str, Any], reach: Reach) -> str:
    """The page of a package."""
    ends = [f"| {key} | {pair['input']} | {pair['output']} |" for key, pair in told["held_out"].items()]
    voxels = " × ".join("unknown" if step is None else f"{step:g}" for step in told["spacing_mm"])
    exposure = ", ".join(f"{key} {value}" for key, value in told["acquisition"].items()) or "unknown"
    return "\n".join(
        [
            f"# {told['name']}",
            "",
            f"{told['about']} `{told['model']}`, trained by bonectl {told['versions'].get('bonectl', '')} with "
            f"`{told['loss']}` for {told['steps']} steps.",
            "",
            f"Values {_values(told)}. Channels are a slice between its neighbours along z; at the ends of a stack "
            f"{_instead(reach)} for those that are missing.",
            "",
            f"Voxels in training [mm]: {voxels}; acquisition: {exposure}. Other voxels, doses or energies "
            "were not tried.",
            "",
            "## Validation",
            "",
            "On slices of the training stacks that were held out (PSNR in dB; errors of bone numbers):",
            "",
            "| number | input | output |",
            "|---|---|---|",
            *ends,
            "",
            "Compare BV/TV, Conn.D and density of your own bone with and without the model before you rely on it.",
            "",
        ]
    )
