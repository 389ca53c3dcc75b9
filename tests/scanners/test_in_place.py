"""What a scanner's files say puts the specimen where it is: place, hand and density, of a body without symmetry."""

import json
from itertools import product

import numpy as np
import pytest
from tests.scanners import left_by
from tests.scanners.turntable import volume_of, wrong

from bonectl import scanners
from bonectl.core.spec import parse

LEFT = {
    "nikon": lambda at: left_by.nikon(at / "scan"),
    "nikon, axis beside the beam": lambda at: left_by.nikon(at / "scan", offset=0.9),
    "nikon, old, leaning axis": lambda at: left_by.nikon(at / "scan", offset=-0.7, roll=1.5, old=True),
    "nikon, rolled and tilted": lambda at: left_by.nikon(at / "scan", offset=0.5, roll=1.0, tilt=1.5),
    "skyscan": lambda at: left_by.skyscan(at / "scan"),
    "skyscan, axis off the middle row, a view too many": lambda at: left_by.skyscan(at / "scan", line=22, extra=1),
    "skyscan, clockwise": lambda at: left_by.skyscan(at / "scan", direction="CW"),
    "zeiss": lambda at: left_by.zeiss(at / "scan.txrm"),
    "zeiss, axis off the middle column": lambda at: left_by.zeiss(at / "scan.txrm", shift=2.5),
    "zeiss, views moved": lambda at: left_by.zeiss(at / "scan.txrm", away=3.0),
    "edf": lambda at: left_by.edf(at / "scan"),
    "edf, gzipped, the other byte order": lambda at: left_by.edf(at / "scan", packed=True, order="HighByteFirst"),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The volume of a Nikon scan, which is right."""
    return volume_of(scanners.read(left_by.nikon(tmp_path_factory.mktemp("nikon") / "scan")))


@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
def test_a_specimen_is_in_place_in_hand_and_in_density(tmp_path, left):
    scan = scanners.read(left(tmp_path))
    assert not scan.problems
    volume, header = volume_of(scan)
    assert header.unit == "1/cm"
    assert wrong(volume, header.spacing[2], left_by.HALF) == []


def test_a_mirrored_volume_is_not_in_place(plain):
    volume, header = plain
    for flips in product((False, True), repeat=3):
        axes = [axis for axis, flip in enumerate(flips) if flip]
        assert bool(wrong(np.flip(volume, axes), header.spacing[2], left_by.HALF)) == bool(axes), axes


def test_a_shifted_or_turned_or_thinner_volume_is_not_in_place(plain):
    volume, header = plain
    for axis in range(3):
        assert wrong(np.roll(volume, 1, axis), header.spacing[2], left_by.HALF)
    assert wrong(np.rot90(volume, axes=(1, 2)), header.spacing[2], left_by.HALF)
    assert wrong(volume * 0.85, header.spacing[2], left_by.HALF)


@pytest.mark.parametrize(("spec", "direction"), [("direction=cw", "CC"), ("white=40000", "CC"), ("", "CW")])
def test_a_rule_that_does_not_hold_is_seen_and_mended_by_a_knob(tmp_path, spec, direction):
    turned = left_by.skyscan(tmp_path / "scan", direction=direction, keys={} if spec else {"Rotation Direction": "CC"})
    volume, header = volume_of(scanners.read(turned, parse(f"skyscan({spec})")))
    assert wrong(volume, header.spacing[2], left_by.HALF)
    if not spec:
        volume, header = volume_of(scanners.read(turned, parse("skyscan(direction=cw)")))
        assert not wrong(volume, header.spacing[2], left_by.HALF)


def test_a_turned_camera_is_told_and_set_upright_by_the_step_that_is_named(tmp_path, good):
    left_by.skyscan(tmp_path / "scan", turned=12.0, keys={"Image Rotation": "12.0"})
    found = {}
    for steps in ("", "--prepare 'rotate(degrees=12)'", "--prepare 'rotate(degrees=-12)'"):
        said = good(f"reconstruct scan {steps} -fo v.npy").err
        assert "--prepare 'rotate(degrees=12)', or -12, sets it upright" in said
        found[steps] = wrong(np.load(tmp_path / "v.npy"), left_by.PITCH * left_by.SOD / left_by.SDD, left_by.HALF)
    assert [bool(each) for each in found.values()] == [True, False, True], found


def test_the_axis_column_of_nrecon_is_taken(tmp_path):
    folder = left_by.skyscan(tmp_path / "scan", shift=4)
    scan = scanners.read(folder)
    assert any("--centre auto" in note for note in scan.notes)
    volume, header = volume_of(scan)
    assert wrong(volume, header.spacing[2], left_by.HALF)
    made = folder / "mouse07_Rec"
    made.mkdir()
    (made / "mouse07__rec.log").write_text("[Reconstruction]\nPostalignment=4.00\n")
    scan = scanners.read(folder)
    assert scan.header.geometry.centre == (left_by.COLUMNS - 1) / 2 - 4
    volume, header = volume_of(scan)
    assert not wrong(volume, header.spacing[2], left_by.HALF)


def test_a_source_further_than_ten_metres_is_a_parallel_beam(tmp_path):
    far = {"Object to Source (mm)": 1e5, "Camera to Source (mm)": 1e5 + 1}
    scan = scanners.read(left_by.skyscan(tmp_path / "scan", keys=far))
    assert scan.header.geometry is None
    assert scan.angles.count == left_by.VIEWS
    assert scan.header.spacing == (None, 0.2, 0.2)


def test_views_of_zeiss_may_stay_where_they_are(tmp_path):
    path = left_by.zeiss(tmp_path / "scan.txrm", away=3.0)
    scan = scanners.read(path)
    assert scan.header.unit == "transmission"
    assert scan.notes == (
        "views are shifted by up to 3 pixels (Alignment): applied, which makes transmissions of them: "
        "zeiss(shifts=false) leaves both",
    )
    still = scanners.read(path, parse("zeiss(shifts=false)"))
    assert (still.header.unit, still.flats.count) == ("counts", 1)
    volume, header = volume_of(still)
    assert wrong(volume, header.spacing[2], left_by.HALF)


@pytest.mark.parametrize("name", ["nikon, axis beside the beam", "skyscan", "zeiss, views moved", "edf"])
def test_reconstruct_takes_what_a_scanner_left(run, tmp_path, name):
    LEFT[name](tmp_path)
    where = next(path for path in tmp_path.iterdir() if path.stem == "scan")
    done = run("reconstruct", where, "-o", "volume.npy")
    assert done.status == 0, done.err
    header = json.loads(run("info", "--json", "volume.npy").out)
    assert wrong(np.load(tmp_path / "volume.npy"), header["spacing_mm"][2], left_by.HALF) == []
    assert "Müller" not in json.dumps(header, ensure_ascii=False) + done.err
