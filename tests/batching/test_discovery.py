"""Scans are found by what is in them, at any depth."""

import numpy as np
import pytest
import tifffile
from tests.batching.conftest import PIPELINE, write_scan

from bonectl.batching.discovery import discover, translated
from bonectl.batching.kinds import kind
from bonectl.batching.pipeline import load
from bonectl.cli.steps import catalogue
from bonectl.errors import MissingInputError, UsageError


def names(folder, scans="raw/**", roots=()):
    (folder / "p.toml").write_text(PIPELINE.replace('"raw/**"', f'"{scans}"'))
    found = discover(load(folder / "p.toml", catalogue()), roots, kind)
    return {each.scan: each.kind for each in found}


def slices(folder, count=4):
    folder.mkdir(parents=True)
    for i in range(count):
        tifffile.imwrite(folder / f"s_{i:03d}.tif", np.zeros((6, 5), np.uint16))


def test_files_and_folders_at_any_depth_and_nothing_inside_of_a_scan(tmp_path):
    raw = tmp_path / "raw"
    write_scan(raw / "scan10.npy", 0)
    write_scan(raw / "scan2.npy", 0)
    write_scan(raw / "monday" / "left" / "a.npy", 0)
    slices(raw / "monday" / "mouse")
    write_scan(raw / "monday" / "mouse" / "old" / "b.npy", 0)  # inside of a scan
    slices(raw / "tooth")
    tifffile.imwrite(raw / "tooth" / "flat_001.tif", np.ones((6, 5), np.uint16))
    tifffile.imwrite(raw / "tooth" / "dark_001.tif", np.ones((6, 5), np.uint16))
    (raw / "tibia.nii.gz").write_bytes(b"")
    write_scan(raw / "flats.npy", 0)  # readings without sample
    write_scan(raw / ".hidden" / "c.npy", 0)
    (raw / "notes.txt").write_text("x")
    (raw / "broken.tif").write_bytes(b"")  # a scan that fails, and is not lost from sight
    assert list(names(tmp_path).items()) == [
        ("broken", "tiff"),
        ("monday/left/a", "npy"),
        ("monday/mouse", "slices"),
        ("scan2", "npy"),
        ("scan10", "npy"),
        ("tibia", "nifti_gz"),
        ("tooth", "tiff_folder"),
    ]


def test_several_volumes_of_one_file_each_are_several_scans(tmp_path):
    for i in range(3):
        (tmp_path / "raw").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "raw" / f"bone_{i}.tif", np.zeros((3, 6, 5), np.uint16), photometric="minisblack")
    assert list(names(tmp_path)) == ["bone_0", "bone_1", "bone_2"]


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("**", "a/b.npy", True), ("*", "a/b", False), ("*.npy", "a.npy", True), ("**/*_Rec", "a/b_Rec", True),
        ("**/*_Rec", "b_Rec", True), ("hip_?", "hip_1", True), ("hip_?", "hip_12", False), ("[ab]*", "b1", True),
        ("aims/*.AIM", "aims/c7777.aim", True), ("*.npy", "a.NPY", True), ("*.npy", "a.npz", False),
        ("[!ab]*", "b1", False), ("a.npy", "a_npy", False), ("**/x/*", "a/x/b", True), ("x/**", "x/y/z", True),
    ],
)  # fmt: skip
def test_patterns(pattern, path, fits):
    import re

    assert bool(re.match(translated(pattern), path)) is fits


def test_patterns_and_roots_narrow_the_search(tmp_path):
    for name in ("raw/a.npy", "raw/b_Rec.npy", "other/c_Rec.npy"):
        write_scan(tmp_path / name, 0)
    assert list(names(tmp_path, "raw/*_Rec.npy")) == ["b_Rec"]
    assert list(names(tmp_path, "raw/b_Rec.npy")) == ["b_Rec"]
    assert list(names(tmp_path, "**/*_Rec.npy")) == ["other/c_Rec", "raw/b_Rec"]
    assert list(names(tmp_path, "raw/*_Rec.npy", [tmp_path / "other"])) == ["c_Rec"]


def test_outputs_are_no_scans(tmp_path):
    write_scan(tmp_path / "a.npy", 0)
    write_scan(tmp_path / "out" / "a" / "volume.npy", 0)
    assert list(names(tmp_path, "**")) == ["a"]


def test_nothing_found_and_two_of_one_name_are_refused(tmp_path):
    write_scan(tmp_path / "one" / "a.npy", 0)
    write_scan(tmp_path / "two" / "a.npy", 0)
    with pytest.raises(UsageError, match="two scans are called 'a'"):
        names(tmp_path, "**", [tmp_path / "one", tmp_path / "two"])
    with pytest.raises(MissingInputError, match="no scan found"):
        names(tmp_path, "one/*.tif")
    with pytest.raises(MissingInputError, match="is no folder"):
        names(tmp_path, "three/*")
