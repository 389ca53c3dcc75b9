"""A scan that is cut off by the detector is known to every later command, and `measure` warns of it."""

import json

import pytest

CUT = "not to be trusted, nor is BV/TV"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("region_of_interest")


@pytest.fixture
def volume(shell, folder):
    """A phantom that is wider than the detector, reconstructed."""
    if not (folder / "volume.npy").exists():
        made = shell(
            "bonectl phantom iliac --shape 12,48,48 --seed 1 | "
            "bonectl simulate --views 60 --photons 1e5 --geometry 'parallel(columns=30)' | "
            "bonectl reconstruct --unit mgHA/cm3 -o volume.npy",
            cwd=folder,
        )
        assert made.returncode == 0, made.stderr
    return folder


@pytest.mark.parametrize(
    "way",
    [
        "cat volume.npy",
        "bonectl convert volume.npy --crop 0:8,:,: --bin 2",
        "bonectl denoise volume.npy --model identity",
        "bonectl simulate volume.npy --views 60 | bonectl reconstruct --unit mgHA/cm3",
        "bonectl convert volume.npy -o there.tif && bonectl convert there.tif",
        "bonectl convert volume.npy -o slices/slice_%05d.tif && bonectl convert slices",
        "bonectl convert volume.npy --bare -o bare.npy && bonectl convert bare.npy",
    ],
)
def test_it_is_known_whatever_way_the_volume_took(shell, volume, way):
    shell("rm -rf there.tif slices bare.npy*", cwd=volume)
    run = shell(f"set -e; {{ {way}; }} > came.npy; bonectl measure came.npy -m bmd --json", cwd=volume)
    assert run.returncode == 0, run.stderr
    assert CUT in json.loads(run.stdout)["warnings"][0]
    assert CUT in run.stderr.decode()


def test_every_form_of_the_table_says_so(shell, volume):
    assert CUT in shell("cat volume.npy | bonectl measure -m bvtv -t 500 --style tsv", cwd=volume).stdout.decode()
    assert CUT in shell("bonectl measure volume.npy -m bvtv --style table", cwd=volume).stderr.decode()
    assert CUT in shell("bonectl measure volume.npy volume.npy -m bvtv --style tsv", cwd=volume).stdout.decode()
    page = shell("bonectl measure volume.npy -m bvtv --plot page.html --force && cat page.html", cwd=volume)
    assert CUT in page.stdout.decode()


def test_a_reference_that_was_cut_off_is_told_apart(shell, volume):
    clean = "bonectl phantom iliac --shape 12,48,48 --seed 1 -o clean.npy --force"
    run = shell(f"{clean} && bonectl measure clean.npy -r volume.npy -m bvtv --intervals none --json", cwd=volume)
    assert run.returncode == 0, run.stderr
    (warning,) = [line for line in json.loads(run.stdout)["warnings"] if CUT in line]
    assert warning.startswith("the scan of the reference was cut off")


def test_masks_and_whole_scans_raise_no_doubt(shell, volume):
    run = shell(
        "bonectl phantom iliac --shape 12,48,48 --seed 1 | bonectl simulate --views 60 | "
        "bonectl reconstruct --unit mgHA/cm3 | bonectl measure -m bmd --json",
        cwd=volume,
    )
    assert run.returncode == 0, run.stderr
    assert not any(CUT in line for line in json.loads(run.stdout)["warnings"])
