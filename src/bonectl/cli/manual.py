"""Man pages and shell completions, made from the app, the kits and the error classes.

``python -m bonectl.cli.manual`` rewrites ``man/`` and ``completions/``; a test compares them with what is
committed. Typer's command tree is walked as it is: none of the man-page tools for click can see it.
"""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import bonectl
from bonectl.cli import environment, geometry_page, headings, stream_page
from bonectl.cli.app import COMMANDS, app
from bonectl.cli.options import KIT_OF
from bonectl.cli.roff import escape
from bonectl.core import kit
from bonectl.errors import BonectlError


@dataclass(frozen=True)
class Option:
    """One option or argument of a command, as its help shows it."""

    name: str
    flags: tuple[str, ...]
    metavar: str
    help: str
    default: str
    choices: tuple[str, ...]
    is_argument: bool
    is_flag: bool
    repeats: bool
    required: bool


@dataclass(frozen=True)
class Command:
    """One command: its name, documentation and options."""

    name: str
    summary: str
    description: tuple[str, ...]
    examples: tuple[str, ...]
    options: tuple[Option, ...]


def commands() -> list[Command]:
    """All commands of the app, in its order."""
    from typer.main import get_command

    tree: Any = get_command(app)
    return [_command(name, tree.commands[name]) for name in COMMANDS]


def _command(name: str, command: Any) -> Command:
    text, _, examples = (command.help or "").partition("\b\nExamples:\n")
    summary, *paragraphs = [_paragraph(p) for p in text.strip().split("\n\n")]
    lines = _lines(examples)
    options = tuple(_option(parameter) for parameter in command.params if not getattr(parameter, "hidden", False))
    return Command(name, summary, tuple(paragraphs), lines, options)


def _paragraph(text: str) -> str:
    """Text in one line, but for what the help keeps as it is."""
    return text.removeprefix("\b\n") if text.startswith("\b\n") else " ".join(text.split())


def _lines(examples: str) -> tuple[str, ...]:
    """Command lines, each with its continuations."""
    return tuple(re.split(r"\n(?=bonectl)", inspect.cleandoc(examples)))


def _option(parameter: Any) -> Option:
    annotation = parameter.type_descriptor.annotation
    inner = [a for a in (annotation, *getattr(annotation, "__args__", ())) if isinstance(a, type)]
    choices = [member.value for a in inner if issubclass(a, Enum) for member in a]
    default = parameter.default.value if isinstance(parameter.default, Enum) else parameter.default
    if isinstance(parameter.show_default, str):
        default = parameter.show_default
    is_flag = bool(getattr(parameter, "is_flag", False))
    shown = "" if default in (None, "", [], ()) or is_flag or parameter.show_default is False else str(default)
    word = parameter.metavar or ("|".join(choices) if choices else str(parameter.name).upper())
    is_argument = not parameter.opts[0].startswith("-")
    return Option(
        name=str(parameter.name),
        flags=tuple(parameter.opts) + tuple(parameter.secondary_opts),
        metavar="" if is_flag else word,
        help=" ".join((parameter.help or "").split()),
        default=shown,
        choices=tuple(choices),
        is_argument=is_argument,
        is_flag=is_flag,
        repeats=bool(getattr(parameter, "multiple", False)) or (is_argument and parameter.nargs == -1),
        required=bool(parameter.required),
    )


# --- man pages -------------------------------------------------------------------------------------------


def page(name: str, section: int, summary: str, sections: Mapping[str, str]) -> str:
    """One man page in man(7) macros; `sections` are already roff."""
    head = f'.TH "{name.upper()}" "{section}" "{bonectl.__date__}" "bonectl {bonectl.__version__}" "bonectl manual"'
    body = [f".SH {title}\n{text.strip()}" for title, text in sections.items() if text.strip()]
    return "\n".join([head, ".SH NAME", f"{escape(name)} \\- {escape(summary)}", *body]) + "\n"


