"""The manual names the environment variables that the source reads, and no others."""

import ast
from pathlib import Path

import bonectl
from bonectl.cli import manual
from bonectl.cli.environment import VARIABLES

SOURCES = sorted(Path(bonectl.__file__).parent.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}

# Variables that a library reads for us, and the word in our source that has it do so.
THROUGH = {
    "HOME": "expanduser",
    "TMPDIR": "tempfile",
    "NO_COLOR": "rich.console",
    "TERM": "rich.console",
    "COLUMNS": "rich.console",
}


def is_environment(node):
    return ast.unparse(node) in ("os.environ", "environ")


def keys(tree):
    """Expressions that name a variable of the environment, each with the innermost function that it stands in."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for key in _keys(tree):
        yield key, next((f for f in reversed(functions) if key in ast.walk(f)), None)


def _keys(tree):
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=value, slice=key) if is_environment(value):
                yield key
            case ast.Compare(left=key, comparators=[right]) if is_environment(right):
                yield key
            case ast.Call(func=ast.Attribute(value=value), args=[key, *_]) if is_environment(value):
                yield key
            case ast.Call(func=ast.Attribute(attr="getenv") | ast.Name(id="getenv"), args=[key, *_]):
                yield key


def assigned(tree):
    """Constant text by the name that it is given anywhere in a module."""
    there = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                pairs = zip(target.elts, node.value.elts, strict=True) if _are_tuples(target, node.value) else []
                for name, value in [(target, node.value), *pairs]:
                    if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                        there[name.id] = value.value
    return there


def _are_tuples(target, value):
    return isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)


def given(parameter, function):
    """Texts that calls anywhere give to a parameter of a function."""
    parameters = [argument.arg for argument in function.args.args]
    for tree in TREES.values():
        for call in [node for node in ast.walk(tree) if isinstance(node, ast.Call)]:
            called = getattr(call.func, "attr", getattr(call.func, "id", None))
            if called == function.name and len(call.args) == len(parameters):  # others of the name take other numbers
                yield from named(call.args[parameters.index(parameter)], tree, None)


def named(key, tree, function):
    """The variables that an expression may name."""
    match key:
        case ast.Constant(value=str(name)):
            return [name]
        case ast.Name(id=name) if name in assigned(tree):
            return [assigned(tree)[name]]
        case ast.Name(id=name) if function is not None:
            return list(given(name, function))
    raise AssertionError(f"cannot tell which variable {ast.unparse(key)} is")


def test_the_manual_names_what_is_read_and_nothing_else():
    read = {name for tree in TREES.values() for key, function in keys(tree) for name in named(key, tree, function)}
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES if path.name != "environment.py")
    read |= {name for name, word in THROUGH.items() if word in text}
    assert set(VARIABLES) == read


def test_each_variable_has_one_sentence_in_the_page():
    section = manual.files()["man/bonectl.1"].partition(".SH ENVIRONMENT")[2].partition(".SH ")[0]
    for name, sentence in VARIABLES.items():
        assert f".B {name}\n" in section
        assert sentence[0].isupper() or sentence.startswith("~")
        assert sentence.endswith(".")
        assert ". " not in sentence
