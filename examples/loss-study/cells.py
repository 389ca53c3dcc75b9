"""What a cell of the study is made of: a network, networks whose outputs are averaged, or a filter."""

from collections.abc import Sequence
from pathlib import Path

from findings import CONTROLS, FLOORS

KINDS = ("loss", "mean", "floor", "control", "added")


def members(cell: str) -> list[tuple[str, int]]:
    """Losses whose networks are averaged, each with the step from the seed: `mean(a, a)` takes two seeds of a."""
    if not cell.startswith("mean("):
        return [(cell, 0)]
    names = cell.removeprefix("mean(").removesuffix(")").split(", ")
    return [(name, names[:place].count(name)) for place, name in enumerate(names)]


def kind(cell: str) -> str:
    """One of KINDS, by name."""
    if cell in CONTROLS:
        return "control"
    if cell in FLOORS:
        return "floor"
    return "mean" if cell.startswith("mean(") else "loss"


def networks(folder: Path, trained: str, cell: str, seed: int, seeds: int) -> list[Path]:
    """Weights of a cell that was trained on a bone, in the output folder of a run."""
    root = folder / f"from-{trained}"
    return [root / name / f"{(seed + step) % seeds}.safetensors" for name, step in members(cell)]


def filtered(text: str) -> tuple[str, str]:
    """Of a filter's knob: the method of reconstruction, empty for the usual one, and the model that denoises."""
    return (text, "identity") if text.startswith("fbp") else ("", text)


def answer(scans: Path, draw: str, photons: float, method: str = "") -> Path:
    """Where a scan lies that was reconstructed by a method."""
    return scans / f"{draw}-{photons:g}{f'-{method}' if method else ''}.npy"


Networks = Sequence[Path]
