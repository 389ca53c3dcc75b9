"""Scans of vendors in all the states in which they are found: whole, cut short, with files missing, in any letters."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.scanners import left_by
from tests.scanners.turntable import held

from bonectl import scanners
from bonectl.core.spec import parse
from bonectl.errors import BonectlError, DataError, MissingInputError, UsageError

KINDS = {
    "nikon": lambda at: left_by.nikon(at / "scan"),
    "skyscan": lambda at: left_by.skyscan(at / "scan"),
    "skyscan_rec": lambda at: left_by.skyscan_rec(at / "scan", SLICES),
    "zeiss": lambda at: left_by.zeiss(at / "scan.txrm"),
    "edf": lambda at: left_by.edf(at / "scan"),
}
SLICES = np.random.default_rng(5).integers(0, 256, (6, 21, 18), dtype=np.uint8)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One scan of each kind, which tests copy before they change it."""
    return {name: left(tmp_path_factory.mktemp(name)) for name, left in KINDS.items()}


@pytest.fixture
def scan_of(whole, tmp_path):
    """A copy of the scan of a kind."""

    def copy(name):
        there = whole[name]
        return shutil.copytree(there, tmp_path / "scan") if there.is_dir() else Path(shutil.copy(there, tmp_path))

    return copy


def texts(path):
    ends = (".log", ".xtekct", ".info")
    return [one for one in path.iterdir() if one.suffix in ends] if path.is_dir() else []


def test_it_is_claimed_by_what_it_is(whole, kind):
    assert scanners.claimed(whole[kind]) == kind


def test_info_says_what_a_person_would_check(run, whole, kind):
    told = json.loads(run("info", "--json", whole[kind]).out)
    assert told["kind"] == kind
    assert told["problems"] == []
    if kind == "skyscan_rec":
        assert (told["shape"], told["unit"], told["axes"]) == ([6, 21, 18], "grey", ["z", "y", "x"])
        assert told["spacing_mm"] == pytest.approx([0.00700082] * 3)
        assert told["acquisition"]["cs_minimum"] == -0.003
        assert told["acquisition"]["cs_maximum"] == 0.08
        return
    assert told["shape"] == [left_by.VIEWS, left_by.ROWS, left_by.COLUMNS]
    assert told["unit"] == "counts"
    assert told["views"]["count"] == left_by.VIEWS
    first = {"nikon": 0, "skyscan": 0, "zeiss": 180, "edf": 0}[kind]
    step = {"nikon": -6, "skyscan": -6, "zeiss": -6, "edf": 3}[kind]
    assert (told["views"]["first"], told["views"]["step"]) == pytest.approx((first, step))
    pixel = 2 * left_by.HALF / left_by.COLUMNS if kind == "edf" else left_by.PITCH
    assert told["spacing_mm"][1:] == pytest.approx([pixel, pixel])
    if kind == "edf":
        assert told["acquisition"] == {"energy_kev": 26, "distance_mm": 150, "exposure_s": 0.1}
        assert told["flats"] == {"count": 2, "before": 1, "after": 1}
        assert told["darks"]["count"] == 1
    else:
        assert told["geometry"]["kind"] == "cone"
        assert (told["geometry"]["sod"], told["geometry"]["sdd"]) == pytest.approx((left_by.SOD, left_by.SDD))
        assert told["acquisition"]["kvp"] == {"nikon": 80, "skyscan": 125, "zeiss": 80}[kind]
    if kind in ("nikon", "skyscan"):
        assert told["acquisition"]["white"] == {"nikon": 60000, "skyscan": 65535}[kind]
    if kind == "zeiss":
        assert told["flats"]["count"] == 1


def test_no_name_of_a_person_or_a_place_comes_out(run, whole, kind):
    secrets = [*re.split(r"[ \\:-]+", left_by.PERSON), "Geheim", "GEHEIM", "Results"]
    answers = [run("info", whole[kind]), run("info", "--json", whole[kind]), run("info", "--stats", whole[kind])]
    scan = scanners.read(whole[kind])
    words = json.dumps(scan.header.to_json()) + repr(scan) + "".join(one.out.decode() + one.err for one in answers)
    for secret in filter(None, secrets):
        assert secret not in words, secret


