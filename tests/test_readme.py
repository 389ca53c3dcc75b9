"""What the README promises runs."""

import re
import subprocess
from pathlib import Path

from bonectl.cli.app import COMMANDS
from bonectl.errors import BonectlError

TOP = Path(__file__).resolve().parents[1]
README = (TOP / "README.md").read_text(encoding="utf-8")


def test_shell_blocks_run(tmp_path):
    script = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    run = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "slices_00000.tif").is_file()
    assert (tmp_path / "femur.json").stat().st_size


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", README)) <= targets


def test_every_command_and_status_is_listed():
    for name in COMMANDS:
        assert f"| `{name}` |" in README
    table = README.partition("| exit status |")[2]
    for status in {error.status for error in BonectlError.__subclasses__()}:
        assert re.search(rf"\b{status}\b", table)