def command_page(command: Command) -> str:
    """The page of one command."""
    arguments = [o for o in command.options if o.is_argument]
    options = [o for o in command.options if not o.is_argument]
    synopsis = f".B bonectl {command.name}\n[\\fIoptions\\fR]" + "".join(f"\n{_synopsis(o)}" for o in arguments)
    kits = sorted({KIT_OF[o.name] for o in options if o.name in KIT_OF})
    others = [f"bonectl-{k}(7)" for k in kits] + ["bonectl-stream(5)", "bonectl(1)"]
    sections = {
        "SYNOPSIS": synopsis,
        "DESCRIPTION": _paragraphs([f"{command.summary}", *command.description]),
        "ARGUMENTS": "".join(map(_entry, arguments)),
        "OPTIONS": _headed(command.name, options),
        "EXIT STATUS": ".TP\n.B 0\ndone; the output is complete" + statuses(),
        "EXAMPLES": _examples(command.examples),
        "SEE ALSO": _see(others),
    }
    return page(f"bonectl-{command.name}", 1, _lower(command.summary.rstrip(".")), sections)


def _headed(command: str, options: list[Option]) -> str:
    """The options under the headings that the help has."""
    text = ""
    for heading in headings.ORDER:
        under = [o for o in options if headings.heading(command, o.name) == heading]
        text += f"\n.SS {heading}" + "".join(map(_entry, under)) if under or heading == headings.SPEECH else ""
    return text + '\n.TP\n.BR \\-h ", " \\-\\-help\nShow the help and leave.'


def main_page(everything: list[Command]) -> str:
    """bonectl(1)."""
    from typer.main import get_command

    tree: Any = get_command(app)
    text, _, examples = tree.help.partition("\b\nExamples:\n")
    listed = "".join(f"\n.TP\n.BR bonectl\\-{c.name} (1)\n{escape(c.summary)}" for c in everything)
    kits = [f"bonectl-{k}(7)" for k in kit.NAMES if kit.names(k)]
    sections = {
        "SYNOPSIS": ".B bonectl\n\\fIcommand\\fR [\\fIoptions\\fR] [\\fIarguments\\fR]",
        "DESCRIPTION": _paragraphs([" ".join(p.split()) for p in text.strip().split("\n\n")]) + _STREAMS,
        "COMMANDS": listed,
        "ESTIMATES": escape(_ESTIMATES),
        "EXIT STATUS": ".TP\n.B 0\ndone; the output is complete" + statuses(),
        "ENVIRONMENT": "".join(f"\n.TP\n.B {escape(k)}\n{escape(v)}" for k, v in environment.VARIABLES.items()),
        "EXAMPLES": _examples(_lines(examples)),
        "SEE ALSO": _see([f"bonectl-{c.name}(1)" for c in everything] + ["bonectl-stream(5)", *kits]),
    }
    return page("bonectl", 1, "low-dose bone micro-CT in the shell", sections)


_STREAMS = """
.PP
Data go to standard output, speech goes to standard error. A command reads standard input when no path is given,
and writes standard output when no
.B \\-o
is given; binary data are never written to a terminal. An output file appears under its name only when it is
complete. In pipelines use
.BR "set \\-o pipefail" .
"""

_ESTIMATES = """
With --dry-run a command prints what it would write and what that takes, a line of key, tab and value each; with --json
too it is one JSON object of the schema bonectl.plan/1: command, output, format, shape, axes, dtype, unit,
output_bytes, and, where they are known, free_bytes (on the disk of the output), memory_bytes,
memory_at_worst_bytes (for an object that is cut off by the detector), memory_limit_bytes (what may be taken),
scratch_bytes (of a temporary file), block (how much is worked on at a time), seconds, and threads.
"""


def kit_page(name: str) -> str:
    """bonectl-KIT(7): every part with its knobs, as who writes it in a shell meets it."""
    entries = []
    for part_name in kit.names(name):
        part = kit.describe(name, part_name)
        title = _format_title(part) if name == "io" else part.call
        entries.append(f".SS {escape(title)}\n{_part(part)}")
    flags = [f"--{option}" for option, k in KIT_OF.items() if k == name]
    where = f"Named by {' or '.join(flags)}. " if flags else ""
    language = _FORMATS if name == "io" else _LANGUAGE
    sections = {
        "DESCRIPTION": escape(where + " ".join(language.split())),
        "PARTS": "\n".join(entries),
        "SEE ALSO": _see(["bonectl(1)"]),
    }
    known = "formats" if name == "io" else name
    return page(f"bonectl-{name}", 7, f"the {known} that bonectl knows", sections)


