"""AIM and ISQ as Scanco's programs lay them out, made byte by byte, and real ones."""

import struct

import numpy as np
import pytest

from bonectl import io
from bonectl.errors import BonectlError, DataError

LOG = b"""!
! Processing Log
Patient Name                  Meier, Eva
Original file                 dk0:[data.00004711]d1.isq;
Energy [V]                                      68000
No. projections per 180                           900
Mu_Scaling                                       8192
Density: slope                         1.60000000e+03
Density: intercept                    -4.00000000e+02
HU: mu water                                  0.25000
"""


def vax(value):
    low, high = struct.unpack("<HH", struct.pack("<f", value * 4))
    return struct.pack("<HH", high, low)


def vax_double(value):
    return struct.pack("<4H", *reversed(struct.unpack("<4H", struct.pack("<d", value * 4))))


def aim(kind, shape, data, *, position=(3, 2, 1), border=(0, 0, 0), log=LOG, wide=False):
    """Shape, position and border are (z, y, x)."""
    flip = [*reversed(position), *reversed(shape), *reversed(border)] + [0] * 12
    if wide:
        head = struct.pack("<5i", 0, 0, 0, 0, 0) + struct.pack("<i", kind) + struct.pack("<21q", *flip)
        head += struct.pack("<3q", 61000, 61000, 82000)  # nanometres, x first
        sizes = struct.pack("<5q", 40, len(head), len(log), len(data), 0)
        return b"AIMDATA_V030   \0" + sizes + head + log + data
    head = struct.pack("<5i", 16, 0, 0, 0, 0) + struct.pack("<i", kind) + struct.pack("<21i", *flip)
    head += vax(0.061) + vax(0.061) + vax(0.082)
    head += bytes(140 - len(head))
    return struct.pack("<5i", 20, 140, len(log), len(data), 0) + head + log + data


@pytest.fixture
def native():
    return np.random.default_rng(0).integers(-500, 8000, (5, 4, 3)).astype("<i2")


def held(path, **how):
    with io.open(path, **how) as stack:
        return stack.header, stack.collect()


def test_native_values_are_densities_by_the_constants_of_the_log(tmp_path, native):
    (tmp_path / "a.AIM").write_bytes(aim(0x00020002, native.shape, native.tobytes()))
    header, values = held(tmp_path / "a.AIM")
    assert header.unit == "mgHA/cm3"
    assert header.spacing == pytest.approx((0.082, 0.061, 0.061), rel=1e-6)
    np.testing.assert_allclose(values, native / 8192 * 1600 - 400, rtol=1e-6, atol=1e-3)
    assert header.calibration.density(0.25) == pytest.approx(0)  # water
    assert dict(header.acquisition) == {
        "position_z": 3, "position_y": 2, "position_x": 1, "kvp": 68.0, "projections_per_180": 900.0,
    }  # fmt: skip
    stored, raw = held(tmp_path / "a.AIM", stored=True)
    assert np.array_equal(raw, native)
    assert stored.scaling == pytest.approx((1600 / 8192, -400))
    assert "Meier" not in str(header) + str(stored)
    assert "4711" not in str(header)


def test_a_log_without_constants_leaves_grey_values(tmp_path, native):
    (tmp_path / "a.aim").write_bytes(aim(0x00020002, native.shape, native.tobytes(), log=b"!\nMu_Scaling   8192\n"))
    header, values = held(tmp_path / "a.aim")
    assert (header.unit, header.calibration) == ("grey", None)
    assert np.array_equal(values, native)


def test_v030_has_wide_numbers_and_nanometres(tmp_path, native):
    (tmp_path / "a.aim").write_bytes(aim(0x00020002, native.shape, native.tobytes(), wide=True))
    header, values = held(tmp_path / "a.aim", stored=True)
    assert header.spacing == pytest.approx((0.082, 0.061, 0.061))
    assert np.array_equal(values, native)