@pytest.mark.parametrize("kind", ["dxchange", "nxtomo", "tiff_folder"])
def test_no_name_comes_out_of_files_of_facilities_either(run, tmp_path, kind):
    import h5py

    path = tmp_path / ("scan" if kind == "tiff_folder" else "scan.h5")
    values = np.full((4, 5, 6), 7, "<u2")
    secret, place = "Mueller-Patient", "/data/visitor/geheim"
    if kind == "tiff_folder":
        path.mkdir()
        for i in range(4):
            tags = [(315, "s", 0, secret, True), (316, "s", 0, place, True)]
            for name in ("tomo", "flat"):
                tifffile.imwrite(path / f"{name}_{i:04d}.tif", values[0], description=secret, extratags=tags)
        (path / "angles.txt").write_text("0\n45\n90\n135\n")
    else:
        with h5py.File(path, "w") as file:
            base = "entry/instrument/detector" if kind == "nxtomo" else "exchange"
            file[f"{base}/data"] = values
            if kind == "nxtomo":
                file["entry"].attrs["NX_class"] = "NXentry"
                file["entry/instrument"].attrs["NX_class"] = "NXinstrument"
                file[base].attrs["NX_class"] = "NXdetector"
                file[f"{base}/image_key"] = [1, 0, 0, 2]
                file["entry/sample/rotation_angle"] = [0, 0, 90, 90]
                file["entry/sample/name"] = file["entry/title"] = file["entry/user/name"] = secret
            file["measurement/sample/experimenter/name"] = file["measurement/sample/name"] = secret
            file["measurement/sample/file_path"] = file[base].attrs["path"] = place
    assert scanners.claimed(path) == kind
    scan = scanners.read(path)
    words = json.dumps(scan.header.to_json()) + repr(scan)
    for one in (run("info", path), run("info", "--json", path)):
        words += one.out.decode() + one.err
    assert secret not in words
    assert "geheim" not in words