_LANGUAGE = "A part is written name(knob=value, ...); what is not given keeps the default shown."

_FORMATS = """
A file is read in the format that its first bytes tell, whatever its name. It is written in the format that the end of
its name stands for, or in that of --format.
"""


def _format_title(part: kit.Part) -> str:
    """Name, suffixes, and what is done with a format."""
    done = [word for function, word in (("read", "read"), ("write", "written")) if function in part.functions]
    return f"{part.name}: {part.facts['TITLE']} ({', '.join(part.facts['SUFFIXES'])}), {' and '.join(done)}"


def statuses() -> str:
    """Exit statuses, from the error classes and the signals."""
    classes: list[type[BonectlError]] = [BonectlError, *BonectlError.__subclasses__()]
    rows = [
        (str(c.status), (c.__doc__ or "").strip().partition("\n")[0]) for c in sorted(classes, key=lambda c: c.status)
    ]
    rows.append(("130, 143, 129, 141", "ended by ^C, SIGTERM, SIGHUP, or a reader that went away"))
    return "".join(f"\n.TP\n.B {status}\n{escape(text)}" for status, text in rows)


def _entry(option: Option) -> str:
    flags = ", ".join(f"\\fB{escape(flag)}\\fR" for flag in option.flags)
    if option.is_argument:
        flags = f"\\fI{escape(option.metavar)}\\fR"
    value = f" \\fI{escape(option.metavar)}\\fR" if option.metavar and not option.is_argument else ""
    notes = [f"Default: {option.default}."] if option.default else []
    notes += ["Required."] * option.required + ["May be given more than once."] * option.repeats
    return f"\n.TP\n{flags}{value}\n{escape(' '.join([option.help, *notes]))}"


def _synopsis(option: Option) -> str:
    word = f"\\fI{escape(option.metavar)}\\fR{'...' if option.repeats else ''}"
    return word if option.required else f"[{word}]"


def _paragraphs(paragraphs: Iterable[str]) -> str:
    return "\n.PP\n".join(f".nf\n{escape(p)}\n.fi" if "\n" in p else escape(p) for p in paragraphs if p)


def _examples(lines: Iterable[str]) -> str:
    return "\n.nf\n" + "\n".join(escape(line) for line in lines) + "\n.fi" if lines else ""


def _see(pages: Iterable[str]) -> str:
    refs = [f".BR {escape(p[:-3])} {p[-3:]}" for p in pages]
    return " ,\n".join(refs).replace(") ,", "),")


def _part(part: kit.Part) -> str:
    """What a part's numpydoc text says to who writes its name in a shell: nothing of what flows in Python."""
    prose, *rest = re.split(r"^(\w+)\n-{3,}$", _shell_words(part.doc), flags=re.MULTILINE)
    titled = dict(zip(rest[::2], rest[1::2], strict=True))
    given = titled.get("Parameters", "")
    blocks = [_prose(prose), _knobs(given, part.knobs)]
    if wanted := _wanted(given, part.knobs):
        blocks.append(f".PP\n{_roff(f'Input: {wanted}')}")
    if gives := _gives(titled.get("Returns", "")):
        blocks.append(f".PP\n{_roff(f'Gives {gives}.')}")
    if refused := [_refusal(*entry) for entry in _entries(titled.get("Raises", ""))]:
        blocks.append(f".PP\n{_roff('Ends with status ' + '; with '.join(refused) + '.')}")
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


def _entries(text: str) -> list[tuple[str, str]]:
    """Heads and texts of a numpydoc list."""
    found = re.findall(r"^(\S.*)\n?((?:^[ \t]+.*\n?)*)", text.strip("\n"), flags=re.MULTILINE)
    return [(head, " ".join(body.split())) for head, body in found]


