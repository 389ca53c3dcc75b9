"""Man pages: of the commands, from their options and help; of the kits, from their parts."""

from collections.abc import Iterable, Mapping
from typing import Any

import bonectl
from bonectl.cli import environment, headings, part_pages, tree
from bonectl.cli.app import app
from bonectl.cli.options import KIT_OF
from bonectl.cli.roff import escape
from bonectl.cli.tree import Command, Option
from bonectl.core import kit
from bonectl.errors import BonectlError


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
    return page(f"bonectl-{command.name}", 1, part_pages.lower(command.summary.rstrip(".")), sections)


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

    root: Any = get_command(app)
    text, _, examples = root.help.partition("\b\nExamples:\n")
    listed = "".join(f"\n.TP\n.BR bonectl\\-{c.name} (1)\n{escape(c.summary)}" for c in everything)
    kits = [f"bonectl-{k}(7)" for k in kit.NAMES if kit.names(k)]
    sections = {
        "SYNOPSIS": ".B bonectl\n\\fIcommand\\fR [\\fIoptions\\fR] [\\fIarguments\\fR]",
        "DESCRIPTION": _paragraphs([" ".join(p.split()) for p in text.strip().split("\n\n")]) + _STREAMS,
        "COMMANDS": listed,
        "ESTIMATES": escape(_ESTIMATES),
        "EXIT STATUS": ".TP\n.B 0\ndone; the output is complete" + statuses(),
        "ENVIRONMENT": "".join(f"\n.TP\n.B {escape(k)}\n{escape(v)}" for k, v in environment.VARIABLES.items()),
        "EXAMPLES": _examples(tree.lines_of(examples)),
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
scratch_bytes (of a temporary file), block (how much is worked on at a time), seconds, and threads. Of train it has
instead of a stack: model, loss and pairs (with every knob), stacks and shapes, unit, offset and scale (of what the
network sees), steps, batch, seed, device, and init_from_sha256 of the weights that it begins with.
"""


def kit_page(name: str) -> str:
    """bonectl-KIT(7): every part with its knobs, as who writes it in a shell meets it."""
    entries = []
    for part_name in kit.names(name):
        part = kit.describe(name, part_name)
        title = _format_title(part) if name == "io" else part.call
        entries.append(f".SS {escape(title)}\n{part_pages.entry(part)}")
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
