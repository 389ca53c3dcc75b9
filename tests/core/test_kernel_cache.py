"""Compiled kernels without a home: a private folder, one note, and nobody else's code."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numba
import pytest

import bonectl
from bonectl.core import kernel_cache


@pytest.fixture
def homeless(tmp_path, monkeypatch):
    """No place that numba would find; temporary files go to a folder of the test."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # and not deleted: what is set in the test is undone after it
    monkeypatch.setenv("MPLCONFIGDIR", "")
    monkeypatch.setattr(kernel_cache, "_finds_place", lambda: False)
    monkeypatch.setattr(kernel_cache, "_home_takes", lambda folder: False)
    monkeypatch.setattr(kernel_cache, "_chosen", [])
    monkeypatch.setattr(kernel_cache.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    return tmp_path


def test_a_private_folder_is_made_and_told(homeless):
    kernel_cache.settle()
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    assert folder == homeless / f"bonectl-kernels-{os.geteuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert os.environ["MPLCONFIGDIR"] == str(folder)
    assert str(folder) in kernel_cache.note()


@pytest.mark.parametrize("trap", ["open folder", "symlink", "file"])
def test_a_folder_that_others_may_write_to_is_not_used(homeless, trap):
    place = homeless / f"bonectl-kernels-{os.geteuid()}"
    if trap == "open folder":
        place.mkdir()
        place.chmod(0o777)
    elif trap == "symlink":
        (homeless / "theirs").mkdir(mode=0o700)
        place.symlink_to("theirs")
    else:
        place.write_text("")
    kernel_cache.settle()
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    assert folder != place
    assert folder.is_dir()
    shutil.rmtree(folder)


def test_a_place_that_the_user_names_stays(homeless, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/somewhere")
    kernel_cache.settle()
    assert os.environ["NUMBA_CACHE_DIR"] == "/somewhere"
    assert kernel_cache.note() == ""


@pytest.fixture
def public():
    """A folder that every user may look into; pytest's own are its user's alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.slow
def test_a_service_account_without_home_measures(public, shell):
    if os.geteuid() or not shutil.which("setpriv"):
        pytest.skip("needs to become another user")
    source = Path(bonectl.__file__).parent
    shutil.copytree(source, public / "installed" / "bonectl", ignore=shutil.ignore_patterns("__pycache__"))
    own = public / "tmp"
    own.mkdir()
    own.chmod(0o777)
    account = "setpriv --reuid=65533 --regid=65533 --clear-groups"
    user = f"env -i PATH=$PATH PYTHONPATH={public}/installed TMPDIR={own} {account} bonectl"
    made = shell(f"{user} phantom ball --shape 8 -o {own}/ball.npy")
    assert made.returncode == 0, made.stderr
    run = shell(f"{user} measure {own}/ball.npy -m euler", timeout=500)
    assert run.returncode == 0, run.stderr
    assert run.stderr.count(b"\n") == 1
    assert b"compiled kernels are kept in" in run.stderr


COMPILES = """
from bonectl.core import kernel_cache
said = []
kernel_cache.announce(said.append)
import numpy
from bonectl.morphology import bits
bits.ones(numpy.uint64(7)); bits.shifted(numpy.ones(3, numpy.uint64), 1, 1)
print(said)
"""


def test_the_first_run_says_once_that_it_compiles(tmp_path):
    world = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    said = [
        subprocess.run([sys.executable, "-c", COMPILES], env=world, check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    assert said == [f"{[kernel_cache.COMPILING]}\n", "[]\n"]
