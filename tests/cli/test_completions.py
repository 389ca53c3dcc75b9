"""What a shell completes, in the shell itself on a pseudo-terminal."""

import fcntl
import os
import pty
import re
import select
import shutil
import subprocess
import termios
import time

import pytest

from bonectl.cli import headings, manual, tree

# How each shell is begun, and the line after which `bonectl` is a word that shows its arguments.
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], '. ./bonectl.bash; bonectl() {{ printf "got<%s>" "$@"; }}'),
    "zsh": (
        ["zsh", "-f", "-i"],
        'fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; bonectl() {{ printf "got<%s>" "$@"; }}',
    ),
    "fish": (["fish", "--no-config", "-i"], 'source bonectl.fish; function bonectl; printf "got<%s>" $argv; end'),
}


@pytest.fixture
def folder(tmp_path):
    for name, text in manual.files().items():
        if name.startswith("completions/"):
            (tmp_path / name.partition("/")[2]).write_text(text)
    (tmp_path / "my bone.npy").touch()
    return tmp_path


def typed(shell, keys, folder):
    """What `bonectl` was given when `keys` are typed in a shell on a terminal."""
    shown = on_terminal(shell, keys, folder)
    return ["got<" + piece.partition(">")[0] + ">" for piece in shown.split("got<")[1:]]


def on_terminal(shell, keys, folder):
    """What a shell shows when `keys` are typed."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    command, begin = SHELLS[shell]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "dumb" if shell == "bash" else "xterm", "PS1": "$ ", "HOME": str(folder)}
    running = subprocess.Popen(
        command,
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 (fish wants a terminal of its own)
    )
    os.close(theirs)
    try:
        os.write(ours, f"{begin.format()}; echo rea''dy\n".encode())
        _shown_until(ours, "ready")
        time.sleep(0.3)
        os.write(ours, keys.encode())
        time.sleep(1)
        os.write(ours, b"\n")
        return _shown_until(ours, "got<")
    finally:
        running.kill()
        running.wait()
        os.close(ours)


def _shown_until(terminal, word, seconds=20):
    """What the terminal shows until a word has come, and half a second has passed without more."""
    shown, end = "", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.5)[0]:
            shown += os.read(terminal, 65536).decode(errors="replace")
        elif word in shown:
            return shown
    raise AssertionError(f"no {word!r} in {shown!r}")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_choice_of_two_words_is_one_argument(shell, folder):
    """`line integral` was completed as two words, which simulate refuses."""
    assert typed(shell, "bonectl simulate --unit li\t", folder)[-1] == "got<line integral>"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_file_of_two_words_is_one_argument(shell, folder):
    assert typed(shell, "bonectl info my\t", folder)[-1] == "got<my bone.npy>"


def test_zsh_shows_options_under_the_headings_of_the_help(folder):
    """Who has asked for groups sees the headings; fish and bash have no such thing."""
    styles = "zstyle ':completion:*' format '<%d>'; zstyle ':completion:*' group-name ''; LISTMAX=0\n"
    shown = on_terminal("zsh", styles + "bonectl info --\t\t", folder)
    groups = re.findall(r"<(Input|What is done|Output|Resources|Speech)>", shown)
    (info,) = [c for c in tree.commands() if c.name == "info"]
    under = [headings.heading("info", o.name) for o in info.options if not o.is_argument]
    assert groups[: len(set(under))] == [heading for heading in headings.ORDER if heading in under]
    assert "--json" in shown.partition("<Output>")[2].partition("<")[0]


def test_bash_lists_choices_whole(folder):
    line = ". ./bonectl.bash; COMP_WORDS=(bonectl simulate --unit ''); COMP_CWORD=3; _bonectl"
    line += "; printf '<%s>' \"${COMPREPLY[@]}\""
    run = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=True)
    assert run.stdout == "<counts><transmission><line integral>"
