"""Print the test files that a change touches: themselves changed, or naming a changed module. For `make check`.

python tests/touched.py [COMMIT]      (default: what differs from HEAD)
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
ALWAYS = ("tests/kits/test_contract.py",)


def touched(changed: Iterable[str], tests: dict[str, str]) -> list[str]:
    """Names of the tests for changed files, those of every part among them.

    Parameters
    ----------
    changed : iterable of str
        Paths from the top of the repository.
    tests : dict of str
        Text of each test file, by its path.
    """
    found = {name for name in changed if name in tests} | {name for name in ALWAYS if name in tests}
    for path in changed:
        source = re.fullmatch(r"src/bonectl/((?:\w+/)*)(\w+)\.py", path)
        if source is None:
            continue
        room, name = source[1].strip("/").replace("/", "."), source[2]
        names = rf"bonectl\.{room}\.{name}\b|from bonectl\.{room} import [^\n]*\b{name}\b|[\"'(+ ]{name}\("
        found |= {test for test, text in tests.items() if re.search(names, text)}
    return sorted(found)


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, cwd=TOP, check=True, capture_output=True, text=True).stdout.splitlines()


def main() -> None:
    """Print what `touched` says of this tree."""
    since = sys.argv[1] if len(sys.argv) > 1 else "HEAD"
    changed = _lines("git", "diff", "--name-only", since) + _lines("git", "ls-files", "--others", "--exclude-standard")
    tests = {str(p.relative_to(TOP)): p.read_text() for p in sorted((TOP / "tests").rglob("test_*.py"))}
    print("\n".join(touched(changed, tests)))


if __name__ == "__main__":
    main()
