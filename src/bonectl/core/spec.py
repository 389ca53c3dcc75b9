"""One small language for parts: ``name(knob=value)``, and weighted sums of them with schedules.

::

    sum   := term ('+' term)*
    term  := [weight '*'] name ['(' knob '=' value (',' knob '=' value)* ')'] ['@' when]
    when  := start ['~' full]        from `start`, ramping up linearly until `full`; steps, or % of the run
    value := number | word | 'text' | true | false | none | '[' value (',' value)* ']'

A spec prints as it is parsed, so checkpoints, histories and reports carry the text that remakes the part.
Parsing imports nothing heavy and evaluates nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType

from bonectl.errors import UsageError

Value = float | int | str | bool | None | tuple["Value", ...]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<word>[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*)
      | (?P<text>'[^'\\]*'|"[^"\\]*")
      | (?P<mark>[-+*(),=@~%\[\]])
    )""",
    re.VERBOSE,
)

_MOST_DIGITS = 40
"""Characters of a number: more say nothing that a float can hold."""

_WORDS: Mapping[str, Value] = MappingProxyType({"true": True, "false": False, "none": None})


@dataclass(frozen=True)
class When:
    """When in a run a term acts: nothing before `start`, everything from `full` on, linear between.

    Parameters
    ----------
    start, full : float
        Steps, or fractions of the run when `relative`.
    relative : bool
        Whether the numbers are fractions of the run.
    """

    start: float = 0.0
    full: float = 0.0
    relative: bool = True

    def factor(self, step: int, steps: int) -> float:
        """Share of the term's weight at `step` of `steps`, 0 to 1."""
        scale = steps if self.relative else 1
        start, full = self.start * scale, self.full * scale
        if step < start:
            return 0.0
        return 1.0 if step >= full else (step - start) / (full - start)

    def __str__(self) -> str:
        def one(number: float) -> str:
            return f"{_number(round(number * 100, 10))}%" if self.relative else _number(number)

        return one(self.start) if self.full <= self.start else f"{one(self.start)}~{one(self.full)}"


@dataclass(frozen=True)
class Spec:
    """A part by name, with the knobs that were turned.

    Parameters
    ----------
    name : str
    knobs : mapping
        Values by knob name.
    weight : float
        In a sum.
    when : When, optional
        In a schedule.
    """

    name: str
    knobs: Mapping[str, Value] = field(default_factory=dict)
    weight: float = 1.0
    when: When | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "knobs", MappingProxyType(dict(self.knobs)))

    def __str__(self) -> str:
        weight = "" if self.weight == 1 else f"{_number(self.weight)}*"
        knobs = ", ".join(f"{key}={_print(value)}" for key, value in self.knobs.items())
        when = f"@{self.when}" if self.when else ""
        return f"{weight}{self.name}{f'({knobs})' if knobs else ''}{when}"

    def __hash__(self) -> int:
        return hash(str(self))


def parse(text: str) -> Spec:
    """One part, without weight or schedule.

    Raises
    ------
    UsageError
        When `text` is not of the language, or is a sum.
    """
    terms = parse_sum(text)
    if len(terms) != 1 or terms[0].weight != 1 or terms[0].when:
        raise UsageError(f"{text!r} is a weighted sum; one part such as name(knob=value) is needed here")
    return terms[0]


def parse_sum(text: str) -> tuple[Spec, ...]:
    """A weighted sum of parts.

    Raises
    ------
    UsageError
        When `text` is not of the language.
    """
    return _Parser(text).sum()


def print_sum(terms: tuple[Spec, ...]) -> str:
    """The text that parses back to `terms`."""
    return " + ".join(map(str, terms))


