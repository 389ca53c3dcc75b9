"""Fixtures of the command-line tests."""

import sys
from types import SimpleNamespace

import pytest

from bonectl.cli import boundary


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
