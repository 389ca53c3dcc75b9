"""What a part says it works in, against what it was measured to hold."""

import tracemalloc

import numpy as np
import pytest
from tests.preparations.made import beam, header

from bonectl.core import kit
from bonectl.core.header import PROJECTIONS, SINOGRAMS
from bonectl.core.preparation import Setting
from bonectl.core.spec import parse
from bonectl.geometries.parallel import parallel

# With knobs that make it work; every part of the kit is here.
TEXTS = {
    "badpixels": ("badpixels",),
    "beamhardening": ("beamhardening(coefficients=[1, 0.1])",),
    "eigenflats": ("eigenflats(components=1)",),
    "flats": ("flats", "flats(mode=linear)"),
    "halfturn": ("halfturn",),
    "log": ("log",),
    "normalise": ("normalise",),
    "paganin": ("paganin(distance=100, energy=25)",),
    "rotate": ("rotate(degrees=1)",),
    "shift": ("shift(table='moves.txt')",),
    "stripes": tuple(f"stripes(method={method})" for method in ("smoothing", "wavelet", "sorting", "vo")),
    "zingers": ("zingers",),
}


@pytest.mark.parametrize("name", kit.names("preparations"))
def test_a_part_works_in_what_it_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moves.txt").write_text("0.5\n" * 2)
    rng, (views, columns) = np.random.default_rng(0), (300, 240)
    projections = kit.fact("preparations", name, "WORKS") == "projections"
    shape = (2, views, columns)
    there = parallel(columns, 2, 0.05, columns=columns, views=views, arc=360.0).replace(centre=60.3)
    told = header(
        shape,
        kit.fact("preparations", name, "READS")[0],
        PROJECTIONS if projections else SINOGRAMS,
        geometry=None if projections else there,
    )
    frame = (views, columns) if projections else (2, columns)
    flats = rng.uniform(900, 1100, (2, *frame))
    if name != "eigenflats":
        flats[:, 1, 5] = 0
    given = beam(flats, np.full((1, *frame), 100.0), at=(0.0, float(views)))
    plane = rng.uniform(0.3, 1, (views, columns)).astype(np.float32)
    plane[rng.integers(0, views, 20), rng.integers(0, columns, 20)] += 3
    most = 0.0
    for text in TEXTS[name]:
        setting = Setting(header=told, flats=given.flats, darks=given.darks, read=None)
        step = kit.bind("preparations", parse(text))(setting)
        step.work(plane, 0)
        tracemalloc.start()
        step.work(plane, 1)
        most = max(most, tracemalloc.get_traced_memory()[1] / plane.size)
        tracemalloc.stop()
    told_bytes = kit.fact("preparations", name, "BYTES")
    assert told_bytes / 3 < most < 1.15 * told_bytes
