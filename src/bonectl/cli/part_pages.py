"""What a part's docstring says to who writes its name in a shell, as roff: nothing of what flows in Python."""

import re
from collections.abc import Iterable

import bonectl
from bonectl.cli.roff import escape
from bonectl.core import kit


def entry(part: kit.Part) -> str:
    """What a part's numpydoc text says to who writes its name in a shell: nothing of what flows in Python."""
    prose, *rest = re.split(r"^(\w+)\n-{3,}$", _shell_words(part.doc), flags=re.MULTILINE)
    titled = dict(zip(rest[::2], rest[1::2], strict=True))
    given = titled.get("Parameters", "")
    blocks = [_prose(prose), _knobs(given, part.knobs)]
    if wanted := _wanted(given, part.knobs):
        blocks.append(f".PP\n{roff(f'Input: {wanted}')}")
    if gives := _gives(titled.get("Returns", "")):
        blocks.append(f".PP\n{roff(f'Gives {gives}.')}")
    if refused := [_refusal(*entry) for entry in entries_of(titled.get("Raises", ""))]:
        blocks.append(f".PP\n{roff('Ends with status ' + '; with '.join(refused) + '.')}")
    if notes := _prose(titled.get("Notes", "")):
        blocks.append(f".PP\n{notes}")
    return "\n".join(filter(None, blocks))


def _shell_words(doc: str) -> str:
    """A docstring whose references into the code are words, or the page of the part that they name."""
    doc = re.sub(r"\s*\(`bonectl\.[\w.]+`\)|^See `bonectl\.[\w.]+`\.$", "", doc, flags=re.MULTILINE)

    def words(reference: re.Match[str]) -> str:
        *folders, name = reference[1].split(".")
        if folders and folders[0] in kit.NAMES and folders[-1] in (folders[0], name):
            return f"{name} in bonectl-{folders[0]}(7)"
        return name.replace("_", " ")

    return re.sub(r"`bonectl\.([\w.]+)`", words, doc)


def entries_of(text: str) -> list[tuple[str, str]]:
    """Heads and texts of a numpydoc list."""
    found = re.findall(r"^(\S.*)\n?((?:^[ \t]+.*\n?)*)", text.strip("\n"), flags=re.MULTILINE)
    return [(head, " ".join(body.split())) for head, body in found]


def _knobs(text: str, knobs: Iterable[str]) -> str:
    """The entries of knobs; what flows is left out, and so are types but for the words to choose from."""
    lines = []
    for head, meaning in entries_of(text):
        names, _, kind = head.partition(" : ")
        if mine := [name for name in names.split(", ") if name in knobs]:
            choices = f" One of {kind.strip('{}').replace(chr(34), '')}." if kind.startswith("{") else ""
            lines.append(f".TP\n.B {escape(', '.join(mine))}\n{roff(meaning + choices)}")
    return "\n".join(lines)


# What flows into a part and is made by the program, and what is said of all data alike: no conditions.
_MADE = {"A", "y", "counts", "grid", "header", "rng", "rows", "size", "slices", "spacing", "voxel"}
_ALIKE = {"With a target, (b, z, y, x), normalised units", "Of the volume", "Empty"}


def _wanted(text: str, knobs: Iterable[str]) -> str:
    """What a part wants of its input: the conditions on what flows."""
    said: list[str] = []
    for head, meaning in entries_of(text):
        names = head.partition(" : ")[0]
        if names not in _MADE and not set(names.split(", ")) & set(knobs):
            said += [part for part in re.split(r"[.;] |[.]$", meaning) if part and part not in _ALIKE]
    return "; ".join(map(lower, said)) + "." if said else ""


def _refusal(errors: str, text: str) -> str:
    """A status, and when a part ends with it."""
    numbers = [str(getattr(bonectl.errors, error).status) for error in errors.split(", ")]
    return f"{' or '.join(numbers)} {lower(text.rstrip('.'))}"


def _gives(text: str) -> str:
    """The numbers of a metric with their units, or what else is said with a unit; empty where nothing is."""
    entries = entries_of(text)
    if all(" : " in head for head, _ in entries):
        return ", ".join("{} [{}]".format(*head.split(" : ")) for head, _ in entries)
    said = " ".join(body for _, body in entries)
    if "[" not in said or "→" in said:
        return ""
    return ("a number " if said.startswith("[") else "") + lower(said.rstrip("."))


def _prose(text: str) -> str:
    """Paragraphs as roff: filled, but for indented ones and tables, which are kept as they are."""
    out: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.splitlines()
        if any(line.startswith((" ", "\t", "=")) for line in lines):
            out += [".PP", ".nf", *map(roff, lines), ".fi"]
        elif lines:
            out += [".PP", roff(" ".join(block.split()))]
    return "\n".join(out[1:])


def roff(text: str) -> str:
    """Text for roff, what stands in backticks in bold."""
    return re.sub(r"(?:\\\(ga)+(.+?)(?:\\\(ga)+", r"\\fB\1\\fR", escape(text))


def lower(text: str) -> str:
    """A sentence as it goes on behind another."""
    return text[:1].lower() + text[1:]