def _number(value: float) -> str:
    return repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def _print(value: Value) -> str:
    match value:
        case True | False | None:
            return str(value).lower()
        case tuple():
            return f"[{', '.join(map(_print, value))}]"
        case int():
            return repr(value)
        case float():
            return repr(value)
        case str() if value not in _WORDS and (m := _TOKEN.fullmatch(value)) and m["word"] == value:
            return value
        case _:
            return f'"{value}"' if "'" in value else f"'{value}'"


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        place = 0
        end = len(text.rstrip())
        while place < end:
            match = _TOKEN.match(text, place)
            if not match:
                raise self.wrong(place, "unexpected character")
            kind = str(match.lastgroup)
            self.tokens.append((kind, match[kind], match.start(kind)))
            place = match.end()
        self.next = 0

    def wrong(self, place: int, what: str) -> UsageError:
        return UsageError(f"{self.text!r}: {what} at {self.text[place:][:12]!r}; write name(knob=value) + 0.1*name")

    def expected(self, what: str) -> UsageError:
        if self.next >= len(self.tokens):
            return UsageError(f"{self.text!r}: {what} is missing at the end; write name(knob=value) + 0.1*name")
        return self.wrong(self.tokens[self.next][2], f"{what} is expected")

    def peek(self, mark: str) -> bool:
        return self.next < len(self.tokens) and self.tokens[self.next][:2] == ("mark", mark)

    def accept(self, mark: str) -> bool:
        found = self.peek(mark)
        self.next += found
        return found

    def need(self, mark: str) -> None:
        if not self.accept(mark):
            raise self.expected(repr(mark))

    def take(self, kind: str, what: str) -> str:
        if self.next < len(self.tokens) and self.tokens[self.next][0] == kind:
            self.next += 1
            return self.tokens[self.next - 1][1]
        raise self.expected(what)

    def sum(self) -> tuple[Spec, ...]:
        terms = [self.term()]
        while self.next < len(self.tokens):
            kind, text, place = self.tokens[self.next]
            if kind == "number" and text[0] == "+":  # "a +0.1*b": the sign belongs to the sum
                self.tokens[self.next] = (kind, text[1:], place + 1)
            else:
                self.need("+")
            terms.append(self.term())
        return tuple(terms)

    def term(self) -> Spec:
        weight = 1.0
        if self.next < len(self.tokens) and self.tokens[self.next][0] == "number":
            weight = self.number(self.take("number", "a weight"))
            self.need("*")
        if not weight > 0:
            raise UsageError(f"{self.text!r}: weight {weight:g}; weights must be positive")
        name = self.take("word", "a name")
        knobs = self.knobs() if self.accept("(") else {}
        when = self.when() if self.accept("@") else None
        return Spec(name, knobs, weight, when)

    def knobs(self) -> dict[str, Value]:
        knobs: dict[str, Value] = {}
        while not self.accept(")"):
            if knobs:
                self.need(",")
            key = self.take("word", "a knob")
            if key in knobs:
                raise UsageError(f"{self.text!r}: {key} is given twice")
            self.need("=")
            knobs[key] = self.value()
        return knobs

    def value(self) -> Value:
        if self.accept("["):
            items: list[Value] = []
            while not self.accept("]"):
                if items:
                    self.need(",")
                items.append(self.value())
            return tuple(items)
        if self.next >= len(self.tokens):
            raise self.expected("a value")
        kind, text, _ = self.tokens[self.next]
        self.next += 1
        if kind == "number":
            return self.number(text)
        if kind == "text":
            return text[1:-1]
        if kind == "word":
            return _WORDS.get(text.lower(), text) if text.lower() in _WORDS else text
        self.next -= 1
        raise self.expected("a value")

    def number(self, text: str) -> float | int:
        """A finite number, and a whole one where it is written so."""
        if not isfinite(float(text)) or len(text) > _MOST_DIGITS:
            raise self.wrong(self.tokens[self.next - 1][2], "a number out of range")
        return float(text) if set(text) & set(".eE") else int(text)

    def when(self) -> When:
        start, relative = self.moment()
        if not self.accept("~"):
            return When(start, start, relative)
        full, also = self.moment()
        if relative != also or full < start:
            raise UsageError(
                f"{self.text!r}: a ramp runs from an earlier to a later moment, both in steps or both in %"
            )
        return When(start, full, relative)

    def moment(self) -> tuple[float, bool]:
        number = float(self.number(self.take("number", "a step or a percentage")))
        if number < 0:
            raise UsageError(f"{self.text!r}: a moment before the run; write @70% or @1000")
        return (number / 100, True) if self.accept("%") else (number, False)
