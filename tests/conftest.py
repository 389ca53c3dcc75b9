"""What all tests share: real data, the installed command, hypothesis profiles."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from tests.faults.tally import pytest_terminal_summary  # noqa: F401 (the table of tests/faults)

from bonectl.cli import boundary
from bonectl.core import threads

settings.register_profile(
    "default",
    max_examples=50,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("night", settings.get_profile("default"), max_examples=5000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# The commands under test are those of the environment that runs the tests.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

# Commands keep what they print in a buffer, as those of users do.
os.environ.pop("PYTHONUNBUFFERED", None)

# A test run that was started in the background inherits ignored signals, and so would the commands under test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real bone and real projections that lies beside the checkout."""
    if not (SHARED_DATA / "README.md").is_file():
        pytest.skip(f"needs the real data beside the checkout ({SHARED_DATA.parent.name}/data), which is not here")
    return SHARED_DATA


@pytest.fixture
def shell(tmp_path):
    """Run a bash line in a temporary folder: ``shell("bonectl info a.npy")`` gives the completed process."""

    def run(line, *, timeout=120, env=None, stdin=b"", cwd=tmp_path):
        return subprocess.run(
            ["bash", "-c", line],
            input=stdin,
            capture_output=True,
            timeout=timeout,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            check=False,
        )

    return run


@pytest.fixture
def run(tmp_path, monkeypatch, capfdbinary):
    """Run a command line in this process, in a temporary folder: ``run("info", "a.npy").status``."""
    monkeypatch.chdir(tmp_path)

    def once(*argv):
        monkeypatch.setattr(sys, "argv", ["bonectl", *map(str, argv)])
        capfdbinary.readouterr()
        status = boundary.run([*map(str, argv)])
        out, err = capfdbinary.readouterr()
        return SimpleNamespace(status=status, out=out, err=err.decode())

    return once


@pytest.fixture
def good(run):
    """Run a command line in this process that must succeed: ``good("info a.npy").out``."""

    def once(line):
        done = run(*shlex.split(line))
        assert done.status == 0, done.err
        return done

    return once


@pytest.fixture
def heard():
    """The lines that are said while a test runs."""
    from tests import made  # (torch, which not every test needs)

    with made.heard() as said:
        yield said


@pytest.fixture
def one_thread():
    """Networks this small wait for each other on two threads, above all on a busy machine."""
    threads.govern(1)
    yield
    threads.govern(0)
