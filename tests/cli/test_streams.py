"""Where bytes come from and go to: terminals, devices, early refusals, and what is recorded."""

import os
import pty
import stat
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bonectl.cli import streams
from bonectl.cli.options import DASH, NaN, Request
from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.errors import DataError, OutputError, PermissionDeniedError, UsageError

VALUES = np.arange(6 * 8 * 10, dtype="<f4").reshape(6, 8, 10)


def request(**fields):
    return Request(command="convert", argv=("bonectl", "convert", "a b"), **fields)


def never():
    raise AssertionError("a voxel was pulled")
    yield


def test_refusals_come_before_the_first_voxel(tmp_path):
    stack = Stack(Header(shape=(1, 1, 1)), never())
    (tmp_path / "old.npy").write_bytes(b"")
    for output, error in (
        (tmp_path / "old.npy", OutputError),
        (tmp_path, OutputError),
        (tmp_path / "none" / "a.npy", OutputError),
        (tmp_path / "a.xyz", UsageError),
    ):
        with pytest.raises((error, UsageError)):
            streams.writing(stack, request(output=output))
    assert [path.name for path in tmp_path.iterdir()] == ["old.npy"]


def test_refusals_come_before_the_input_is_opened(tmp_path):
    (tmp_path / "old.npy").write_bytes(b"")
    asked = request(source=tmp_path / "none.npy", output=tmp_path / "old.npy")
    with pytest.raises(OutputError), streams.reading(asked):
        pass


def test_a_folder_that_may_not_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # also for root, whom no folder refuses
    for name in ("a.npy", "a_%d.tif"):
        with pytest.raises(PermissionDeniedError, match="may not be written to"):
            streams.writing(Stack(Header(shape=(1, 1, 1)), never()), request(output=tmp_path / name))


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    real = Path.open

    def refuse(self, *args, **kwargs):
        if self == tmp_path / "a.npy":  # others are needed to find out what reads it
            raise PermissionError(13, "Permission denied")
        return real(self, *args, **kwargs)

    (tmp_path / "a.npy").write_bytes(b"")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionDeniedError, match=r"a\.npy: permission denied"), streams.opened(tmp_path / "a.npy"):
        pass


def test_devices_and_named_pipes_are_written_to_and_never_replaced(tmp_path):
    header = Header(shape=VALUES.shape)
    streams.writing(Stack.of(VALUES, header), request(output=Path("/dev/null")))
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    os.mkfifo(tmp_path / "fifo")
    reader = subprocess.Popen(["cat", tmp_path / "fifo"], stdout=subprocess.PIPE)
    streams.writing(Stack.of(VALUES, header), request(output=tmp_path / "fifo"))
    raw, _ = reader.communicate(timeout=20)
    (tmp_path / "a.npy").write_bytes(raw)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), VALUES)
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


def test_notes_are_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    made = streams.remembered(Header(shape=(1, 1, 1)), request(), {"seed": 3, "device": "cpu"}).history[0]
    assert (made.command, made.time) == ("bonectl convert 'a b'", "1970-01-01T00:00:00Z")
    assert dict(made.notes) == {"seed": 3, "device": "cpu"}


def test_the_nan_policy_of_an_input(tmp_path):
    values = VALUES.copy()
    values[0, 0, 0] = np.inf
    np.save(tmp_path / "a.npy", values)
    with streams.opened(tmp_path / "a.npy", nan=None) as stack:
        assert np.isinf(stack.collect()[0, 0, 0])
    with streams.opened(tmp_path / "a.npy", nan=NaN.zero) as stack:
        assert stack.collect()[0, 0, 0] == 0
    with streams.opened(tmp_path / "a.npy") as stack, pytest.raises(DataError, match=r"1 value is NaN or infinite"):
        stack.collect()


def test_the_slab_option_cuts_the_input(tmp_path):
    np.save(tmp_path / "a.npy", VALUES)
    with streams.reading(request(source=tmp_path / "a.npy", slab=4)) as stack:
        assert [len(slab) for slab in stack.slabs] == [4, 2]


def test_dash_is_not_a_file():
    assert request().source == request().output == DASH


def on_terminal(tmp_path, *argv, **pipes):
    """Status and stderr of a command whose missing ends are a terminal."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            ["bonectl", *argv],
            cwd=tmp_path,
            stdin=pipes.get("stdin", theirs),
            stdout=pipes.get("stdout", theirs),
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(theirs)
        os.close(ours)
    return done.returncode, done.stderr.decode()


def test_terminals_are_neither_read_nor_written(tmp_path):
    np.save(tmp_path / "a.npy", VALUES)
    assert on_terminal(tmp_path, "convert", "a.npy") == (
        2,
        "bonectl convert: a stack is not for a terminal: give -o FILE, or pipe it into the next command\n",
    )
    status, said = on_terminal(tmp_path, "convert", "-o", "b.npy", stdout=subprocess.DEVNULL)
    assert (status, said.count("\n"), "nothing to read" in said) == (2, 1, True)
    assert not (tmp_path / "b.npy").exists()
