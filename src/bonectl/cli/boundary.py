"""Where exceptions become one line on stderr and an exit status."""

import atexit
import contextlib
import errno
import os
import signal
import sys
import traceback
import warnings
from typing import NoReturn

from bonectl.core import ending, memory, threads
from bonectl.core.printable import one_line
from bonectl.errors import BonectlError, MemoryShortageError, PermissionDeniedError, UnavailableError, WriteError


def main() -> NoReturn:
    """Run the command line and leave with its status."""
    _hold_standard_descriptors()
    ending.listen()
    threads.let_sleep()
    if not sys.warnoptions:  # what NumPy warns of is refused where it is written, in one line
        warnings.simplefilter("ignore", RuntimeWarning)
    status = 0
    try:
        status = run(sys.argv[1:])
        if sys.stdout is not None:  # None: it was closed before we began
            sys.stdout.flush()
    except BrokenPipeError:
        ending.by(signal.SIGPIPE)
    except OSError as error:  # stdout itself: full disk behind a redirection
        status = status or _say_and_fail("bonectl", f"output: {(error.strerror or str(error)).lower()}", 74)
    _leave(status)


def run(argv: list[str]) -> int:
    """Run one command line; returns the exit status. Broken pipes pass through."""
    from typer.exceptions import Exit, TyperException
    from typer.main import get_command

    from bonectl.cli.app import app

    name = _name(argv)
    try:
        command = get_command(app)
        with command.make_context("bonectl", argv) as context:
            command.invoke(context)
        return 0
    except Exit as end:
        return end.exit_code
    except TyperException as error:
        return _usage(name, error.format_message(), is_help=type(error).__name__ == "NoArgsIsHelpError")
    except Exception as error:
        return told(name, error)


def told(name: str, error: Exception) -> int:
    """Say in one line what went wrong; returns the exit status that stands for it.

    Parameters
    ----------
    name : str
        The command, such as ``bonectl measure``.
    error : Exception

    Raises
    ------
    BrokenPipeError
        When that is the error: the reader went away, and nothing is wrong.
    """
    match error:
        case BonectlError():
            return _say_and_fail(name, _of_a_pipe(str(error)), error.status, error)
        case BrokenPipeError():
            raise error
        case _ if memory.is_shortage(error):
            shortage = f"out of memory ({str(error)[:60] or 'allocation refused'})"
            advice = "try a smaller --slab, or a machine with more memory"
            return _say_and_fail(name, f"{shortage}; {advice}", MemoryShortageError.status, error)
        case OSError():
            denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
            status = (PermissionDeniedError if denied else WriteError).status
            reason = (error.strerror or str(error)).lower()
            return _say_and_fail(name, f"{error.filename or 'output'}: {reason}", status, error)
        case RuntimeError() if str(error).startswith("cannot cache function"):  # see `bonectl.core.kernel_cache`
            unplaced = "compiled kernels can be kept nowhere; set NUMBA_CACHE_DIR to a folder that can be written to"
            return _say_and_fail(name, unplaced, UnavailableError.status, error)
        case _:
            traceback.print_exception(error)
            return _say_and_fail(name, "this is a bug in bonectl; please report it with the lines above", 1)


def _of_a_pipe(message: str) -> str:
    """The message with advice that fits: a pipe is not copied again."""
    if not message.startswith("standard input: "):
        return message
    return message.replace("; re-copy the file", "; did the command before it fail?")


def _hold_standard_descriptors() -> None:
    """Where standard streams are closed, hold their numbers, so that no output file becomes standard error."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # opens the lowest free number, which is this one


def _usage(name: str, message: str, *, is_help: bool) -> int:
    if is_help:  # a bare `bonectl`: the message is the help
        sys.stderr.write(f"{message}\n")
        return 2
    message = " ".join(message.split()).rstrip(".").replace(": Value error, ", ": ")  # the last is the parser's own
    return _say_and_fail(name, f"{message[:1].lower()}{message[1:]}; see '{name} --help'", 2)


def _name(argv: list[str]) -> str:
    """``bonectl simulate`` from the arguments, for messages."""
    words = [word for word in argv if not word.startswith("-")]
    from bonectl.cli.app import COMMANDS

    return f"bonectl {words[0]}" if words and words[0] in COMMANDS else "bonectl"


def _say_and_fail(name: str, message: str, status: int, error: Exception | None = None) -> int:
    """Print one line; with BONECTL_DEBUG or --debug, the traceback of the error before it."""
    if error is not None and ("--debug" in sys.argv or os.environ.get("BONECTL_DEBUG")):
        traceback.print_exception(error)
    with contextlib.suppress(OSError, ValueError, AttributeError):  # stderr is closed: the status still tells
        sys.stderr.write(f"{name}: {one_line(message)}\n")
        sys.stderr.flush()
    return status


def _leave(status: int) -> NoReturn:
    """Exit without a second complaint about what stdout still holds, and without waiting for what nobody wants now.

    Modules and kernels are not taken apart one by one, which takes a fifth of a short command's time: the system takes
    all back at once. Whoever traces or profiles the process sees it end as any other.
    """
    if status:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if sys.gettrace() is not None or sys.getprofile() is not None:
        sys.exit(status)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)
