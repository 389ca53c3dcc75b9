"""``python -m bonectl.cli.serve``: several command lines in one process, for a batch of small jobs.

Each line of standard input is a JSON object: argv (without ``bonectl``), log (which what is said is appended to) and
output (what is printed goes there; null drops it). Each is answered on standard output by one with status, seconds
and peak_memory_bytes. A command that takes the process down costs itself alone: whoever asks starts another.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from bonectl.cli import boundary
from bonectl.core import ending


def main() -> None:
    """Answer until standard input ends."""
    ending.listen()
    with os.fdopen(os.dup(1), "w", encoding="ascii") as answers:
        for line in sys.stdin:
            answers.write(json.dumps(_done(json.loads(line))) + "\n")
            answers.flush()


def _done(asked: dict[str, Any]) -> dict[str, float]:
    _redirect(2, asked["log"], os.O_APPEND)
    _redirect(1, asked["output"] or os.devnull, os.O_TRUNC)
    sys.argv = ["bonectl", *asked["argv"]]
    begun = time.monotonic()
    _forget_peak()
    try:
        status = boundary.run(asked["argv"])
        sys.stdout.flush()
    except OSError as error:
        status = boundary.told("bonectl", error)
    return {"status": status, "seconds": time.monotonic() - begun, "peak_memory_bytes": _peak()}


def _redirect(number: int, path: str, how: int) -> None:
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o666)
    os.dup2(opened, number)
    os.close(opened)


def _forget_peak() -> None:
    """Let the peak of memory begin anew, where the system does that."""
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:
        return


def _peak() -> int:
    try:
        lines = Path("/proc/self/status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)


if __name__ == "__main__":
    main()
