"""A folder is a register: list, describe and load the parts of a kit.

A part is one file with one public function of the same name, or one class (``wgan.py`` holds ``Wgan``). Names, knobs
and summaries are read from the source as text, so that help, completion and early checks import nothing; of a class its
first base is read too, so that parts which share knobs state them once. What the system must know of a part beyond
that (`FACTS`) stands in its file too, as constants: nothing is kept elsewhere under a part's name.
"""

import ast
import difflib
import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

from bonectl.core import shipped
from bonectl.core.spec import Spec, Value
from bonectl.errors import UsageError

NAMES = (
    "losses", "models", "pairings", "methods", "metrics", "phantoms", "geometries", "noises", "calibrations",
    "segmentations", "regions", "scanners", "io", "preparations",
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
    "pairings": {"BLIND": "whether targets are the inputs themselves, so that the model must be blind to each slice"},
    "calibrations": {"READS": "units of the values that it reads"},
    "scanners": {
        "TITLE": "what people call files of this kind",
        "PLACE": "when it is asked whether a file or folder is its, from 1: the surest signs first",
        "EXTRA": "the extra of the installation that it needs, as in bonectl[hdf5], or ''",
    },
    "io": {
        "TITLE": "what people call the format",
        "SUFFIXES": "ends of names that stand for it, in lower case, the usual one first",
        "BEGINS": "first bytes of its files, any of these; none where another format's reader takes them",
    },
    "preparations": {
        "WORKS": "on what it works: projections, sinograms, or either",
        "READS": "units of the scan that it reads",
        "GIVES": "the unit that it gives; '' is the one that it was given",
        "MOVES": "whether what it gives has another geometry than what it was given",
        "ASKS": "whether it asks where the axis is, and so comes after it is known",
        "FRAMES": "whether it looks at flats and darks",
        "BESIDE": "how many detector rows on either side of its own a row depends on; None: all",
        "BYTES": "what it works in at its peak [byte per value of a plane]",
        "PACE": "how long one thread works on a value [ns]",
    },
}

# Kits whose part is a whole file with functions of its own, any of those that the kit knows (`read`, `write`).
FILES = ("io",)

# What one part of a kit is called, where it is not the kit's name without its s.
_NOUNS = {"losses": "loss", "geometries": "geometry", "io": "format"}

_Node = ast.FunctionDef | ast.ClassDef

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
    called : str
        Name of the function or class; empty where the part is a whole file (`FILES`).
    flows : tuple of str
        Names of the positional parameters, of a class those of its ``__call__``.
    facts : mapping
        The file's constants that are literals, by name.
    functions : mapping
        Knobs of every other public function of the file, by its name.
    """

    name: str
    knobs: Mapping[str, Value]
    kinds: Mapping[str, Value]
    doc: str
    called: str
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
def defining(kit: str, function: str) -> tuple[str, ...]:
    """Names of the parts whose files have a function of that name; found as text, for help that must be quick."""
    return tuple(name for name in names(kit) if f"\ndef {function}(" in _text(kit, name))


def summary(kit: str, name: str) -> str:
    """First line of what a part says of itself; found as text, for help that must be quick."""
    text = _text(kit, name)
    _, _, after = text.partition(f"\nclass {name}(" if f"\nclass {name}(" in text else f"\ndef {name}(")
    return after.partition('"""')[2].partition("\n")[0].removesuffix('"""')


@cache
def _text(kit: str, name: str) -> str:
    return (_folder(kit) / f"{name}.py").read_text(encoding="utf-8")


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
    if kit in FILES:
        doc = inspect.cleandoc(ast.get_docstring(tree) or "")
        return Part(name, {}, {}, doc, called="", facts=_facts(tree), functions=_functions(tree, ""))
    part = _part(tree, name)
    if part is None:
        raise AssertionError(f"{kit}/{name}.py defines no {name}")
    lineage = _lineage(tree, part)
    makers = _makers(lineage)
    return Part(
        name,
        knobs={knob: default for maker in makers for knob, default in _knobs(maker).items()},
        kinds={knob: kind for maker in makers for knob, kind in _kinds(maker).items()},
        doc=_doc(lineage),
        called=part.name,
        flows=_flows(lineage),
        facts=_facts(tree),
        functions=_functions(tree, name),
    )


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
    called = function or describe(kit, name).called
    file = importlib.import_module(f"bonectl.{kit}.{name}")
    return getattr(file, called) if called else file


def bind(kit: str, spec: Spec, function: str | None = None) -> Callable[..., Any]:
    """The part with its knobs set, or another public function of its file; what flows is still to come.

    Raises
    ------
    UsageError
        When the kit has no such part, or the part no such knob.
    """
    check(kit, [spec])
    part = load(kit, spec.name, function)
    is_made = isinstance(part, type) and describe(kit, spec.name).flows
    return part(**spec.knobs) if is_made else partial(part, **spec.knobs)


def ask(kit: str, spec: Spec, function: str) -> Any:
    """What another public function of a part's file says of it, by those of its knobs that the function takes."""
    takes = describe(kit, spec.name).functions[function]
    return load(kit, spec.name, function)(**{name: value for name, value in spec.knobs.items() if name in takes})