@pytest.mark.parametrize("wide", [False, True])
def test_runs_of_two_values_go_on_after_255(tmp_path, wide):
    mask = np.zeros((4, 20, 20), np.int8)
    mask.ravel()[300:1000] = 127  # a run longer than 254
    mask.ravel()[1500] = 127
    runs = np.diff(np.flatnonzero(np.diff(mask.ravel(), prepend=-1, append=-1)))
    data = bytearray([0, 127])
    for run in runs:
        data += b"\xff" * (int(run) // 254) + bytes([int(run) % 254])
    width = 8 if wide else 4
    data = (len(data) + width).to_bytes(width, "little") + bytes(data)
    (tmp_path / "m.aim").write_bytes(aim(0x00150001, mask.shape, data, wide=wide))
    header, values = held(tmp_path / "m.aim")
    assert (header.unit, header.dtype) == ("label", "|i1")
    assert np.array_equal(values, mask)


def test_runs_of_values_and_packed_bits(tmp_path):
    labels = np.repeat(np.array([0, 3, 7, 0], np.int8), [100, 55, 40, 15]).reshape(5, 6, 7)
    pairs = b"".join(bytes([n, v]) for n, v in ((100, 0), (55, 3), (40, 7), (15, 0)))
    (tmp_path / "runs.aim").write_bytes(aim(0x00080002, labels.shape, (len(pairs) + 4).to_bytes(4, "little") + pairs))
    assert np.array_equal(held(tmp_path / "runs.aim")[1], labels)
    mask = np.random.default_rng(1).random((5, 6, 7)) < 0.4
    data = bytearray()
    whole = np.pad(mask, ((0, 1), (0, 0), (0, 1)))
    for z in range(0, 6, 2):
        for y in range(0, 6, 2):
            for x in range(0, 8, 2):
                data.append(sum(int(whole[z + k, y + j, x + i]) << (i + 2 * j + 4 * k)
                                for i in (0, 1) for j in (0, 1) for k in (0, 1)))  # fmt: skip
    (tmp_path / "bits.aim").write_bytes(aim(0x00060001, mask.shape, bytes(data) + b"\x00"))
    assert np.array_equal(held(tmp_path / "bits.aim")[1], mask * np.int8(127))


def test_a_border_is_cut_off_and_moves_the_position(tmp_path, native):
    (tmp_path / "a.aim").write_bytes(aim(0x00020002, native.shape, native.tobytes(), border=(1, 1, 0)))
    header, values = held(tmp_path / "a.aim", stored=True)
    assert np.array_equal(values, native[1:-1, 1:-1])
    assert [header.acquisition[f"position_{axis}"] for axis in "zyx"] == [4, 3, 1]


def test_other_types_and_nonsense_are_named(tmp_path, native):
    (tmp_path / "a.aim").write_bytes(aim(0x00FF0001, native.shape, b""))
    with pytest.raises(DataError, match=r"voxels of Scanco's type 0x00ff0001, which bonectl does not read"):
        held(tmp_path / "a.aim")
    (tmp_path / "a.aim").write_bytes(aim(0x00080002, (2, 2, 2), b"\x06\0\0\0\x05\x01"))
    with pytest.raises(DataError, match="its runs hold 5 of 8 voxels"):
        held(tmp_path / "a.aim")


def isq(native, blocks=0, extended=b""):
    head = bytearray(512)
    head[:16] = b"CTDATA-HEADER_V1"
    struct.pack_into("<i", head, 16, 3)
    struct.pack_into("<3i", head, 44, *reversed(native.shape))
    struct.pack_into("<3i", head, 56, *(n * 61 for n in reversed(native.shape)))
    struct.pack_into("<i", head, 88, 8192)
    head[128:168] = b"Meier, Eva".ljust(40)
    struct.pack_into("<2i", head, 168, 68000, 1470)
    struct.pack_into("<i", head, 508, blocks)
    return bytes(head) + extended.ljust(blocks * 512, b"\0") + native.tobytes()


def test_an_isq_without_and_with_constants(tmp_path, native):
    (tmp_path / "a.isq").write_bytes(isq(native))
    header, values = held(tmp_path / "a.isq")
    assert header.unit == "grey"
    assert header.spacing == pytest.approx((0.061,) * 3)
    assert np.array_equal(values, native)
    assert "Meier" not in str(header)
    calibration = bytearray(1024)
    for at, value in ((664, 1600.0), (672, -400.0), (688, 0.25)):
        calibration[at : at + 8] = vax_double(value)
    lists = bytearray(512)
    lists[8:24], lists[24:28] = b"Calibration     ", struct.pack("<i", 2)
    several = bytearray(512)
    several[8:24] = b"MultiHeader     "
    (tmp_path / "a.isq").write_bytes(isq(native, 4, bytes(several + lists + calibration)))
    header, values = held(tmp_path / "a.isq")
    assert header.unit == "mgHA/cm3"
    np.testing.assert_allclose(values, native / 8192 * 1600 - 400, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("name", ["a.aim", "m.aim", "a.isq"])
def test_files_that_are_cut_or_changed_are_65_with_their_name(tmp_path, native, name):
    path, random = tmp_path / name, np.random.default_rng(2)
    runs = b"\x0c\0\0\0\x00\x7f" + b"\x0a" * 6
    whole = {
        "a.aim": aim(0x00020002, native.shape, native.tobytes()),
        "m.aim": aim(0x00150001, native.shape, runs),
        "a.isq": isq(native),
    }[name]
    for size in random.integers(9, len(whole), 25):
        path.write_bytes(whole[:size])
        with pytest.raises(BonectlError, match=str(path)) as told:
            held(path)
        assert told.value.status == 65
    for at in random.integers(0, 160, 60):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(random.integers(8))
        path.write_bytes(bytes(damaged))
        try:
            held(path)
        except BonectlError as error:
            assert error.status in (65, 75), error


def test_a_real_radius_is_what_was_published(shared_data):
    scans = shared_data / "scans" / "scanco"
    header, values = held(scans / "TRAB_1240.AIM")
    assert header.shape == (126, 108, 108)
    assert (values >= 320).mean() == pytest.approx(0.1324, abs=5e-5)
    assert (values.min(), values.max()) == pytest.approx((-515.3, 1216.4), abs=0.1)
    _, mask = held(scans / "TRAB_1240_SEG.AIM")
    _, truth = held(shared_data / "bone" / "trab_1240_seg_mask.tif")
    assert np.array_equal(mask != 0, truth != 0)
    for name in ("test_isq_calibrated_binary_25.ISQ", "test_isq_native_only_binary_25.ISQ"):
        _, values = held(scans / name, stored=True)
        assert values.shape == (25, 25, 25)
        assert values.sum() == 547
