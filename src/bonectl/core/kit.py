"""A folder is a register: list, describe and load the parts of a kit.

A part is one file with one public function or class of the same name. Names, knobs and summaries are read
from the source as text, so that help, completion and early checks import nothing. What the system must know of a
part beyond that (`FACTS`) stands in its file too, as constants: nothing is kept elsewhere under a part's name.
"""

import ast
import difflib
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bonectl.core.spec import Spec, Value
from bonectl.errors import UsageError

NAMES = (
    "losses", "models", "pairings", "methods", "metrics", "phantoms", "geometries", "noises", "calibrations",
    "segmentations", "regions", "scanners",
)  # fmt: skip

# What every part of a kit states of itself, as constants at the top of its file, and what each means.
FACTS: Mapping[str, Mapping[str, str]] = {
    "metrics": {
        "USUAL": "when it is measured though nobody asked: structure, density, against (a reference), or never: ''",
        "PLACE": "its place in tables and pictures, from 1; of no other usual metric",
        "BYTES": "what it works in at its peak, beside values and labels of its volumes [byte per voxel]",
        "KEEPS": "what it leaves for others while the volume is held: purified, thickness",
        "SYMBOLS": "those of its numbers whose bias is drawn, each with how the field writes it",
    },
    "methods": {
        "BEAMS": "the beams that it is for",
        "USUAL": "the beams that it is taken for where no method is named",
        "CLOSED": "whether it inverts in closed form, and so needs views all around",
        "MOMENTS": "what it holds at one time: blocks of the scan, of the volume, and what the projector does then",
    },
    "models": {"LEARNS": "what it is trained on: volumes, scans, or nothing"},
    "calibrations": {"READS": "units of the values that it reads"},
    "scanners": {
        "TITLE": "what people call files of this kind",
        "PLACE": "when it is asked whether a file or folder is its, from 1: the surest signs first",
        "EXTRA": "the extra of the installation that it needs, as in bonectl[hdf5], or ''",
    },
}

# Sizes of numbers that a knob may hold.
LEAST, MOST = 1e-30, 1e12


@dataclass(frozen=True)
class Part:
    """What a part's file says of it.

    Parameters
    ----------
    name : str
    knobs : mapping
        Default value by knob name, in the order of the file.
    kinds : mapping
        A value of the knob's type by knob name: its default, or where that is None one of the annotation's first type.
    doc : str
        The whole docstring.
    flows : tuple of str
        Names of the positional parameters.
    facts : mapping
        The file's constants that are literals, by name.
    functions : mapping
        Knobs of every other public function of the file, by its name.
    """

    name: str
    knobs: Mapping[str, Value]
    kinds: Mapping[str, Value]
    doc: str
    flows: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    functions: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return self.doc.strip().partition("\n")[0]

    @property
    def call(self) -> str:
        """The part with all knobs at their defaults, as it would be written."""
        return str(Spec(self.name, self.knobs))


def names(kit: str, by: str | None = None) -> list[str]:
    """Names of all parts of a kit such as ``"losses"``, in their alphabetical order, or by one of their facts."""
    there = sorted(path.stem for path in _folder(kit).glob("[!_]*.py"))
    return there if by is None else sorted(there, key=lambda name: fact(kit, name, by))