def test_a_message_about_a_damaged_scan_names_no_person(scan_of, kind):
    path = scan_of(kind)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for one in files[:3] + texts(path):
        whole = one.read_bytes()
        for size in (0, 100, len(whole) // 3, len(whole) - 7):
            one.write_bytes(whole[:size])
            try:
                scan = scanners.read(path)
                held(scan.stack)
                said = " ".join((*scan.problems, *scan.notes))
            except BonectlError as error:
                said = str(error)
            assert "Müller" not in said
            assert "Geheim" not in said
            assert "\n" not in said
        one.write_bytes(whole)


def test_what_is_cut_short_is_refused(scan_of, kind):
    path = scan_of(kind)
    files = [path] if path.is_file() else sorted(set(path.iterdir()) - set(texts(path)))
    one = files[len(files) // 2]
    one.write_bytes(one.read_bytes()[: one.stat().st_size // 2])
    with pytest.raises(BonectlError, match=re.escape(one.name)):
        held(scanners.read(path).stack)


@pytest.mark.parametrize("kind", ["nikon", "skyscan", "skyscan_rec", "edf"])
def test_letters_lines_and_keys_may_be_others(scan_of, kind):
    path = scan_of(kind)
    before = scanners.read(path)
    for one in texts(path):
        text = one.read_bytes().decode("latin-1")
        changed = []
        for line in text.split("\r\n"):
            key, equals, value = line.partition("=")
            changed.append(f"{key.upper()} {equals}  {value} \t" if equals else line)
        one.write_text("\n".join(changed) + "\n", encoding="utf-8-sig")
    after = scanners.read(path)
    assert after.header == before.header
    assert (after.angles, after.problems, after.notes) == (before.angles, before.problems, before.notes)


def test_a_missing_projection_is_named(scan_of, run):
    for kind, file in (("skyscan", "mouse07_00000021.tif"), ("nikon", "leg_0022.tif")):
        path = scan_of(kind)
        (path / file).unlink()
        scan = scanners.read(path)
        assert scan.problems == (f"59 of 60 projections: {file} is missing",)
        with pytest.raises(DataError, match=f"59 of 60 projections: {file} is missing"):
            held(scan.stack)
        assert f"missing\t59 of 60 projections: {file} is missing" in run("info", path).out.decode()
        shutil.rmtree(path)


def test_a_projection_too_many_is_said(scan_of):
    path = scan_of("nikon")
    shutil.copy(path / "leg_0001.tif", path / "leg_0061.tif")
    assert "1 projection more than the 60" in scanners.read(path).problems[0]
    path = left_by.skyscan(path.with_name("sky"))
    shutil.copy(path / "mouse07_00000000.tif", path / "mouse07_00000060.tif")
    assert "1 projection more than the 60" in scanners.read(path).problems[0]


def test_a_log_alone_tells_what_was_scanned(shared_data, run):
    log = shared_data / "scans" / "skyscan" / "Sensor_Part2_.log"
    told = json.loads(run("info", "--json", log).out)
    assert (told["kind"], told["shape"]) == ("skyscan", [450, 486, 764])  # the 451st view is the first again
    assert told["problems"] == ["none of the 451 projections of Sensor_Part2_.log lies beside it"]
    geometry = told["geometry"]
    assert geometry["pitch"] == pytest.approx(0.0748 * 4, rel=1e-5)  # camera pixel times binning
    assert geometry["voxel"] == pytest.approx(0.091999037)
    assert geometry["row_centre"] == 486 - 1 - 246
    assert told["facts"]["scanner"] == "SkyScan2214"
    with pytest.raises(MissingInputError, match="none of the 451 projections"):
        held(scanners.read(log).stack)


def test_a_real_txrm(shared_data):
    scan = scanners.read(shared_data / "scans" / "zeiss_txrm" / "txrm_test_chip_tomo.txrm")
    assert (scan.kind, scan.header.shape, scan.header.dtype) == ("zeiss", (7, 256, 256), "<u2")
    assert scan.header.spacing == (None, pytest.approx(0.1558e-3, rel=1e-3), pytest.approx(0.1558e-3, rel=1e-3))
    assert scan.angles.degrees == pytest.approx([45.018, 30.014, 15.014, 0.014, -14.986, -29.986, -44.986], abs=2e-3)
    assert held(scan.stack)[0, 0, :4].tolist() == [10, 11, 16, 17]
    assert "no reference picture" in scan.problems[0]
    assert any("views are shifted by up to 1.3 pixels (Alignment): not applied" in note for note in scan.notes)


def test_connected_scans_are_refused_until_one_is_named(tmp_path):
    folder = left_by.skyscan(tmp_path / "scan", name="mouse~00")
    left_by.skyscan(folder, name="mouse~01", line=20)
    (folder / "mouse.log").write_bytes((folder / "mouse~00.log").read_bytes())
    with pytest.raises(DataError, match=r"holds 2 connected scans of one specimen; say skyscan\(connected=first"):
        scanners.read(folder)
    first = scanners.read(folder, parse("skyscan(connected=first)"))
    second = scanners.read(folder / "mouse~01.log")
    assert (first.header.geometry.row_centre, second.header.geometry.row_centre) == (27.5, 35)
    with pytest.raises(UsageError, match="there is first; of another scan, give its log"):
        scanners.read(folder, parse("skyscan(connected=second)"))


def test_air_that_reads_another_level_is_said(tmp_path):
    folder = left_by.skyscan(tmp_path / "scan", keys={"Reference Intensity": 58000})
    assert scanners.read(folder).header.acquisition["white"] == 65535  # which the edges read
    for level, white in ((58000, 58000), (50000, 65535)):
        for path in folder.glob("*0.tif"):
            view = tifffile.imread(path) / tifffile.imread(path).max()
            tifffile.imwrite(path, (view * level).astype("<u2"))
        scan = scanners.read(folder)
        assert scan.header.acquisition["white"] == white
        said = f"the edges of the first view read {level}, white is taken as 65535: skyscan(white={level})"
        assert (said in scan.notes) == (white != level)
    assert scanners.read(folder, parse("skyscan(white=50000)")).header.acquisition["white"] == 50000


def test_a_scan_without_flat_correction_wants_flats(tmp_path):
    scan = scanners.read(left_by.skyscan(tmp_path / "scan", keys={"Flat Field Correction": "OFF"}))
    assert scan.problems == ("not flat-corrected by the scanner: give --flats",)
    assert "white" not in scan.header.acquisition


def test_measured_angles_of_nikon_are_taken_when_named(tmp_path):
    folder = left_by.nikon(tmp_path / "scan")
    true = 6 * np.arange(60) + 0.3 * np.sin(np.arange(60))
    rows = "\r\n".join(f"{i + 1}\t{angle:.4f}\t0" for i, angle in enumerate(true))
    (folder / "_ctdata.txt").write_text(
        f"Projs\tFrames\tExposure\r\n60\t1\t500\r\nProjection\tAngle(deg)\tTime\r\n{rows}"
    )
    scan = scanners.read(folder)
    assert scan.notes == ("ctdata differs from even steps by up to 0.3 degrees: nikon(angles=ctdata) takes it",)
    assert scan.header.geometry.angles.step == -6
    measured = scanners.read(folder, parse("nikon(angles=ctdata)"))
    assert measured.header.geometry.angles.degrees == pytest.approx(-true, abs=1e-3)
    (folder / "leg.ang").write_text("Proj\tAngle(deg)\n" + "\n".join(f"{i}:\t{6 * i}" for i in range(59)))
    assert any("ang has 59 angles for 60 views" in note for note in scanners.read(folder).notes)
    with pytest.raises(DataError, match="ang has 59 angles for 60 views"):
        scanners.read(folder, parse("nikon(angles=ang)"))


def test_too_few_angles_of_a_txrm_are_refused(tmp_path):
    with pytest.raises(DataError, match="has 59 angles for 60 views"):
        scanners.read(left_by.zeiss(tmp_path / "scan.txrm", angles=59))
    scan = scanners.read(left_by.zeiss(tmp_path / "other.txrm", reference=False))
    assert scan.problems == ("no reference picture: give --flats, or --input-unit where values are no counts",)


def test_a_txm_is_a_volume(tmp_path):
    path = left_by.zeiss(tmp_path / "scan.txm")
    scan = scanners.read(path)
    assert scan.is_volume
    assert scan.header.spacing == pytest.approx((0.2, 0.2, 0.2))
    assert held(scan.stack).shape == scan.header.shape


def test_a_compound_file_of_another_program_is_none(tmp_path):
    path = tmp_path / "letter.doc"
    path.write_bytes(left_by.compound({"WordDocument": bytes(5000)}))
    assert scanners.claimed(path) is None
    renamed = left_by.zeiss(tmp_path / "scan.bin")
    assert scanners.claimed(renamed) == "zeiss"


def test_an_edf_folder_with_roles_missing(tmp_path):
    scan = scanners.read(left_by.edf(tmp_path / "scan", info=False, flats=False, missing=(7,)))
    assert [problem.partition(":")[0] for problem in scan.problems] == [
        "spine_0007.edf is missing",
        "no flats (refHST*.edf)",
        "no scan range and count (ScanRange, TOMO_N in NAME.info or NAME.xml)",
    ]
    assert scan.angles is None
    few = scanners.read(left_by.edf(tmp_path / "few", extra=-1))
    assert few.problems == ("59 of 60 projections (TOMO_N) are here: copy the others too",)


def test_an_edf_scan_may_be_told_by_xml(tmp_path):
    folder = left_by.edf(tmp_path / "scan", info=False)
    pixel = 2 * left_by.HALF / left_by.COLUMNS * 1000
    tags = {"tomo_N": 60, "scanRange": 180, "pixelSize": pixel, "energy": 26, "scanName": left_by.PERSON}
    lines = "".join(f"<{tag}> {value} </{tag}>\n" for tag, value in tags.items())
    (folder / "spine_.xml").write_text(f"<?xml version='1.0'?><tomodb2><acquisition>{lines}</acquisition></tomodb2>")
    scan = scanners.read(folder)
    assert scan.angles.step == 3
    assert scan.header.acquisition["energy_kev"] == 26
    assert scan.header.spacing[2] == pytest.approx(pixel / 1000)


@pytest.mark.parametrize("suffix", ["bmp", "tif"])
def test_slices_of_nrecon_are_a_volume(tmp_path, suffix):
    scan = scanners.read(left_by.skyscan_rec(tmp_path / "scan", SLICES, suffix=suffix))
    assert scan.is_volume
    assert np.array_equal(held(scan.stack), SLICES)
    assert held(scan.stack) is not None  # as often as it is wanted


def test_slices_of_nrecon_may_be_png(tmp_path):
    from skimage.io import imsave

    folder = left_by.skyscan_rec(tmp_path / "scan", SLICES, suffix="tif")
    smooth = np.cumsum(np.cumsum(SLICES.astype("<u2"), 1), 2).astype("<u2")  # takes every kind of filter
    for path, values in zip(sorted(folder.glob("*.tif")), smooth, strict=True):
        path.unlink()
        imsave(path.with_suffix(".png"), values, check_contrast=False)
    assert np.array_equal(held(scanners.read(folder).stack), smooth)


def test_a_slice_missing_between_others_is_named_and_one_at_the_end_noted(tmp_path):
    folder = left_by.skyscan_rec(tmp_path / "scan", SLICES)
    (folder / "mouse07__rec00000455.bmp").unlink()
    assert scanners.read(folder).notes == ("5 of 6 slices are here, 456 to 460",)
    (folder / "mouse07__rec00000458.bmp").unlink()
    scan = scanners.read(folder)
    assert scan.problems == ("mouse07__rec00000458.bmp is missing between its neighbours: copy it again",)
    with pytest.raises(DataError, match=r"mouse07__rec00000458\.bmp is missing"):
        held(scan.stack)


def test_measure_takes_slices_of_nrecon(run, tmp_path):
    y, x = np.ogrid[:20, :20]
    rod = np.broadcast_to((y - 9.5) ** 2 + (x - 9.5) ** 2 < 36, (20, 20, 20)).astype(np.uint8) * 200
    left_by.skyscan_rec(tmp_path / "scan", rod)
    done = run("measure", "scan", "--threshold", 100, "-m", "bvtv", "--json")
    told = json.loads(done.out)
    assert done.status == 0
    assert (rod > 0).mean() == pytest.approx(next(row["value"] for row in told["rows"] if row["name"] == "bvtv"))


@pytest.mark.parametrize("number", ["99999999999999", "-3", "0", "1e999", "nan", "", "ten"])
def test_a_log_with_a_number_that_cannot_be_is_refused(scan_of, number):
    for kind, key in (("skyscan", "Number Of Files"), ("nikon", "Projections"), ("skyscan", "Rotation Step (deg)")):
        path = scan_of(kind)
        (log,) = texts(path)
        text = log.read_bytes().decode("latin-1")
        log.write_bytes(re.sub(rf"{re.escape(key)}=[^\r]*", f"{key}={number}", text).encode("latin-1"))
        with pytest.raises((DataError, UsageError)):
            held(scanners.read(path).stack)
        shutil.rmtree(path)


def test_a_package_that_is_missing_is_named_with_the_line_to_type(scan_of, run, monkeypatch):
    path = scan_of("zeiss")
    monkeypatch.setitem(sys.modules, "olefile", None)
    done = run("info", path)
    assert done.status == 69
    assert "pip install 'bonectl[zeiss]'" in done.err
