"""Command lines, printed before they run, and the CPU seconds that they took."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def run(*stages: Sequence[str | Path]) -> tuple[bytes, float]:
    """Run a pipe of bonectl commands; what the last one printed, and CPU seconds of all, their start among them.

    Raises CalledProcessError where one fails.
    """
    return shell(" | ".join(shlex.join(["bonectl", *map(str, stage), "--quiet"]) for stage in stages))


def shell(line: str) -> tuple[bytes, float]:
    """As `run`, of a line for bash."""
    print(line, file=sys.stderr, flush=True)
    argv = ["bash", "-o", "pipefail", "-c", line]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        said = process.stdout.read() if process.stdout else b""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv)
    return said, used.ru_utime + used.ru_stime
