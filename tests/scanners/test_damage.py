"""Files of vendors with bytes changed, cut out or put in: whatever is wrong is one line with its status, or is read."""

import random

import numpy as np
import pytest
from tests.scanners import left_by
from tests.scanners.turntable import held

from bonectl import scanners
from bonectl.errors import BonectlError

SLICES = np.random.default_rng(5).integers(0, 256, (4, 7, 9), dtype=np.uint8)
LEFT = {
    "nikon": lambda at: left_by.nikon(at / "scan"),
    "skyscan": lambda at: left_by.skyscan(at / "scan"),
    "skyscan_rec": lambda at: left_by.skyscan_rec(at / "scan", SLICES),
    "zeiss": lambda at: left_by.zeiss(at / "scan.txrm"),
    "edf": lambda at: left_by.edf(at / "scan", extra=0),
    "edf, gzipped": lambda at: left_by.edf(at / "scan", extra=0, packed=True),
}
PUT_IN = (b"9" * 14, b"-", b"1e999", b"nan", b"\xff\xfe", b"=", b"\n", b"0.0000001", b"}")


def damaged(whole, dice):
    """A copy with one to a few pieces changed, most of them in the first kilobyte, where headers are."""
    raw = bytearray(whole)
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        if not raw:
            break
        place = dice.randrange(len(raw) if dice.random() < 0.4 else min(len(raw), 1200))
        kind = dice.randrange(4)
        if kind == 0:
            raw[place] = dice.choice((0, 255, dice.randrange(256), *b"-.9e0"))
        elif kind == 1:
            del raw[place : place + dice.randrange(1, 40)]
        elif kind == 2:
            raw[place:place] = dice.choice(PUT_IN)
        elif dice.random() < 0.3:
            del raw[place:]
    return bytes(raw)


@pytest.mark.parametrize("kind", LEFT)
def test_damage_is_refused_in_one_line_or_read(tmp_path, monkeypatch, kind):
    for name, size in (("VIEWS", 6), ("ROWS", 8), ("COLUMNS", 9)):
        monkeypatch.setattr(left_by, name, size)
    path, dice = LEFT[kind](tmp_path), random.Random(7)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    texts = [one for one in files if one.suffix in (".log", ".xtekct", ".info")]
    for _ in range(100):
        file = dice.choice(texts if texts and dice.random() < 0.6 else files)
        whole = file.read_bytes()
        file.write_bytes(damaged(whole, dice))
        try:
            if scanners.claimed(path):
                scan = scanners.read(path)
                for source in [scan.stack, *(frames.source for frames in (scan.flats, scan.darks) if frames)]:
                    assert source.header.total_bytes > 1e8 or held(source).shape == source.header.shape
        except BonectlError as error:
            assert "\n" not in str(error)
            assert len(str(error)) < 400
        file.write_bytes(whole)
