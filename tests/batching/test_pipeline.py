"""A pipeline file is understood, or refused with what would be right, before anything runs."""

from pathlib import Path

import pytest

from bonectl.batching.lines import lines, places
from bonectl.batching.pipeline import load
from bonectl.cli.steps import catalogue
from bonectl.errors import DataError, MissingInputError, UsageError

WHOLE = """
scans  = "raw/**"
output = "processed/{scan}"
[defaults]
voxel-size = 0.00065
device = "cpu"
[[step]]
run = "reconstruct"
centre = "auto"
unit = "mgHA/cm3"
energy = 25
[[step]]
run = "denoise"
model = "models/bone25d.safetensors"
keep = "volume.tif"
[[step]]
run = "measure"
metrics = "bvtv + tbth"
mask = "masks/{name}.tif"
plot = "{output}/report.png"
keep = "numbers.json"
[scan."hip_1*"]
angles = -180
centre = 7.5
[scan."hip_11"]
centre = 8.25
"denoise.device" = "cuda"
[scan."test_*"]
skip = "alignment scan"
[report]
window = "-400:1600"
"""


def loaded(tmp_path, text):
    path = tmp_path / "p.toml"
    path.write_text(text)
    return load(path, catalogue())


def typed(pipeline, scan):
    return [line.shown for line in lines(pipeline, places(pipeline, scan, Path("raw", f"{scan}.h5")))]


def test_steps_become_the_lines_that_one_would_type(tmp_path):
    assert typed(loaded(tmp_path, WHOLE), "a/hip_01") == [
        "bonectl reconstruct raw/a/hip_01.h5 --centre auto --device cpu --energy 25 --unit mgHA/cm3"
        " --voxel-size 0.00065"
        " | bonectl denoise --device cpu --model models/bone25d.safetensors -o processed/a/hip_01/volume.tif",
        "bonectl measure processed/a/hip_01/volume.tif --mask masks/hip_01.tif --metrics 'bvtv + tbth'"
        " --plot processed/a/hip_01/report.png --json",
    ]


def test_the_last_override_that_fits_wins(tmp_path):
    pipeline = loaded(tmp_path, WHOLE)
    assert "--angles -180 --centre 7.5" in typed(pipeline, "hip_12")[0]
    line = typed(pipeline, "sub/hip_11")[0]
    assert "--angles -180 --centre 8.25 --device cpu" in line
    assert "denoise --device cuda" in line
    assert pipeline.skipped("test_1") == "alignment scan"
    assert not pipeline.skipped("hip_1")


def test_what_numbers_read_flows_on(tmp_path):
    """Text is no input: a step after it reads the stack that was kept before, or the scan."""
    text = """
[[step]]
run = "info"
keep = "a.json"
[[step]]
run = "convert"
bin = 2
keep = "b.npy"
[[step]]
run = "measure"
keep = "c.tsv"
[[step]]
run = "measure"
map = "tbth"
keep = "d.tif"
[[step]]
run = "convert"
dtype = "float32"
keep = "s/%03d.tif"
"""
    made = typed(loaded(tmp_path, text), "x")
    assert [line.split(" --")[0].split(" -o")[0] for line in made] == [
        "bonectl info raw/x.h5",
        "bonectl convert raw/x.h5",
        "bonectl measure processed/x/b.npy",
        "bonectl measure processed/x/b.npy",
        "bonectl convert processed/x/b.npy",
    ]
    assert made[2].endswith("--style tsv")
    assert made[3].endswith("-o processed/x/d.tif")


