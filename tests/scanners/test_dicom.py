"""Series of DICOM files, written by pydicom with the places, types and traps that they have."""

import numpy as np
import pytest

from bonectl import scanners
from bonectl.core.spec import parse
from bonectl.errors import BonectlError, DataError, MissingInputError, UsageError

pydicom = pytest.importorskip("pydicom")

CT = "1.2.840.10008.5.1.4.1.1.2"
PERSON = "Müller^Anna"


def written(folder, name, pixels, **tags):
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CT
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    made.SpecificCharacterSet = "ISO_IR 100"
    made.SOPClassUID, made.SOPInstanceUID = CT, meta.MediaStorageSOPInstanceUID
    made.PatientName, made.PatientID, made.InstitutionName = PERSON, "4711", "Klinik am See"
    made.Modality, made.SeriesNumber, made.SeriesInstanceUID = "CT", 3, "1.2.3"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = pixels.shape
    made.BitsAllocated = made.BitsStored = pixels.dtype.itemsize * 8
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PixelSpacing, made.ImageOrientationPatient = [0.08, 0.082], [1, 0, 0, 0, 1, 0]
    made.KVP = 68
    for tag, value in tags.items():
        setattr(made, tag, value)
    made.PixelData = pixels.tobytes()
    made.save_as(folder / name, enforce_file_format=True)


@pytest.fixture
def volume():
    return np.random.default_rng(5).integers(-1000, 3000, (5, 6, 7)).astype(np.int16)


def series(folder, volume, step=0.5, **tags):
    for i, pixels in enumerate(volume):  # names run against the places
        written(folder, f"IM{9 - i:03d}", pixels, ImagePositionPatient=[1.0, 2.0, -7 + step * i], **tags)


def held(scan):
    with scan.stack.open() as stack:
        assert stack.header == scan.header
        return stack.collect()


def test_slices_lie_in_the_order_of_their_places_and_have_their_rescaled_values(tmp_path, volume):
    series(tmp_path, volume, RescaleSlope=2, RescaleIntercept=-1024, RescaleType="HU")
    scan = scanners.read(tmp_path)
    assert scan.kind == scanners.claimed(tmp_path) == "dicom"
    assert scan.is_volume
    assert scan.header.shape == volume.shape
    assert scan.header.spacing == (0.5, 0.08, 0.082)
    assert scan.header.unit == "grey"
    assert dict(scan.facts) == {"modality": "CT", "slices": 5, "rescale_type": "HU"}
    assert dict(scan.header.acquisition) == {"kvp": 68.0}
    for _ in range(2):  # as often as it is wanted
        assert np.array_equal(held(scan), volume.astype(np.float32) * 2 - 1024)


def test_without_a_rescaling_values_keep_their_type(tmp_path, volume):
    series(tmp_path, volume)
    scan = scanners.read(tmp_path)
    assert scan.header.dtype == "<i2"
    assert np.array_equal(held(scan), volume)


def test_each_slice_may_have_a_rescaling_of_its_own(tmp_path, volume):
    for i, pixels in enumerate(volume):
        written(tmp_path, f"{i}", pixels, ImagePositionPatient=[0, 0, i], RescaleSlope=i + 1, RescaleIntercept=i)
    slopes = np.arange(1, 6)[:, None, None]
    assert np.array_equal(held(scanners.read(tmp_path)), (volume * slopes + slopes - 1).astype(np.float32))


@pytest.mark.parametrize("which", [2, 3])
def test_a_missing_slice_is_named(tmp_path, volume, which):
    series(tmp_path, volume)
    (tmp_path / f"IM{9 - which:03d}").unlink()
    with pytest.raises(DataError, match="slices are missing or doubled between IM00"):
        scanners.read(tmp_path)


def test_a_doubled_slice_is_named(tmp_path, volume):
    series(tmp_path, volume)
    (tmp_path / "copy").write_bytes((tmp_path / "IM007").read_bytes())
    with pytest.raises(DataError, match="slices are missing or doubled"):
        scanners.read(tmp_path)


def test_one_of_several_series_is_chosen_by_its_number(tmp_path, volume):
    series(tmp_path, volume)
    written(tmp_path, "scout", volume[0], SeriesNumber=1, SeriesInstanceUID="9.9")
    with pytest.raises(UsageError, match=r"holds series 1 \(1 slices\), 3 \(5 slices\); give one: dicom\(series=\d\)"):
        scanners.read(tmp_path)
    assert scanners.read(tmp_path, parse("dicom(series=3)")).header.shape == volume.shape
    with pytest.raises(MissingInputError, match="holds no series 8"):
        scanners.read(tmp_path, parse("dicom(series=8)"))


def test_slices_of_another_size_are_named(tmp_path, volume):
    series(tmp_path, volume)
    written(tmp_path, "IM004", volume[0][:, :5], ImagePositionPatient=[1, 2, -4.5])
    with pytest.raises(DataError, match=r"IM004 has Columns 5, others 7|IM00\d has Columns 7, others 5"):
        scanners.read(tmp_path)


def test_no_person_is_told(tmp_path, volume, caplog):
    from typer.testing import CliRunner

    from bonectl.cli.app import app

    series(tmp_path, volume)
    told = CliRunner().invoke(app, ["info", "--json", str(tmp_path)])
    assert told.exit_code == 0
    for word in ("Anna", "ller", "4711", "Klinik"):
        assert word not in told.output + str(scanners.read(tmp_path))


def test_a_file_cut_at_any_length_says_so(tmp_path, volume):
    series(tmp_path, volume[:2])
    whole = (tmp_path / "IM009").read_bytes()
    for size in np.random.default_rng(1).integers(133, len(whole), 15):
        (tmp_path / "IM009").write_bytes(whole[:size])
        with pytest.raises(BonectlError) as told:
            held(scanners.read(tmp_path))
        assert told.value.status in (65, 69), told.value
        assert str(tmp_path) in str(told.value)


def test_every_command_takes_a_volume_that_a_scanner_left(tmp_path, volume):
    import bonectl

    (tmp_path / "series").mkdir()
    series(tmp_path / "series", volume, RescaleSlope=2, RescaleIntercept=-1024)
    stack = bonectl.read(tmp_path / "series")
    assert stack.header.shape == volume.shape
    assert np.array_equal(stack.collect(), volume.astype(np.float32) * 2 - 1024)
