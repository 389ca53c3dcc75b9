"""What the contributor's page tells to do works: its parts are one file each, and stale names are red."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.touched import touched

from bonectl.core import kit

TOP = Path(__file__).resolve().parents[1]
PAGE = (TOP / "CONTRIBUTING.md").read_text()
DESIGN = (TOP / "DESIGN.md").read_text()
PARTS = re.findall(r"<!-- (\w+)/(\w+)\.py -->\n```python\n(.*?)```", PAGE, re.S)


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """The package with the page's parts in it; all else is a link, so that compiled kernels serve both."""
    top = tmp_path_factory.mktemp("grown")
    package = top / "bonectl"
    package.mkdir()
    for path in (TOP / "src" / "bonectl").iterdir():
        if path.name not in kit.NAMES:
            (package / path.name).symlink_to(path)
            continue
        (package / path.name).mkdir()
        for file in path.iterdir():
            if file.name != "__pycache__":
                (package / path.name / file.name).symlink_to(file)
    for name, part, text in PARTS:
        (package / name / f"{part}.py").write_text(text)
    return top


@pytest.fixture
def bonectl(grown, tmp_path):
    def run(line):
        world = os.environ | {"PYTHONPATH": f"{grown}", "COLUMNS": "80"}
        line = line.replace("bonectl ", f"'{sys.executable}' -m bonectl ")
        done = subprocess.run(
            ["bash", "-ec", line], cwd=tmp_path, env=world, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


def test_there_is_a_loss_a_metric_a_method_and_a_format():
    assert [name for name, _, _ in PARTS] == ["losses", "metrics", "methods", "io"]


def test_a_metric_is_one_file_with_knob_and_interval(bonectl):
    bonectl("bonectl phantom iliac --shape 48,48,48 --voxel-size 0.05 --seed 1 -o bone.npy")
    done = bonectl("bonectl measure bone.npy -m 'fullness(scale=100) + bvtv' --intervals 0.8")
    rows = {line.split("\t")[0]: line.split("\t") for line in done.stdout.splitlines()}
    assert float(rows["fullness"][1]) == pytest.approx(100 * float(rows["bvtv"][1]))
    low, high = (float(rows["fullness"][column]) for column in (7, 8))
    assert low < float(rows["fullness"][1]) < high
    assert "fullness" in bonectl("bonectl measure bone.npy -m fulness 2>&1 || true").stdout


def test_a_method_is_one_file(bonectl):
    bonectl("bonectl phantom ball --shape 8,24,24 -o b.npy; bonectl simulate b.npy --views 12 -o s.npy")
    bonectl("bonectl reconstruct s.npy --method 'backed(gain=2)' -o v.npy")
    assert "memory" in bonectl("bonectl reconstruct s.npy --method backed --dry-run").stdout


def test_a_format_is_one_file(bonectl, grown):
    bonectl("bonectl phantom ball --shape 8,24,24 -o b.npy; bonectl convert b.npy -o b.xyz")
    bonectl("cat b.xyz | bonectl convert --format xyz | bonectl convert -o c.npy")
    bonectl("cmp <(bonectl info b.xyz | sed 1d) <(bonectl info c.npy | sed 1d | head -n -2)")
    assert ", tiff, xyz" in bonectl("bonectl convert --help | tr -s '\n ' ' '").stdout
    assert "did you mean 'xyz'?" in bonectl("bonectl convert b.npy -o b --format xyy 2>&1 || true").stdout
    cut = bonectl("head -c 9999 b.xyz > cut.xyz; bonectl convert cut.xyz -o d.npy 2>&1 || echo $?").stdout
    assert "cut.xyz: 4 of 8 slices are missing; re-copy the file\n65\n" in cut
    world = os.environ | {"PYTHONPATH": f"{grown}{os.pathsep}{TOP}"}
    contract = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/io/test_formats.py", "-k", "xyz"]
    done = subprocess.run(contract, cwd=TOP, env=world, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_loss_is_one_file(bonectl):
    for name, seed in (("a", 1), ("b", 2)):
        bonectl(f"bonectl phantom iliac --shape 16,24,24 --voxel-size 0.05 --seed {seed} -o {name}.npy")
    bonectl(
        "bonectl train a.npy -t b.npy --model 'unet2d(width=4, scales=2)' --steps 2 --patch 16 "
        "--loss 'l1 + 0.1*thinness(power=2)' -q -o x.safetensors && grep -q thinness x*.csv"
    )


def test_what_the_pages_name_is_there():
    for page in (PAGE, DESIGN):
        for name in re.findall(r"`((?:src|tests|bench|man|examples)/[\w./]+)`", page):
            if "NAME" not in name:
                assert (TOP / name.split(" ")[0]).exists(), name
    makefile = (TOP / "Makefile").read_text()
    for target in re.findall(r"`make ([a-z-]+)`", PAGE + DESIGN):
        assert f"\n{target}:" in makefile, target


def test_the_rooms_of_the_design_are_those_of_the_package():
    layers = re.search(r"```\n(cli .*?)```", DESIGN, re.S)[1]
    named = {word for line in layers.splitlines() for word in re.split(r" {3,}", line)[0].split()} | {
        word for line in layers.splitlines() for word in line.split("   ")[:4] for word in word.split()
    }
    there = {path.stem for path in (TOP / "src" / "bonectl").iterdir() if not path.name.startswith("_")} - {"py"}
    assert there <= named
    budget = dict(re.findall(r"\| `(\w+)/` \| ([\d,]+) \|", DESIGN))
    for room, lines in budget.items():
        files = (TOP / "src" / "bonectl" / room).rglob("*.py")
        assert sum(len(p.read_text().splitlines()) for p in files) <= int(lines.replace(",", "")), room


def test_a_version_names_its_numbers():
    import bonectl

    latest = re.search(r"^## (\S+) \((\S+)\)\n(.*?)^## ", (TOP / "CHANGELOG.md").read_text(), re.S | re.M)
    assert latest.group(1, 2) == (bonectl.__version__, bonectl.__date__)
    assert "### Numbers changed" in latest[3]
    cited = dict(re.findall(r"^(version|date-released): (\S+)$", (TOP / "CITATION.cff").read_text(), re.M))
    assert cited == {"version": bonectl.__version__, "date-released": bonectl.__date__}


def test_touched_tests_are_those_that_name_what_changed():
    tests = {
        "tests/a/test_one.py": "from bonectl.core.spec import parse",
        "tests/a/test_two.py": "from bonectl.core import spec",
        "tests/a/test_three.py": "def test_a():\n    run('-m', 'thin(x=1)')\n\n\ndef test_b():\n    pass",
        "tests/a/test_info.py": "def test_a():\n    run('info')",
        "tests/kits/test_contract.py": "",
    }
    always = ["tests/kits/test_contract.py"]
    assert touched(["src/bonectl/core/spec.py"], tests) == ["tests/a/test_one.py", "tests/a/test_two.py", *always]
    assert touched(["src/bonectl/metrics/thin.py"], tests) == ["tests/a/test_three.py::test_a", *always]
    assert touched(["src/bonectl/cli/info.py"], tests) == ["tests/a/test_info.py", *always]
    assert touched(["README.md", "tests/a/test_one.py"], tests) == ["tests/a/test_one.py", *always]