STEP = '[[step]]\nrun = "measure"\nkeep = "n.json"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no step"),
        (STEP + '[repot]\ntable = "a.tsv"', "no key 'repot' (did you mean 'report'?)"),
        ('scan = "raw"\n' + STEP, "scan = 'raw' (did you mean 'scans'?)"),
        ('report = "t.tsv"\n' + STEP, "report is a table, write [report]"),
        ('output = "out/{scna}"\n' + STEP, "no {scna} (did you mean 'scan'?); there are {scan} and {name}"),
        ('output = "out/{scan}/{date}"\n' + STEP, "no {date}; there are {scan} and {name}"),
        ('[[step]]\nrun = "reconstruct"\nkepp = "v.tif"', "reconstruct has no option 'kepp' (did you mean 'keep'?)"),
        (
            'output = "processed"\n' + STEP,
            "output = 'processed'; give a folder for each scan, such as \"processed/{scan}\"",
        ),
        ('[[step]]\nrun = "measre"\nkeep = "n.json"', "no step 'measre' (did you mean 'measure'?)"),
        ('[[step]]\nrun = "phantom"\nkeep = "n.json"', "no step 'phantom'"),
        ('[[step]]\nrun = "train"\nkeep = "n.json"', "no step 'train'"),
        ('[[step]]\nrun = "batch"\nkeep = "n.json"', "no step 'batch'"),
        ('[[step]]\nrun = "measure"\nmetric = "bvtv"', "measure has no option 'metric' (did you mean 'metrics'?)"),
        ('[[step]]\nrun = "measure"\nmask_label = 1', "(did you mean 'mask-label'?)"),
        ('[[step]]\nrun = "measure"\nmetrics = "bvtw"\nkeep = "n.json"', "no metric 'bvtw' (did you mean 'bvtv'?)"),
        ('[[step]]\nrun = "measure"\npurify = 1', "purify = 1; give true or false"),
        ('[[step]]\nrun = "reconstruct"\nunit = "mgHA"', "unit = 'mgHA'; give one of 1/cm, mgHA/cm3"),
        ('[[step]]\nrun = "reconstruct"\nenergy = "25"', "energy = '25'; give a number"),
        ('[[step]]\nrun = "reconstruct"\nsize = 2.5', "size = 2.5; give a whole number"),
        ('[[step]]\nrun = "reconstruct"\noutput = "x.tif"', "reconstruct has no option 'output'"),
        ('[[step]]\nrun = "reconstruct"', 'step 1 (reconstruct) keeps nothing; add keep = "volume.tif"'),
        ('[[step]]\nrun = "measure"', 'step 1 (measure) keeps nothing; add keep = "numbers.json"'),
        ('[[step]]\nrun = "measure"\nkeep = "n.tif"', "measure prints text, so give a name that ends in .json"),
        ('[[step]]\nrun = "measure"\nkeep = "../n.json"', "give a name below the scan's folder"),
        (
            '[[step]]\nrun = "reconstruct"\n' + STEP + STEP.replace("n.", "m."),
            "step 3 (measure) follows one that passes",
        ),
        (STEP + STEP, "two steps keep 'n.json'"),
        (STEP + '[defaults]\ndevise = "cpu"', "[defaults] 'devise'"),
        (STEP + '[scan."a"]\nthreshhold = 3', "(did you mean 'threshold'?)"),
        (STEP + '[scan."a"]\n"mesure.threshold" = 3', "no step 'mesure' (did you mean 'measure'?)"),
        (STEP + STEP.replace("n.", "m.") + '[scan."a"]\nthreshold = 3', 'say of which, as "1.threshold"'),
        (STEP + '[report]\nsheet = "a.pdf"', "its name ends in .html"),
        (STEP + '[report]\nwindow = "3:1"', 'such as "-400:1600"'),
    ],
)
def test_what_is_wrong_is_told_with_what_would_be_right(tmp_path, text, message):
    with pytest.raises(UsageError) as told:
        loaded(tmp_path, text)
    assert message in str(told.value)
    assert str(told.value).startswith("p.toml: ")


def test_a_mark_and_line_ends_of_windows_are_passed_over(tmp_path):
    (tmp_path / "p.toml").write_bytes(b"\xef\xbb\xbf" + STEP.replace("\n", "\r\n").encode())
    assert [step.keep for step in load(tmp_path / "p.toml", catalogue()).steps] == ["n.json"]


def test_a_file_that_is_no_toml_and_one_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="is no TOML"):
        loaded(tmp_path, "scans = raw")
    with pytest.raises(MissingInputError, match="--init"):
        load(tmp_path / "other.toml", catalogue())
