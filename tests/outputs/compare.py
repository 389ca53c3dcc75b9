"""Run the lines of commands.txt by two bonectls, and say where their results differ by a byte.

    python tests/outputs/compare.py [--no-history] BEFORE [AFTER]

BEFORE and AFTER are source folders (the one that holds `bonectl/`), such as that of a `git worktree`; AFTER is this
tree's. Compared are every file that a line leaves, its standard output and its exit status, with SOURCE_DATE_EPOCH
set, so that a time is no difference. With --no-history every stack is written without an entry in its history, so that
a change of what histories say hides no other. Ends with status 1 where anything differs.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
OURS = HERE.parents[1] / "src"


# Commands that write stacks.
WRITING = "phantom simulate reconstruct convert denoise"


def lines(path: Path = HERE / "commands.txt") -> list[str]:
    """Give the command lines, without comments."""
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def results(source: Path, commands: list[str], *, history: bool = True) -> list[dict[str, str]]:
    """Run the lines in an empty folder; per line its status, its output and a digest of every file there.

    Parameters
    ----------
    source : Path
        Folder that holds the package.
    commands : list of str
        Lines of the shell, run in their order.
    history : bool
        Whether stacks keep a history.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, tools = Path(name) / "work", Path(name) / "bin"
        folder.mkdir(), tools.mkdir()
        tool = tools / "bonectl"
        told = "" if history else f'case " {WRITING} " in *" $1 "*) set -- "$@" --no-history;; esac\n'
        tool.write_text(f'#!/bin/sh\n{told}exec "{sys.executable}" -m bonectl "$@"\n')
        tool.chmod(0o755)
        world = os.environ | {
            "PYTHONPATH": str(source),
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "SOURCE_DATE_EPOCH": "0",
            "COLUMNS": "80",
        }
        return [_result(line, folder, world) for line in commands]


def _result(line: str, folder: Path, world: dict[str, str]) -> dict[str, str]:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=folder,
        env=world,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    files = {str(p.relative_to(folder)): _digest(p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file()}
    return {"status": str(done.returncode), "standard output": _digest(done.stdout)} | files


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def differences(before: list[dict[str, str]], after: list[dict[str, str]]) -> list[list[str]]:
    """Name per line what differs for the first time there: a file that differed before is not told again."""
    told: set[str] = set()
    found = []
    for one, two in zip(before, after, strict=True):
        names = [n for n in sorted(one.keys() | two.keys()) if one.get(n) != two.get(n) and n not in told]
        told |= {n for n in names if n not in {"status", "standard output"}}
        found.append(names)
    return found


def main() -> int:
    """Compare, print a line for each command, and end with 1 where one differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path, nargs="?", default=OURS)
    parser.add_argument("--no-history", action="store_true")
    given = parser.parse_args()
    for source in (given.before, given.after):
        if not (source / "bonectl" / "__init__.py").is_file():
            parser.error(f"{source} does not hold bonectl/")
    commands = lines()
    before, after = (
        results(source.resolve(), commands, history=not given.no_history) for source in (given.before, given.after)
    )
    found = differences(before, after)
    for line, status, names in zip(commands, before, found, strict=True):
        print(f"{'differs: ' + ', '.join(names) if names else 'same'}\t{status['status']}\t{line}")
    print(f"{sum(not names for names in found)} of {len(commands)} command lines give the same bytes")
    return int(any(found))


if __name__ == "__main__":
    sys.exit(main())
