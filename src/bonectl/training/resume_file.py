"""The file that a run is resumed from: a line with the hash of the state, and the state."""

import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bonectl.core import reading
from bonectl.errors import DataError, MissingInputError, UsageError

# How a resume file begins; a hash of what follows stands behind it.
RESUME = b"bonectl resume 2 sha256 "


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state, tensors and plain values, after a line with its hash."""
    whole = io.BytesIO()
    torch.save(state, whole)  # torch's own writer does not tell a full disk from a bug
    with path.open("wb") as file:
        file.write(_seal(whole.getbuffer()))
        file.write(whole.getbuffer())


def loaded(path: Path, where: torch.device) -> Any:
    """Return what a resume file holds, if that is what was saved; only tensors and plain values are unpickled."""
    try:
        seal, payload = _split(path.read_bytes())
    except FileNotFoundError as error:
        raise MissingInputError(f"{path}: there is nothing to resume; leave out --resume") from error
    except OSError as error:
        raise reading.failure(path, error) from error
    if not seal or seal != _seal(payload):
        raise damaged(path)
    try:
        return torch.load(io.BytesIO(payload), map_location=where, weights_only=True)
    except (RuntimeError, EOFError, OSError, LookupError, ValueError, pickle.UnpicklingError) as error:
        raise damaged(path) from error


def _seal(payload: bytes | memoryview) -> bytes:
    """Return the line before a state: without it a flipped bit in a tensor would be trained on."""
    return RESUME + hashlib.sha256(payload).hexdigest().encode("ascii") + b"\n"


def _split(whole: bytes) -> tuple[bytes, memoryview]:
    """Return the line of a resume file, empty where there is none, and what follows it."""
    length = len(RESUME) + 2 * hashlib.sha256().digest_size + 1
    return whole[:length] if whole.startswith(RESUME) else b"", memoryview(whole)[length:]


def damaged(path: Path) -> DataError:
    """Return what to say of a state that is not what was saved."""
    return DataError(f"{path}: the saved state is damaged, or of another version; train anew without --resume")


def check_same(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on with another recipe; only the length of the run may be another."""
    names = (before.keys() | now.keys()) - {"steps"}
    if odd := sorted(name for name in names if before.get(name) != now.get(name)):
        name = odd[0]
        raise UsageError(
            f"{path}: was made with {name}={before.get(name)!r}, not {now.get(name)!r}; "
            "a resumed run needs the same recipe"
        )


def check_length(done: int, wanted: int, path: Path) -> None:
    """Refuse a run that is over already."""
    if done > wanted:
        raise UsageError(f"{path}: has {done} steps behind it already; give --steps {done} or more to go on")