def in_full(kit: str, spec: Spec) -> Spec:
    """A part with every knob written out: what it means whatever the defaults become."""
    return Spec(spec.name, {**describe(kit, spec.name).knobs, **spec.knobs})


def known(kit: str, name: str) -> None:
    """Refuse a name that is not in the kit, with a suggestion."""
    there = names(kit)
    if name in there:
        return
    trained = list(shipped.networks()) if kit == "models" else []
    if name in trained:
        raise UsageError(
            f"{name} is a network that is trained already; give it alone to `bonectl denoise --model {name}`, or begin "
            f"with its weights by `bonectl train --init-from {name}`"
        )
    noun, also = _NOUNS.get(kit, kit.removesuffix("s")), f", and trained already: {', '.join(trained)}" * bool(trained)
    raise UsageError(f"no {noun} {name!r}{suggestion(name, [*there, *trained])}; there are {', '.join(there)}{also}")


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


def _part(tree: ast.Module, name: str) -> _Node | None:
    """The function of a part's name; where there is none, the class."""
    functions: list[_Node] = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name.lower() == name]
    return next(iter([*functions, *classes]), None)


def _lineage(tree: ast.Module, part: _Node) -> list[_Node]:
    """A part, and the first bases of a class that are of this package: the text says from which file each comes."""
    bases = part.bases if isinstance(part, ast.ClassDef) else []
    base = next((node.id for node in bases if isinstance(node, ast.Name)), None)
    for node in tree.body:
        match node:
            case ast.ImportFrom(module=str(module), names=names) if base in [alias.name for alias in names]:
                file = Path(__file__).parents[1].joinpath(*module.split(".")[1:]).with_suffix(".py")
                there = ast.parse(file.read_text(encoding="utf-8"))
                classes = [n for n in there.body if isinstance(n, ast.ClassDef) and n.name == base]
                return [part, *chain.from_iterable(_lineage(there, n) for n in classes)]
    return [part]


def _makers(lineage: Sequence[_Node]) -> list[ast.FunctionDef]:
    """What takes the knobs: a function, or constructors; that of the base where ``**knobs`` are handed on to it."""
    found = []
    for node in lineage:
        if maker := _method(node, "__init__"):
            found.append(maker)
            if maker.args.kwarg is None:
                break
    return found


def _method(node: _Node, name: str) -> ast.FunctionDef | None:
    """A method of a class; a function is its own."""
    if isinstance(node, ast.FunctionDef):
        return node
    return next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == name), None)


def _doc(lineage: Sequence[_Node]) -> str:
    """The docstring, with the parameters of the base behind those of the class."""
    doc, *bases = [inspect.cleandoc(ast.get_docstring(node) or "") for node in lineage]
    for base in bases:
        inherited = _PARAMETERS.search(base)
        if inherited is None:
            continue
        own = _PARAMETERS.search(doc)
        place = own.end() if own else min([m.start() for m in _SECTION.finditer(doc)], default=len(doc))
        doc = doc[:place] + (f"\n{inherited[1]}" if own else f"\n\n{inherited[0]}") + doc[place:]
    return doc


# Sections of numpydoc: the entries of the parameters, and where a section begins.
_PARAMETERS = re.compile(r"^Parameters\n-+\n(.*?)(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)
_SECTION = re.compile(r"\n\n\w+\n---")


def _flows(lineage: Sequence[_Node]) -> tuple[str, ...]:
    takers = [taker for node in lineage if (taker := _method(node, "__call__"))]
    return tuple(arg.arg for arg in takers[0].args.args if arg.arg != "self") if takers else ()


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
