"""Completions for bash, zsh and fish.

zsh shows options under the headings of the help (`bonectl.cli.headings`) where its user has asked for groups
(``zstyle ':completion:*' format %d`` and ``zstyle ':completion:*' group-name ''``). fish has descriptions and no
headings, bash neither.
"""

import re
from collections.abc import Iterable, Iterator

from bonectl.cli import headings
from bonectl.cli.options import KIT_OF
from bonectl.cli.tree import Command, Option
from bonectl.core import kit


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
    lines = ["#compdef bonectl", "# zsh completion for bonectl, made by python -m bonectl.cli.manual", "_bonectl() {"]
    lines += ["  local -a commands=("]
    lines += [f"    '{c.name}:{_quoted(c.summary)}'" for c in everything]
    lines += ["  )", "  if (( CURRENT == 2 )); then", "    _describe command commands", "    return", "  fi"]
    lines += ["  local command=$words[2]", "  local -a options", "  shift words", "  (( CURRENT-- ))"]
    lines += ['  case "$command" in']
    for c in everything:
        arguments = " \\\n        ".join(line for o in c.options for line in _zsh_words(o))
        lines.append(f"    {c.name})\n      if [[ $PREFIX == -* && $PREFIX != *=* ]]; then")
        lines += [*_zsh_headed(c), "        return", "      fi", f"      _arguments \\\n        {arguments} ;;"]
    return "\n".join([*lines, "  esac", "}", '_bonectl "$@"']) + "\n"


def _zsh_headed(command: Command) -> Iterator[str]:
    """Options of a command with their help, heading by heading."""
    for heading in headings.ORDER:
        under = [o for o in command.options if not o.is_argument]
        under = [o for o in under if headings.heading(command.name, o.name) == heading]
        words = [f"'{flag}:{_quoted(o.help)}'" for o in under for flag in o.flags]
        words += ["'--help:Show the help and leave.'"] if heading == headings.SPEECH else []
        if words:
            tag = heading.lower().replace(" ", "-")
            yield f"        options=({' '.join(words)})\n        _describe -o -t {tag} '{heading}' options"


def _zsh_words(o: Option) -> Iterator[str]:
    """What stands behind an option, or in an argument's place."""
    if o.is_argument:
        words = f"({' '.join(kit.names('phantoms'))})" if o.metavar == "PHANTOM" else "_files"
        yield f"'{'*' if o.repeats else ''}:{o.metavar.lower()}:{words}'"
        return
    value = f"({' '.join(word.replace(' ', chr(92) + ' ') for word in _values(o))})" if _values(o) else "_files"
    for flag in o.flags:
        tail = "" if o.is_flag else f":{_quoted(o.metavar.lower())}:{value}"
        yield f"'{'*' if o.repeats else ''}{flag}{tail}'"


def _quoted(text: str) -> str:
    return re.sub(r"([\[\]:\\])", r"\\\1", text).replace("'", "'\\''")


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
