"""Output appears whole or not at all, and an older file stays until then."""

import os

import pytest

from bonectl.core import atomic
from bonectl.errors import OutputError, PermissionDeniedError, WriteError


def test_the_file_appears_when_the_block_succeeds(tmp_path):
    target = tmp_path / "a.npy"
    with atomic.replacing(target) as temporary:
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.npy"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_when_it_fails_and_the_old_file_stays(tmp_path, error):
    target = tmp_path / "a.npy"
    target.write_bytes(b"old")
    with pytest.raises(error), atomic.replacing(target) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.npy"]


def test_folders_are_replaced_as_a_whole(tmp_path):
    target = tmp_path / "slices"
    for text in ("one", "two"):
        with atomic.replacing(target) as temporary:
            temporary.mkdir()
            (temporary / "0.tif").write_text(text)
    assert (target / "0.tif").read_text() == "two"
    assert os.listdir(tmp_path) == ["slices"]


def test_existing_output_and_missing_folder_are_refused_first(tmp_path):
    (tmp_path / "a.npy").touch()
    with pytest.raises(OutputError, match="exists already"):
        atomic.check(tmp_path / "a.npy")
    atomic.check(tmp_path / "a.npy", force=True)
    with pytest.raises(OutputError, match="there is no folder"):
        atomic.check(tmp_path / "no" / "a.npy")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused_first(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionDeniedError):
        atomic.check(tmp_path / "a.npy")


def test_a_full_disk_is_named(tmp_path):
    with pytest.raises(WriteError, match="no space left"), atomic.replacing(tmp_path / "a") as temporary:
        temporary.touch()
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")
    assert os.listdir(tmp_path) == []
