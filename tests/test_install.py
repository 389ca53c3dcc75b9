"""What a stranger installs from: metadata, source distribution, container, conda recipe, the README's first screen."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

import bonectl

TOP = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
README = (TOP / "README.md").read_text()
DOCKERFILE = (TOP / "Dockerfile").read_text()
# What conda calls it.
CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
INSTRUCTIONS = {"FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT", "CMD", "LABEL"}


def _yaml(path):
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((TOP / path).read_text())


def _bounds(requirements):
    """Bounds by name, of lines such as ``typer>=0.26,<0.30; marker`` or ``typer >=0.26,<0.30``."""
    pairs = (re.fullmatch(r"([\w-]+) *([^;]*)(?:;.*)?", line).groups() for line in requirements)
    return {name: bound.strip() for name, bound in pairs}


def test_metadata_say_who_and_where_and_for_which_python():
    assert PROJECT["authors"] == [{"name": "The bonectl authors"}]
    assert 'name: "The bonectl authors"' in (TOP / "CITATION.cff").read_text()
    (url,) = PROJECT["urls"].values()
    assert url.removeprefix("https://doi.org/") in (TOP / "CITATION.cff").read_text()
    named = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert f">={named[0]}" == PROJECT["requires-python"]
    assert f"Python {named[0]} to {named[-1]}" in README


def test_the_conda_recipe_asks_for_what_the_project_asks():
    recipe = _yaml("packaging/conda/recipe.yaml")
    wanted = {CONDA.get(name, name): bound for name, bound in _bounds(PROJECT["dependencies"]).items()}
    needs = recipe["requirements"]
    there = _bounds(needs["run"]) | _bounds(needs["run_constraints"])
    assert there.pop("python") == PROJECT["requires-python"] == _bounds(needs["host"])["python"]
    assert there == wanted
    build = tomllib.loads((TOP / "pyproject.toml").read_text())["build-system"]["requires"]
    assert _bounds(build).items() <= _bounds(needs["host"]).items()
    assert recipe["package"] == {"name": "bonectl", "version": bonectl.__version__}
    assert recipe["about"]["license"] == PROJECT["license"]
    ((name, target),) = PROJECT["scripts"].items()
    assert recipe["build"]["python"]["entry_points"] == [f"{name} = {target}"]


def test_the_template_for_bugs_asks_for_version_and_header():
    template = _yaml(".github/ISSUE_TEMPLATE/bug.yml")
    fields = {part["id"]: part for part in template["body"]}
    assert {"version", "command", "info", "expected"} == set(fields)
    assert all(part["validations"]["required"] for part in fields.values())
    assert "`bonectl info FILE --json`" in fields["info"]["attributes"]["description"]
    assert "`bonectl --version`" in fields["version"]["attributes"]["description"]


def test_the_dockerfile_is_of_known_instructions_and_ends_as_nobody_of_importance():
    lines = [line for line in re.sub(r"\\\n", "", DOCKERFILE).splitlines() if line and not line.startswith("#")]
    steps = [line.partition(" ")[::2] for line in lines]
    assert {name for name, _ in steps} <= INSTRUCTIONS
    assert ("ENTRYPOINT", '["bonectl"]') in steps
    assert [int(value) for name, value in steps if name == "USER"][-1] > 0
    python = next(value for name, value in steps if name == "ARG").partition("=")[2]
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]
    copied = {path for line in (TOP / ".dockerignore").read_text().splitlines() for path in [line[1:]] if path}
    assert {path for path in copied if not (TOP / path).exists()} == set()
    assert {"src", "man", "completions", "pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]} <= copied


def test_hadolint_finds_nothing_in_the_dockerfile():
    if not shutil.which("hadolint"):
        pytest.skip("hadolint is not installed")
    done = subprocess.run(["hadolint", TOP / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_first_command_is_on_the_first_screen_of_the_readme(tmp_path):
    screen = "\n".join(README.splitlines()[:24])
    assert "pip install -c constraints.txt ." in screen
    assert "https://download.pytorch.org/whl/cpu" in screen
    (line,) = re.findall(r"^bonectl .*$", screen, re.M)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert re.search(r"^tbth\t0\.\d+\tmm", done.stdout, re.M)


@pytest.mark.slow
def test_the_source_distribution_builds_and_installs(tmp_path):
    """From its unpacked tree alone, into a fresh environment; what it depends on is that of the tests."""
    tree = tmp_path / "tree"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "demo-output", "out")
    shutil.copytree(TOP, tree, ignore=ignored)
    build = "import sys; from setuptools import build_meta as b; print(getattr(b, sys.argv[1])(sys.argv[2]))"

    def built(what, cwd):
        done = subprocess.run(
            [sys.executable, "-c", build, what, tmp_path], cwd=cwd, capture_output=True, text=True, check=True
        )
        return tmp_path / done.stdout.splitlines()[-1]

    with tarfile.open(built("build_sdist", tree)) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert unpacked.name == f"bonectl-{bonectl.__version__}"
    for name in ("constraints.txt", "Makefile", "Dockerfile", "packaging/conda/recipe.yaml", "tests/conftest.py"):
        assert (unpacked / name).is_file(), name
    wheel = built("build_wheel", unpacked)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "fresh"], check=True)
    python = tmp_path / "fresh" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    dependencies = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    line = "bonectl phantom ball --shape 8,16,16 -o ball.npy && bonectl info ball.npy --json"
    world = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}", "PYTHONPATH": dependencies}
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=world, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["shape"] == [8, 16, 16]
    where = [python, "-c", "import bonectl; print(bonectl.__file__)"]
    done = subprocess.run(where, cwd=tmp_path, env=world, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(tmp_path / "fresh"))
    for page in ("man/man1/bonectl.1", "bash-completion/completions/bonectl.bash", "zsh/site-functions/_bonectl"):
        assert (tmp_path / "fresh" / "share" / page).is_file(), page
