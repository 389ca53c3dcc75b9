"""Output appears whole or not at all, and an older file stays until then."""

import os
from pathlib import Path

import pytest
from tests import made

from bonectl.core import atomic
from bonectl.core.atomic import inherit, replacing
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


def test_a_link_is_followed_and_stays(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a").write_text("old")
    (tmp_path / "link").symlink_to("there/a")
    (tmp_path / "new").symlink_to("there/b")
    for name, place in (("link", "a"), ("new", "b")):
        with replacing(tmp_path / name) as temporary:
            assert temporary.parent == tmp_path / "there"
            temporary.write_text("made")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "there" / place).read_text() == "made"
    with pytest.raises(OutputError, match="exists already"), replacing(tmp_path / "link", force=False):
        pass


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o400, 0o755])
def test_what_is_replaced_hands_on_its_mode_and_group(tmp_path, mode):
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65533)
    before = path.stat()
    with replacing(path) as temporary:
        temporary.write_text("made")
    after = path.stat()
    assert path.read_text() == "made"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_a_group_that_cannot_be_kept_gets_no_rights_and_is_told(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError

    old, new = tmp_path / "old", tmp_path / "new"
    for path in (old, new):
        path.write_text("")
    old.chmod(0o664)
    monkeypatch.setattr(os, "chown", refuse)
    theirs = os.stat_result((0o100664, 1, 1, 1, old.stat().st_uid, old.stat().st_gid + 1, 0, 0, 0, 0))
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda self, **_: theirs if self == old else real(self))
    with made.heard() as notes:
        inherit(old, new)
    assert real(new).st_mode & 0o777 == 0o604
    assert "could not be kept" in notes[0]


def test_a_hard_link_is_told(tmp_path):
    (tmp_path / "a").write_text("old")
    os.link(tmp_path / "a", tmp_path / "b")
    with made.heard() as notes, replacing(tmp_path / "a") as temporary:
        temporary.write_text("made")
    assert (tmp_path / "b").read_text() == "old"
    assert "hard links" in notes[0]
