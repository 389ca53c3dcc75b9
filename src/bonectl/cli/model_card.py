"""The card of a checkpoint, line by line."""

from collections.abc import Iterator, Mapping
from typing import Any

# Stacks that a checkpoint was trained on, beyond which they are counted and not listed.
MANY = 20

# What is told first of what a network was tried for.
ORDER = ("voxel_mm", "noise", "learned_from", "judged_on", "judged", "loses_at", "not_for")


def lines(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Key and value, one line each, of what `bonectl.learning.card.card` gives."""
    for key in ("name", "model", "about", "parameters", "loss", "pairs", "steps", "seed", "unit"):
        yield key, str(told[key])
    yield "network_sees", f"(value - {told['offset']:.6g}) / {told['scale']:.6g} of {told['unit']}"
    yield from _exposure(told)
    if told["validated"] is not None:
        yield from _validated(told["validated"], told["unit"])
    if len(stacks := told["stacks"]) > MANY:
        stacks = [f"{len(stacks)} stacks, such as {stacks[0]} (all of them: --json)"]
    for stack in stacks:
        yield "trained_on", str(stack)
    for term, digest in told["loss_weights_sha256"].items():
        yield "loss_weights", f"{term}: {digest[:16]}"
    for key, pair in told["held_out"].items():
        if pair["output"] is not None:
            before = "" if pair["input"] is None else f" (input {pair['input']:.6g})"
            yield f"held_out_{key}", f"{pair['output']:.6g}{before}"
    yield "sha256", str(told["sha256"])
    yield "versions", ", ".join(f"{key} {value}" for key, value in told["versions"].items())


def _exposure(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Voxels, dose and noise of the training."""
    if (voxels := told["voxel_mm"]) is not None:
        yield "voxel_mm", f"{voxels[0]:.6g} to {voxels[1]:.6g}"
    else:
        steps = ["unknown" if s is None else f"{s:.6g}" for s in told["spacing_mm"]]
        yield "spacing_mm", " × ".join("-" if a == "view" else s for s, a in zip(steps, told["axes"], strict=True))
    for key, value in told["acquisition"].items():
        yield key, f"{value:.7g}" if isinstance(value, float) else str(value)
    if (noise := told["noise"]) is not None:
        yield "noise", f"{noise['least']:.4g} to {noise['most']:.4g} {told['unit']}"


def _validated(told: Mapping[str, Any], unit: str) -> Iterator[tuple[str, str]]:
    """For what a network was tried, and with which results; what else is told of it stands as it is."""
    for key in sorted(told, key=lambda key: ORDER.index(key) if key in ORDER else len(ORDER)):
        value = told[key]
        if key == "voxel_mm":
            yield "validated_voxel_mm", f"{value[0]:.4g} to {value[1]:.4g}"
        elif key == "noise":
            yield "validated_noise", f"{value[0]:.4g} to {value[1]:.4g} {unit}"
        elif key == "judged":
            yield from (("judged", _judged(scan)) for scan in value)
        else:
            yield from ((key, str(each)) for each in (value if isinstance(value, list) else [value]))


def _judged(scan: Mapping[str, Any]) -> str:
    """One scan: each number as it came, and as it was made, beside the filter that did best in it."""
    head = f"{scan['bone']}, {scan['voxel_mm']:g} mm, {scan['views']} × {scan['photons']:g} photons: "
    return head + "; ".join(_number(name, told) for name, told in scan["numbers"].items())


def _number(name: str, told: Mapping[str, Any]) -> str:
    higher = name == "psnr"
    said = f"{name} {told['input']:.3g} → {told['output']:.3g} {told['unit']}"
    if not (filters := told["filters"].values()):
        return said
    best = (max if higher else min)(filters, key=lambda value: value if higher else abs(value))
    return f"{said} (best filter {best:.3g})"
