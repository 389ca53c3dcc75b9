"""What a checkpoint says of itself to a person who has to decide whether to use it."""

from math import prod
from typing import Any

from bonectl.core import kit
from bonectl.core.spec import parse
from bonectl.learning.checkpoint import Checkpoint

SCHEMA = "bonectl.model/1"
"""Name and version of the JSON that `card` gives; a change that breaks readers raises the number."""


def card(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    """The network, what it was trained on, for and with, and how it did on slices that it was not trained on.

    Parameters
    ----------
    checkpoint : Checkpoint
    name : str
        What to call it.
    """
    training, normalisation = checkpoint.training, checkpoint.normalisation
    stacks, shapes = training.get("stacks") or [], training.get("shapes") or []
    after, before = training.get("held_out_bone_errors") or {}, training.get("held_out_bone_errors_input") or {}
    level = training.get("level")
    psnr = training.get("held_out_psnr_db") or [[0, None]]
    return {
        "schema": SCHEMA,
        "name": name,
        "model": checkpoint.model,
        "about": kit.describe("models", parse(checkpoint.model).name).summary,
        "parameters": sum(prod(weight.shape) for weight in checkpoint.weights.values()),
        "loss": checkpoint.loss,
        "pairs": checkpoint.pairs,
        "steps": checkpoint.steps,
        "seed": checkpoint.seed,
        "unit": normalisation.unit,
        "offset": normalisation.offset,
        "scale": normalisation.scale,
        "calibrated": checkpoint.calibrated,
        "pseudo": checkpoint.pseudo,
        "axes": list(checkpoint.axes),
        "spacing_mm": list(checkpoint.spacing),
        "acquisition": dict(checkpoint.acquisition),
        "noise": None if not level else {end: level[f"noise_{end}"] * normalisation.scale for end in ("least", "most")},
        "stacks": list(stacks),
        "stacks_sha256": list(training.get("stacks_sha256") or []),
        "loss_weights_sha256": dict(training.get("loss_weights_sha256") or {}),
        "shapes": [list(shape) for shape in shapes],
        "held_out": {
            "psnr_db": {"input": training.get("held_out_psnr_input_db"), "output": psnr[-1][1]},
            **{key: {"input": before.get(key), "output": value} for key, value in after.items()},
        },
        "voxel_mm": training.get("voxel_mm"),
        "validated": dict(checkpoint.validated) or None,
        "sha256": checkpoint.digest,
        "versions": dict(checkpoint.versions),
    }


def doubts(told: dict[str, Any]) -> list[str]:
    """What speaks against using the network as it is."""
    held_out = told["held_out"]
    worse = [
        key
        for key, pair in held_out.items()
        if None not in pair.values()
        and (pair["output"] < pair["input"]) == (key == "psnr_db")
        and pair["output"] != pair["input"]
    ]
    doubts = [f"on held-out slices {', '.join(worse)} came out worse than the input's"] if worse else []
    if told["pseudo"]:
        doubts.append("its densities were guessed from grey values: structure may be trusted, density may not")
    return doubts
