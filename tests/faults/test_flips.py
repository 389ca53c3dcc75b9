"""One flipped bit in a file of every kind: refused, or an end as every other; never a bug, never a trace of it.

A flip in the pixels of a plain file, or in a digit of its header, cannot be seen: only the way of the end is judged.
What is covered by a sum must be refused, unless the values are what they were.
"""

import numpy as np
import pytest
from tests.faults import contract, tally

from bonectl import io

CONVERT = "convert {} -o out.npy"
OPEN = "--flats flats.npy --darks darks.npy -o out.npy"
SCAN = f"reconstruct scan.npy {OPEN}"
PLAIN = f"reconstruct plain.npy --axes sinogram --input-unit counts --voxel-size 0.03 {OPEN}"
LINES = {
    "bone.npy": CONVERT,
    "bone.tif": CONVERT,
    "big.tif": CONVERT,
    "bone.ome.tif": CONVERT,
    "bare.npy": CONVERT,
    "bare.npy.json": "convert bare.npy -o out.npy",
    "slices/b_003.tif": "convert slices -o out.npy",
    "fbp.npy": "measure fbp.npy -m bvtv",
    "mask.npy": "measure bone.npy -m bvtv --mask mask.npy",
    "scan.npy": SCAN,
    "flats.npy": SCAN,
    "darks.npy": SCAN,
    "angles.npy": f"{PLAIN} --angles angles.npy",
    "angles.txt": f"{PLAIN} --angles angles.txt",
}
BEGIN = 700  # bytes; where headers are


def flipped(path, rng):
    """Flip one bit, half of the time near the beginning; returns the bytes of before and where it was."""
    whole = path.read_bytes()
    place = rng.randrange(len(whole) if rng.random() < 0.5 else min(BEGIN, len(whole)))
    bit = 1 << rng.randrange(8)
    path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
    return whole, f"bit {bit:#x} of byte {place}"


def tried(folder, name, rng, attempt, line, made):
    """Flip, run, judge, put back; returns what was done, how it ended and what was wrong."""
    whole, where = flipped(folder / name, rng)
    before = contract.look(folder)
    ended = attempt(line.format(name))
    found = contract.wrong(ended, folder, before, made=made, allowed={0, 2, 65, 66, 69})
    (folder / name).write_bytes(whole)
    return where, ended, found


@pytest.mark.parametrize("name", LINES)
def test_a_stack_or_a_list(copied, faults, attempt, name):
    line = LINES[name]
    made = ["out.npy"] if "-o" in line else []
    assert attempt(line.format(name)) == contract.Ended(0, "")
    (copied / "out.npy").unlink(missing_ok=True)
    for rng in faults.of(f"one flipped bit: {name}", tally.CHEAP * tally.DRAWS):
        where, ended, found = tried(copied, name, rng, attempt, line, made)
        faults.tell(where, ended.status, found, ended.said)
        (copied / "out.npy").unlink(missing_ok=True)


def test_pixels_under_a_sum(copied, faults, attempt):
    with io.open(copied / "deflated.tif") as stack:
        right = stack.collect()
    for rng in faults.of("one flipped bit: deflated.tif", tally.CHEAP * tally.DRAWS):
        where, ended, found = tried(copied, "deflated.tif", rng, attempt, CONVERT, ["out.npy"])
        if ended.status == 0 and not found:
            got = np.load(copied / "out.npy")
            found = [] if same_pixels(got, right) else ["other pixels"]
        faults.tell(where, ended.status, found, ended.said)
        (copied / "out.npy").unlink(missing_ok=True)


def same_pixels(got, right):
    """Whether the stored bytes are those that were, in any shape and type that a header may claim."""
    return got.tobytes() == right.tobytes() or got.byteswap().tobytes() == right.tobytes()


def test_a_network(copied, faults, attempt):
    line = "denoise fbp.npy -m net.safetensors --threads 1 -o out.npy"
    assert attempt(line).status == 0
    right = np.load(copied / "out.npy")
    (copied / "out.npy").unlink()
    for rng in faults.of("one flipped bit: net.safetensors", tally.CHEAP * tally.DRAWS):
        where, ended, found = tried(copied, "net.safetensors", rng, attempt, line, ["out.npy"])
        if ended.status == 0 and not found and not np.array_equal(np.load(copied / "out.npy"), right):
            found = ["other weights were used"]
        faults.tell(where, ended.status, found, ended.said)
        (copied / "out.npy").unlink(missing_ok=True)


def test_a_state_to_resume_from(copied, faults, attempt):
    train = "train fbp.npy -t bone.npy --steps 4 --every 2 --model unet2d(width=4,scales=2) --batch 1 --patch 16"
    line = f"{train} --threads 1 --no-picture -o net.safetensors --resume"
    for rng in faults.of("one flipped bit: net.safetensors.resume", tally.CHEAP * tally.DRAWS):
        where, ended, found = tried(copied, "net.safetensors.resume", rng, attempt, line, [])
        if ended.status == 0:
            found.append("resumed from a damaged state")
        faults.tell(where, ended.status, found, ended.said)
