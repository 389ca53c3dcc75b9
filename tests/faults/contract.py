"""What must hold however a run ends; a judge that names what does not."""

import hashlib
import json
import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from bonectl import io
from bonectl.errors import BonectlError
from bonectl.learning.checkpoint import Checkpoint

# The EXIT STATUS section of bonectl(1), without 1: a bug. Signals as a shell and as Python tell them.
DONE = 0
REFUSED = frozenset({2, 65, 66, 69, 73, 74, 75, 77})
SIGNALLED = frozenset({129, 130, 141, 143, -1, -2, -13, -15})
DOCUMENTED = REFUSED | SIGNALLED | {DONE}

LONGEST = 640  # characters of a line: a cut message, and who says it
TEMPORARY = "tmp"  # where TMPDIR is in the folder of a run


@dataclass(frozen=True)
class Ended:
    """How a run ended: its status, None when it had to be killed, and what it said on standard error."""

    status: int | None
    said: str


def look(folder: Path) -> dict[str, str]:
    """What lies in a folder and below it: for each name a hash of what it holds, or what it is."""
    return {str(path.relative_to(folder)): _content(path) for path in sorted(folder.rglob("*"))}


def _content(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return stat.filemode(mode)[0]


def is_whole(path: Path) -> bool:
    """Whether a file or folder that bonectl wrote can be read to its end."""
    try:
        if path.suffix == ".safetensors":
            Checkpoint.load(path)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.is_dir() or io.named(path):
            with io.open(path) as stack:
                stack.collect()
    except (BonectlError, ValueError):
        return False
    return True


def wrong(
    ended: Ended,
    folder: Path,
    before: Mapping[str, str],
    *,
    made: Collection[str] = (),
    allowed: Collection[int] = DOCUMENTED,
    whole: Callable[[Path], bool] = is_whole,
) -> list[str]:
    """What is wrong with how a run ended, in words; nothing where the contract was kept.

    Parameters
    ----------
    ended : Ended
    folder : Path
        Where it ran, with its temporary files in `TEMPORARY`.
    before : mapping
        What was there before (`look`).
    made : collection of str
        Names that it was asked to make: all there and whole after status 0, else absent or whole.
    allowed : collection of int
        Statuses that are right.
    whole : callable
        Tells an output that is complete.
    """
    after = look(folder)
    found = _speech(ended, allowed)
    found += [f"{name}: {'changed' if name in after else 'gone'}" for name in before if after.get(name) != before[name]]
    for name in sorted(after.keys() - before.keys()):
        parent = next((output for output in made if name == output or name.startswith(f"{output}/")), None)
        if parent is None and any(output.startswith(f"{name}/") and output in after for output in made):
            continue  # a folder that holds an output
        if parent is None:
            found.append(f"{name}: left")
        elif parent == name and not whole(folder / name):
            found.append(f"{name}: incomplete")
    if ended.status == DONE:
        found += [f"{name}: not made" for name in made if name not in after]
    return found


def _speech(ended: Ended, allowed: Collection[int]) -> list[str]:
    """What is wrong with the words of a quiet run (``-q``): none, or one line of why."""
    if ended.status is None:
        return ["hung"]
    lines = ended.said.splitlines()
    found = [] if ended.status in allowed else [f"status {ended.status}"]
    if "Traceback" in ended.said:
        found.append("traceback")
    if len(lines) > (ended.status != DONE):
        found.append(f"{len(lines)} lines")
    if ended.status in REFUSED and not lines:
        found.append("no word of why")
    found += [f"said by others: {line[:LONGEST]}" for line in lines[:1] if not line.startswith("bonectl")]
    found += [f"a line of {len(line)} characters" for line in lines if len(line) > LONGEST]
    found += ["escapes for a terminal" for line in lines if not line.isprintable()]
    return found