def _knobs(text: str, knobs: Iterable[str]) -> str:
    """The entries of knobs; what flows is left out, and so are types but for the words to choose from."""
    lines = []
    for head, meaning in _entries(text):
        names, _, kind = head.partition(" : ")
        if mine := [name for name in names.split(", ") if name in knobs]:
            choices = f" One of {kind.strip('{}').replace(chr(34), '')}." if kind.startswith("{") else ""
            lines.append(f".TP\n.B {escape(', '.join(mine))}\n{_roff(meaning + choices)}")
    return "\n".join(lines)


# What flows into a part and is made by the program, and what is said of all data alike: no conditions.
_MADE = {"A", "y", "counts", "grid", "header", "rng", "rows", "size", "slices", "spacing", "voxel"}
_ALIKE = {"With a target, (b, z, y, x), normalised units", "Of the volume", "Empty"}


def _wanted(text: str, knobs: Iterable[str]) -> str:
    """What a part wants of its input: the conditions on what flows."""
    said: list[str] = []
    for head, meaning in _entries(text):
        names = head.partition(" : ")[0]
        if names not in _MADE and not set(names.split(", ")) & set(knobs):
            said += [part for part in re.split(r"[.;] |[.]$", meaning) if part and part not in _ALIKE]
    return "; ".join(map(_lower, said)) + "." if said else ""


def _refusal(errors: str, text: str) -> str:
    """A status, and when a part ends with it."""
    numbers = [str(getattr(bonectl.errors, error).status) for error in errors.split(", ")]
    return f"{' or '.join(numbers)} {_lower(text.rstrip('.'))}"


def _gives(text: str) -> str:
    """The numbers of a metric with their units, or what else is said with a unit; empty where nothing is."""
    entries = _entries(text)
    if all(" : " in head for head, _ in entries):
        return ", ".join("{} [{}]".format(*head.split(" : ")) for head, _ in entries)
    said = " ".join(body for _, body in entries)
    if "[" not in said or "→" in said:
        return ""
    return ("a number " if said.startswith("[") else "") + _lower(said.rstrip("."))


def _prose(text: str) -> str:
    """Paragraphs as roff: filled, but for indented ones and tables, which are kept as they are."""
    out: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.splitlines()
        if any(line.startswith((" ", "\t", "=")) for line in lines):
            out += [".PP", ".nf", *map(_roff, lines), ".fi"]
        elif lines:
            out += [".PP", _roff(" ".join(block.split()))]
    return "\n".join(out[1:])


def _roff(text: str) -> str:
    """Text for roff, what stands in backticks in bold."""
    return re.sub(r"(?:\\\(ga)+(.+?)(?:\\\(ga)+", r"\\fB\1\\fR", escape(text))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


# --- completions -----------------------------------------------------------------------------------------


def _values(option: Option) -> tuple[str, ...]:
    """Words that complete an option's value; empty where any file may stand."""
    if option.name == "format":
        return kit.defining("io", "write")
    return tuple(kit.names(KIT_OF[option.name])) if option.name in KIT_OF else option.choices


def bash(everything: list[Command]) -> str:
    """Completion for bash."""
    lines = [
        "# bash completion for bonectl, made by python -m bonectl.cli.manual",
        "_bonectl() {",
        "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}",
        "  local IFS=$'\\n'  # words and names of files may hold blanks",
        "  COMPREPLY=()",
        f'  if [ "$COMP_CWORD" -eq 1 ]; then {_chosen([c.name for c in everything] + ["--help", "--version"])}; fi',
        '  case "$command $prev" in',
    ]
    for c in everything:
        for option in c.options:
            if values := _values(option):
                cases = "|".join(f'"{c.name} {flag}"' for flag in option.flags)
                lines.append(f"    {cases}) {_chosen(values)} ;;")
    lines += ["  esac", '  case "$cur" in', '    -*) case "$command" in']
    for c in everything:
        flags = [flag for o in c.options if not o.is_argument for flag in o.flags]
        lines.append(f"      {c.name}) {_chosen([*flags, '--help'])} ;;")
    lines += [
        "    esac ;;",
        "  esac",
        f'  if [ "$command" = phantom ] && [ "$COMP_CWORD" -eq 2 ]; then {_chosen(kit.names("phantoms"))}; fi',
        '  COMPREPLY=($(compgen -f -- "$cur"))',
        "}",
        "complete -o filenames -F _bonectl bonectl",
    ]
    return "\n".join(lines) + "\n"


