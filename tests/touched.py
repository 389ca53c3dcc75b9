"""Print the test files that a change touches: themselves changed, or naming a changed module. For `make check`.

python tests/touched.py [COMMIT]      (default: what differs from HEAD)
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
ALWAYS = ("tests/kits/test_contract.py",)


def touched(changed: Iterable[str], tests: dict[str, str]) -> list[str]:
    """Names of the tests for changed files, those of every part among them.

    A file of tests counts whole where it is changed, imports a changed module, or is called after it or after the kit
    of a changed part. Where it names a changed part by its spec, only the tests that do so count: one metric stands in
    many files that take minutes.

    Parameters
    ----------
    changed : iterable of str
        Paths from the top of the repository.
    tests : dict of str
        Text of each test file, by its path.
    """
    whole = {name for name in changed if name in tests} | {name for name in ALWAYS if name in tests}
    single: set[str] = set()
    for path in changed:
        source = re.fullmatch(r"src/bonectl/((?:\w+/)*)(\w+)\.py", path)
        if source is None:
            continue
        room, name = source[1].strip("/").replace("/", "."), source[2]
        imports = rf"bonectl\.{room}\.{name}\b|from bonectl\.{room} import [^\n]*\b{name}\b"
        called = (f"/test_{name}.py", f"/kits/test_{room}.py")  # after the module, or after the part's kit
        whole |= {test for test, text in tests.items() if test.endswith(called) or re.search(imports, text)}
        spec = rf"[\"'(+ ]{name}\("
        single |= {f"{test}::{each}" for test, text in tests.items() for each in _naming(spec, text)}
    return sorted(whole | {each for each in single if each.partition("::")[0] not in whole})


def _naming(pattern: str, text: str) -> Iterator[str]:
    """Names of the test functions of a file in whose text, decorators included, there is a pattern."""
    if not re.search(pattern, text):
        return
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if re.search(pattern, "\n".join(lines[first - 1 : node.end_lineno])):
                yield node.name


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
