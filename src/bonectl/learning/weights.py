"""Files of weights: how they are read, and the hash that tells them from others."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bonectl.core import progress, reading
from bonectl.core.home import expanded
from bonectl.errors import DataError, MissingInputError, UnavailableError


def digest(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of weights: names, types, shapes and bytes, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(weights):
        weight = weights[name].contiguous()
        total.update(f"{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
        total.update(weight.view(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def seal(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a description, JSON values; with a digest of the weights in it, of all that a file says."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def sealed(facts: Mapping[str, Any]) -> str:
    """Return a description as JSON text that ends in its seal."""
    return json.dumps(dict(facts) | {"seal": seal(facts)}, sort_keys=True)


def unsealed(text: str, version: int) -> dict[str, Any]:
    """Return the description in a text of :func:`sealed`; files of version 1 had no seal, which is noted.

    Raises
    ------
    ValueError
        It is no JSON object, of another version, or not what was sealed.
    """
    facts = json.loads(text, parse_constant=_no_number)
    if not isinstance(facts, dict):
        raise ValueError("it is no JSON object")
    if facts.get("version") not in (1, version):
        raise ValueError(f"version {facts.get('version')!r} is not {version}")
    promised = facts.pop("seal", None)
    if promised is None and facts["version"] == 1:
        progress.note("warning: an older bonectl wrote these weights; damage to their description would not be noticed")
    elif promised != seal(facts):
        raise ValueError("it is not what was saved")
    return facts


def restore(optimiser: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Give an optimiser a saved state; only its learning rates may differ.

    Raises
    ------
    ValueError
        The state is of another optimiser, or of other weights.
    """
    before = [{name: value for name, value in group.items() if name != "params"} for group in optimiser.param_groups]
    optimiser.load_state_dict(dict(state))
    for group, wanted in zip(optimiser.param_groups, before, strict=True):
        if any(group.get(name) != value for name, value in wanted.items() if name != "lr"):
            raise ValueError("the optimiser has other settings")
    for parameter, kept in optimiser.state.items():
        if any(kept[name].shape != parameter.shape for name in ("exp_avg", "exp_avg_sq")) or not kept["step"] >= 0:
            raise ValueError("the optimiser is one of other weights")


def shown(text: str, most: int = 100) -> str:
    """Return what a file or an error says as part of a message: printable, on one line, short."""
    line = " ".join(text.split()).encode("unicode_escape").decode("ascii")
    return line if len(line) <= most else f"{line[: most - 3]}..."


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def edition(path: Path) -> tuple[int, int, int]:
    """Return what tells a file from the one that had its name before: time of change [ns], size, number of its node.

    Whatever is kept of a file in memory is kept for this too, so that weights that were trained anew are seen.
    """
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def located(given: str, variable: str, part: str, made: str) -> Path:
    """Return the weight file of a part: as given, else by an environment variable.

    Parameters
    ----------
    given : str
        The knob ``weights``; empty when it was not set.
    variable : str
        Name of the environment variable.
    part : str
        Name of the part that needs them.
    made : str
        The command that makes such a file.

    Raises
    ------
    UnavailableError
        Neither names a file; the message says how to make one.
    """
    named = given or os.environ.get(variable, "")
    path = expanded(named)
    if named and path.is_file():
        return path
    reason = f"the weights of {part} are not at {path}" if named else f"no weights of {part}"
    raise UnavailableError(
        f"{reason}; make them with `{made}` and name the file with {variable} or {part}(weights='FILE')"
    )


def read(path: Path, what: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file.

    Parameters
    ----------
    path : Path
    what : str
        What it should be, for the message.

    Raises
    ------
    MissingInputError, PermissionDeniedError
        There is no such file, or it may not be read.
    DataError
        It is no safetensors file, or damaged.
    """
    try:
        path.open("rb").close()  # safetensors calls missing what may not be read
        with safe_open(path, framework="pt", device="cpu") as file:
            names = file.keys()  # no mapping: it cannot be walked itself
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except FileNotFoundError as error:
        raise MissingInputError(f"{path}: there is no such {what}") from error
    except OSError as error:
        raise reading.failure(path, error) from error
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise DataError(f"{path}: no safetensors file, or a damaged one ({shown(str(error))})") from error
