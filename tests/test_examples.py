"""What the examples claim of their own results can be judged, and a claim that is wrong ends them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
CLAIM = re.compile(r'expect\.py" [^\n]*')


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of a volume beside its reference, as the examples write it."""
    folder = tmp_path_factory.mktemp("examples")
    line = (
        "bonectl phantom iliac --shape 24,64,64 --seed 1 -o bone.npy && "
        "bonectl denoise bone.npy --model 'gaussian(sigma=1)' -o soft.npy && "
        "bonectl measure soft.npy --reference bone.npy --threshold reference --json > soft.json"
    )
    subprocess.run(["bash", "-ec", line], cwd=folder, check=True, capture_output=True)
    return folder / "soft.json"


def judged(table, *claims):
    return subprocess.run(
        [sys.executable, EXAMPLES / "expect.py", table, *claims], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("script", ["quickstart.sh", "geometry/make.sh"])
def test_every_claim_of_an_example_is_about_a_number_that_there_is(script, table):
    claims = [
        claim
        for line in CLAIM.findall((EXAMPLES / script).read_text())
        for claim in re.findall(r'"(\w+ [<>~] [^"]+)"', line)
    ]
    assert claims
    for claim in claims:
        done = judged(table, claim, "--than", table)
        assert "Traceback" not in done.stderr, (claim, done.stderr)


def test_a_wrong_claim_ends_with_status_1(table):
    assert judged(table, "psnr > 3", "bvtv ~ 90%").returncode == 0
    for wrong in ("psnr > 300", "psnr < 3", "bvtv ~ 0.0001%"):
        done = judged(table, wrong)
        assert done.returncode == 1
        assert f"{wrong} does not hold" in done.stderr


def test_the_demos_table_chooses_and_judges(tmp_path):
    """Four errors decide which filter is best; a network that is no nearer ends the demo."""

    def stack(name, error, psnr):
        rows = [
            {"name": "bvtv", "value": 0.2 + error, "percent": 500 * error, "reference": 0.2},
            *(
                {"name": one, "value": 3.0, "percent": 100 * error, "reference": 3.0}
                for one in ("connd", "tbth", "tbsp")
            ),
            {"name": "tmd", "value": 700.0, "percent": -100 * error, "reference": 700.0},
            {"name": "psnr", "value": psnr, "percent": None, "reference": None},
            {"name": "bmd_distance", "value": 10.0 * error, "percent": None, "reference": None},
            {"name": "fsc_frequency", "value": 5.0, "percent": None, "reference": None},
        ]
        return {"file": f"out/{name}.npy", "rows": rows}

    numbers = tmp_path / "numbers.json"
    numbers.write_text(json.dumps([stack("low", 0.3, 12.0), stack("network", 0.01, 25.0)]))

    def table(*argv):
        return subprocess.run(
            [sys.executable, EXAMPLES / "demo_table.py", numbers, *argv], capture_output=True, text=True, check=False
        )

    assert table("--least").stdout == "network.npy\n"
    assert table("--nearer", "network.npy low.npy psnr tmd bmd_distance").returncode == 0
    wrong = table("--nearer", "low.npy network.npy psnr tmd")
    assert wrong.returncode == 1
    assert "low.npy is no nearer to the reference than network.npy by psnr, tmd" in wrong.stderr
    lines = table().stdout.splitlines()
    assert lines[0].split() == ["low", "network", "reference"]
    assert lines[1].split() == ["BV/TV", "[%]", "50.0", "(+150.0", "%)", "21.0", "(+5.0", "%)", "20.0"]
    assert len(lines) == 9


@pytest.mark.slow
def test_the_chain_of_one_scan_runs(tmp_path):
    blocks = re.findall(
        r"```sh\n(.*?)```", (EXAMPLES / "one-scan" / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    script = "\n".join(blocks).replace("--steps 1000", "--steps 2 --no-picture")
    run = subprocess.run(["bash", "-ec", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "warning" not in run.stderr.replace("came out worse", "")
    assert (tmp_path / "inverse.npy").stat().st_size == (tmp_path / "self.npy").stat().st_size
