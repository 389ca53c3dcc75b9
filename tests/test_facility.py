"""The page for facilities: its files and lines, in their order, print and leave what it says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "examples" / "facility"


def test_the_page_prints_what_it_says(tmp_path):
    """The three stories: a beamtime on two slots, a lab's mice, a cohort; each with a scan that is not whole."""
    pytest.importorskip("h5py")
    blocks = re.findall(r"```(sh|toml|text)\n(.*?)```", (PAGE / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert {kind for kind, _ in blocks} == {"sh", "toml", "text"}
    printed = None
    for kind, text in blocks:
        if kind == "toml":
            (tmp_path / text.split()[1]).write_text(text)
        elif kind == "text":
            assert re.sub(r"\d+ s\b", "N s", printed) == text
        else:
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", text],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{text}\n{done.stderr}"
            printed = done.stdout


@pytest.mark.slow
def test_the_chain_for_snakemake_runs(tmp_path):
    """A killed scan is begun again; an output that is there is whole."""
    if not shutil.which("snakemake"):
        pytest.skip("snakemake is not installed")
    shutil.copy(PAGE / "Snakefile", tmp_path)
    (tmp_path / "raw").mkdir()
    line = "bonectl phantom iliac --shape 8,32,32 | bonectl simulate --views 40 -o raw/a.npy"
    subprocess.run(["bash", "-c", line], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run(["snakemake", "-j", "1"], cwd=tmp_path, check=True, capture_output=True, env={**os.environ})
    assert (tmp_path / "processed" / "a" / "numbers.json").stat().st_size