@cache
def describe(kit: str, name: str) -> Part:
    """Read a part's knobs and docstring without importing it.

    Raises
    ------
    UsageError
        When the kit has no such part; the message names the nearest.
    """
    known(kit, name)
    tree = ast.parse((_folder(kit) / f"{name}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            init = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
            made = node if isinstance(node, ast.FunctionDef) else init[0] if init else None
            knobs, kinds = ({}, {}) if made is None else (_knobs(made), _kinds(made))
            doc = inspect.cleandoc(ast.get_docstring(node) or "")
            return Part(name, knobs, kinds, doc, _flows(made), _facts(tree), _functions(tree, name))
    raise AssertionError(f"{kit}/{name}.py defines no {name}")


def check(kit: str, specs: Iterable[Spec]) -> None:
    """Refuse unknown parts and knobs early, importing nothing.

    Raises
    ------
    UsageError
        Naming what there is instead.
    """
    for spec in specs:
        part = describe(kit, spec.name)
        if odd := [knob for knob in spec.knobs if knob not in part.knobs]:
            there = ", ".join(part.knobs) or "none"
            raise UsageError(f"{spec.name} has no knob {odd[0]!r}{suggestion(odd[0], part.knobs)}; its knobs: {there}")
        for knob, value in spec.knobs.items():
            if value != part.knobs[knob] and not _of_kind(value, part.kinds[knob]):
                raise UsageError(f"{spec.name}({knob}={value!r}); {knob} is {_kind(part.kinds[knob])}")
            if not _is_usable(value):
                raise UsageError(f"{spec.name}({knob}={value!r}); no knob is beyond {MOST:g}, or below {LEAST:g} but 0")


def fact(kit: str, name: str, which: str) -> Any:
    """One of the `FACTS` that a part's file states; nothing is imported.

    Raises
    ------
    UsageError
        When the kit has no such part.
    AssertionError
        When the part does not state it: it is incomplete.
    """
    facts = describe(kit, name).facts
    if which not in facts:
        raise AssertionError(f"{kit}/{name}.py states no {which}: {FACTS[kit][which]}")
    return facts[which]


def load(kit: str, name: str, function: str | None = None) -> Any:
    """Import one part, or another public function of its file."""
    known(kit, name)
    return getattr(importlib.import_module(f"bonectl.{kit}.{name}"), function or name)


def bind(kit: str, spec: Spec, function: str | None = None) -> Callable[..., Any]:
    """The part with its knobs set, or another public function of its file; what flows is still to come.

    Raises
    ------
    UsageError
        When the kit has no such part, or the part no such knob.
    """
    check(kit, [spec])
    return partial(load(kit, spec.name, function), **spec.knobs)


def known(kit: str, name: str) -> None:
    """Refuse a name that is not in the kit, with a suggestion."""
    there = names(kit)
    if name not in there:
        noun = {"losses": "loss", "geometries": "geometry"}.get(kit, kit.removesuffix("s"))
        raise UsageError(f"no {noun} {name!r}{suggestion(name, there)}; there are {', '.join(there)}")


def suggestion(word: str, there: Iterable[str]) -> str:
    """`` (did you mean ...?)``, or nothing when no name is near."""
    near = difflib.get_close_matches(word.lower(), list(there), n=1, cutoff=0.55)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _of_kind(value: Value, default: Value) -> bool:
    """Whether a value may stand where the default stands."""
    match default:
        case bool() | str() | tuple():
            return isinstance(value, type(default))
        case int():
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return isinstance(value, float | int) and not isinstance(value, bool)


def _is_usable(value: Value) -> bool:
    """Whether the numbers of a value are of a size that arithmetic bears: their cubes, and counts made of them."""
    if isinstance(value, tuple):
        return all(map(_is_usable, value))
    return isinstance(value, str | bool) or value is None or value == 0 or LEAST <= abs(value) <= MOST


def _kind(default: Value) -> str:
    kinds = {bool: "true or false", str: "a word", tuple: "a list [a, b]", int: "a whole number", float: "a number"}
    return f"{kinds[type(default)]}, such as {default!r}"


def _folder(kit: str) -> Path:
    spec = find_spec(f"bonectl.{kit}")
    locations = spec and spec.submodule_search_locations
    if not locations:
        raise AssertionError(f"there is no kit {kit}")
    return Path(next(iter(locations)))


def _facts(tree: ast.Module) -> dict[str, Any]:
    """Constants of a file that are literals, by their names in capitals."""
    found = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name.isupper():
                with suppress(ValueError):  # not a literal: computed
                    found[name] = ast.literal_eval(value)
    return found


def _functions(tree: ast.Module, part: str) -> dict[str, Mapping[str, Value]]:
    there = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: _knobs(node) for node in there if node.name != part and not node.name.startswith("_")}


def _flows(function: ast.FunctionDef | None) -> tuple[str, ...]:
    return () if function is None else tuple(arg.arg for arg in function.args.args if arg.arg != "self")


def _knobs(function: ast.FunctionDef) -> dict[str, Value]:
    pairs = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return {arg.arg: ast.literal_eval(default) for arg, default in pairs if default is not None}


def _kinds(function: ast.FunctionDef) -> dict[str, Value]:
    """A value of each knob's type: what may be None says its type by its annotation, as ``float | None``."""
    annotations = {arg.arg: ast.unparse(arg.annotation) if arg.annotation else "" for arg in function.args.kwonlyargs}
    return {
        knob: _EXAMPLES[annotations[knob].partition(" |")[0]] if default is None else default
        for knob, default in _knobs(function).items()
    }


_EXAMPLES: Mapping[str, Value] = {"float": 1.0, "int": 1, "str": "word", "bool": True}
