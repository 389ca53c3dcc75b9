"""The judge itself: it lets good ends pass, and refuses every bad one that is shown to it."""

import numpy as np
import pytest
from tests.faults import contract, tally

GOOD = "bonectl convert: x.npy: 3 of 64 slices are missing; re-copy the file\n"


@pytest.fixture
def here(tmp_path):
    """A folder before a run, and what was in it."""
    (tmp_path / contract.TEMPORARY).mkdir()
    np.save(tmp_path / "in.npy", np.zeros((2, 3, 3), np.float32))
    return tmp_path, contract.look(tmp_path)


def make(folder, name="out.npy", cut=None):
    np.save(folder / name, np.ones((2, 3, 3), np.float32))
    (folder / name).write_bytes((folder / name).read_bytes()[:cut])


@pytest.mark.parametrize(
    ("status", "said", "output"),
    [(0, "", True), (65, GOOD, False), (-15, "", False), (-15, "", True), (143, "", False)],
)
def test_a_good_end_passes(here, status, said, output):
    folder, before = here
    if output:
        make(folder)
    assert contract.wrong(contract.Ended(status, said), folder, before, made=["out.npy"]) == []


@pytest.mark.parametrize(
    ("status", "said", "found"),
    [
        (None, "", "hung"),
        (1, GOOD, "status 1"),
        (-11, "", "status -11"),
        (65, "Traceback (most recent call last):\n" + GOOD, "traceback"),
        (65, "RuntimeWarning: overflow\n", "said by others"),
        (65, GOOD + GOOD, "2 lines"),
        (65, "", "no word"),
        (65, f"bonectl convert: {'9' * 5000}\n", "characters"),
        (65, "bonectl convert: \x1b[31m\n", "escapes"),
    ],
)
def test_bad_words_are_refused(here, status, said, found):
    folder, before = here
    assert any(found in word for word in contract.wrong(contract.Ended(status, said), folder, before))


BAD = {
    "changed": lambda folder: make(folder, "in.npy", cut=-1),
    "gone": lambda folder: (folder / "in.npy").unlink(),
    "left": lambda folder: (folder / ".bonectl-1.part").touch(),
    "tmp/x: left": lambda folder: (folder / contract.TEMPORARY / "x").touch(),
    "incomplete": lambda folder: make(folder, cut=-1),
    "not made": lambda folder: None,
}


@pytest.mark.parametrize("found", BAD)
def test_bad_deeds_are_refused(here, found):
    folder, before = here
    if found not in ("incomplete", "not made"):
        make(folder)
    BAD[found](folder)
    assert any(found in word for word in contract.wrong(contract.Ended(0, ""), folder, before, made=["out.npy"]))


def test_one_that_did_not_survive_fails_the_test():
    kept = tally.Tally("control")
    with pytest.raises(AssertionError, match="1 of 3 did not survive"):
        for number, _ in enumerate(kept.of("control", 3)):
            kept.tell(f"draw {number}", 0, ["left"] if number == 1 else [])
    assert (kept.counts["tried"], kept.counts["survived"]) == (3, 2)