def _chosen(words: Iterable[str]) -> str:
    """Bash that completes one of `words`, each of which may hold blanks."""
    listed = "\\n".join(words)
    return f"COMPREPLY=($(compgen -W $'{listed}' -- \"$cur\")); return"


def zsh(everything: list[Command]) -> str:
    """Completion for zsh."""

    def quoted(text: str) -> str:
        return re.sub(r"([\[\]:\\])", r"\\\1", text).replace("'", "'\\''")

    def one(o: Option) -> Iterator[str]:
        if o.is_argument:
            words = f"({' '.join(kit.names('phantoms'))})" if o.metavar == "PHANTOM" else "_files"
            yield f"'{'*' if o.repeats else ''}:{o.metavar.lower()}:{words}'"
            return
        value = f"({' '.join(word.replace(' ', chr(92) + ' ') for word in _values(o))})" if _values(o) else "_files"
        for flag in o.flags:
            tail = "" if o.is_flag else f":{quoted(o.metavar.lower())}:{value}"
            yield f"'{'*' if o.repeats else ''}{flag}[{quoted(o.help)}]{tail}'"

    lines = ["#compdef bonectl", "# zsh completion for bonectl, made by python -m bonectl.cli.manual", "_bonectl() {"]
    lines += ["  local -a commands=("]
    lines += [f"    '{c.name}:{quoted(c.summary)}'" for c in everything]
    lines += ["  )", "  if (( CURRENT == 2 )); then", "    _describe command commands", "    return", "  fi"]
    lines += ["  local command=$words[2]", "  shift words", "  (( CURRENT-- ))", "  case $command in"]
    for c in everything:
        arguments = " \\\n        ".join(line for o in c.options for line in one(o))
        lines.append(f"    {c.name})\n      _arguments \\\n        {arguments} ;;")
    return "\n".join([*lines, "  esac", "}", '_bonectl "$@"']) + "\n"


def fish(everything: list[Command]) -> str:
    """Completion for fish."""

    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    lines = ["# fish completion for bonectl, made by python -m bonectl.cli.manual"]
    for c in everything:
        lines.append(f"complete -c bonectl -n __fish_use_subcommand -a {c.name} -d {quoted(c.summary)}")
        for o in c.options:
            if o.is_argument:
                continue
            names = " ".join(f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in o.flags)
            words = " ".join(quoted(word) if " " in word else word for word in _values(o))
            values = f" -x -a {quoted(words)}" if _values(o) else "" if o.is_flag else " -r"
            seen = f"-n '__fish_seen_subcommand_from {c.name}'"
            lines.append(f"complete -c bonectl {seen} {names}{values} -d {quoted(o.help)}")
    phantoms = quoted(" ".join(kit.names("phantoms")))
    lines.append(f"complete -c bonectl -n '__fish_seen_subcommand_from phantom' -a {phantoms}")
    return "\n".join(lines) + "\n"


# --- all of it -------------------------------------------------------------------------------------------


def files() -> dict[str, str]:
    """Every generated file by its path below the top folder."""
    everything = commands()
    made = {"man/bonectl.1": main_page(everything)}
    made |= {f"man/bonectl-{c.name}.1": command_page(c) for c in everything}
    made |= {f"man/bonectl-{k}.7": kit_page(k) for k in kit.NAMES if kit.names(k)}
    summary, sections = stream_page.content()
    made["man/bonectl-stream.5"] = page("bonectl-stream", 5, summary, sections)
    summary, sections = geometry_page.content()
    made["man/bonectl-geometry-errors.7"] = page("bonectl-geometry-errors", 7, summary, sections)
    made |= {
        "completions/bonectl.bash": bash(everything),
        "completions/_bonectl": zsh(everything),
        "completions/bonectl.fish": fish(everything),
    }
    return made


def main(folder: Path) -> None:
    """Write every generated file below `folder`, and remove pages that are no longer made."""
    made = files()
    for old in (folder / "man").glob("bonectl*"):
        if f"man/{old.name}" not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="ascii" if name.startswith("man/") else "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
