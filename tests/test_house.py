"""The house stays habitable: short files, short commands, few parameters, few exceptions from the linter's rules."""

import ast
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "bonectl"
FILES = sorted(SOURCE.rglob("*.py"))

MOST_LINES = 400
MOST_OF_A_COMMAND = 60
MOST_EXCEPTIONS = 15
# Parameters of a function, and how many may have more: parts whose knobs they are. Kernels take arrays one by one, and
# a command has as many options as its users need.
MOST_PARAMETERS, MOST_WITH_MORE = 7, 10
KERNELS = ("projection/numba", "projection/triton", "cli")


def functions(path):
    """Functions of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def parameters(function):
    """How many a function takes, itself aside."""
    given = function.args
    names = [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def statements(function):
    """Lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_a_file_is_read_at_one_sitting():
    lengths = {str(path.relative_to(SOURCE)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_a_command_says_what_it_does_on_one_page():
    for path in (SOURCE / "cli").glob("*.py"):
        for function in functions(path):
            assert statements(function) <= MOST_OF_A_COMMAND, f"{path.name}: {function.name}"


def test_few_functions_take_many_parameters():
    found = [
        f"{path.relative_to(SOURCE)}:{function.name}"
        for path in FILES
        if not str(path.relative_to(SOURCE)).startswith(KERNELS)
        for function in functions(path)
        if parameters(function) > MOST_PARAMETERS
    ]
    assert len(found) <= MOST_WITH_MORE, found


def test_few_lines_are_exceptions_from_the_rules():
    found = [path.name for path in FILES for line in path.read_text(encoding="utf-8").splitlines() if "noqa" in line]
    assert len(found) <= MOST_EXCEPTIONS, found
