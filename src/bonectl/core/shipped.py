"""Networks that come trained with bonectl, by their names: a name stands wherever the path of a checkpoint may.

They lie beside the models as ``NAME-DIGITS.safetensors``, the digits being the first of the weights' SHA-256. Where a
file has that very name, the file is meant.
"""

from functools import cache
from pathlib import Path

from bonectl.core import places

FOLDER = Path(__file__).resolve().parents[1] / "models"


@cache
def networks() -> dict[str, Path]:
    """Return the files by their names."""
    return {path.name.rpartition("-")[0]: path for path in sorted(FOLDER.glob("*-*.safetensors"))}


def is_name(text: str | Path) -> bool:
    """Whether a word names a network that comes with bonectl, and no file that is there."""
    path = Path(text)
    return str(text) in networks() and (places.is_folder(path) or not places.is_there(path))


def found(given: str | Path) -> Path:
    """Return the file of a checkpoint that is given by its path, or by its name if it comes with bonectl."""
    return networks()[str(given)] if is_name(given) else Path(given)
