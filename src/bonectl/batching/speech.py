"""What the commands of a line said on standard error: why one failed, and what they noted."""

import signal
from pathlib import Path

from bonectl.batching.lines import Line
from bonectl.core.printable import one_line


def reason(log: Path, offset: int, line: Line, wrong: int, statuses: tuple[int, ...]) -> str:
    """What a command of a line said in the end, or by which signal it ended.

    Others of its name that failed after it, for want of its output, spoke after it.

    Parameters
    ----------
    log : Path
    offset : int
        Where the line's part of the log begins [byte].
    line : Line
    wrong : int
        Which of its commands.
    statuses : tuple of int
        Of all of them.
    """
    names = [words[0] for words in line.commands]
    command, status = names[wrong], statuses[wrong]
    if status > 128:
        try:
            name = signal.Signals(status - 128).name
        except ValueError:
            name = str(status - 128)
        more = ", as the system does where memory is short" if name == "SIGKILL" else ""
        return f"{command} was ended by {name}{more}"
    spoken = _spoken(log, offset)
    mine = [text for name, text in map(_parted, spoken) if name == command]
    later = zip(names[wrong + 1 :], statuses[wrong + 1 :], strict=True)
    after = sum(name == command and 0 < status <= 128 for name, status in later)
    if len(mine) > after:
        return one_line(mine[-1 - after])
    return one_line(spoken[-1]) if spoken else f"{command} ended with status {status} and said nothing"


def notes(log: Path, offset: int, scan: Path) -> tuple[str, ...]:
    """What the commands of a line that went well noted, each once, such as ``reconstruct: no darks: ...``.

    Parameters
    ----------
    log : Path
    offset : int
        Where the line's part of the log begins [byte].
    scan : Path
        As they name it, which goes without saying.
    """
    told = [(name, text.removeprefix(f"{scan}: ")) for name, text in map(_parted, _spoken(log, offset)) if name]
    return tuple(dict.fromkeys(one_line(f"{name}: {text}") for name, text in told))


def _spoken(log: Path, offset: int) -> list[str]:
    with log.open("rb") as file:
        file.seek(offset)
        return [text for text in file.read().decode("utf-8", "replace").splitlines() if text.strip()]


def _parted(text: str) -> tuple[str, str]:
    """The command that said it, and what; no command where it is none of ours, such as a library's line."""
    head, mark, said = text.partition(": ")
    name = head.removeprefix("bonectl ")
    return (name, said) if mark and name != head and name.isidentifier() else ("", text)
