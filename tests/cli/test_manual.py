"""Man pages and completions are what the code says today, and every example runs."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bonectl.errors
from bonectl.cli import headings, manual, part_pages, tree
from bonectl.cli.roff import escape
from bonectl.core import kit

TOP = Path(__file__).resolve().parents[2]
COMMANDS = {c.name: c for c in tree.commands()}
PAGES = sorted((TOP / "man").glob("*"))
# Packages of an extra that a command's examples need.
NEEDS = {"export": ("onnx", "onnxruntime")}


def test_pages_and_completions_are_regenerated():
    for name, text in manual.files().items():
        assert (TOP / name).read_text(encoding="utf-8") == text, f"{name} is stale; run `make manual`"
    assert {f"man/{p.name}" for p in PAGES} == {n for n in manual.files() if n.startswith("man/")}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_the_help_is_in_the_page_and_the_reverse(name):
    from typer.testing import CliRunner

    from bonectl.cli.app import app

    shown = CliRunner().invoke(app, [name, "--help"], terminal_width=200).output
    first = next(one for one in headings.ORDER if f"\n{one}:" in shown)
    lines = re.findall(r"^  (?:-\w, )?--[a-z].*", shown.partition(f"\n{first}:")[2], re.M)
    in_help = {flag for line in lines for flag in re.findall(r"--[a-z][a-z-]*", line.split("   ")[0])}
    text = (TOP / "man" / f"bonectl-{name}.1").read_text()
    options = text.partition(".SH OPTIONS")[2].partition(".SH ")[0]
    entries = [entry.partition("\n")[0] for entry in options.split(".TP\n")]  # only the lines that name options
    plain = " ".join(entries).replace("\\fB", " ").replace("\\-", "-")
    in_page = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", plain))
    assert in_help == in_page


@pytest.mark.parametrize("name", COMMANDS)
def test_help_and_page_group_the_options_alike(name):
    from typer.testing import CliRunner

    from bonectl.cli.app import app

    shown = CliRunner().invoke(app, [name, "--help"], terminal_width=80).output
    page = (TOP / "man" / f"bonectl-{name}.1").read_text().partition(".SH OPTIONS")[2].partition(".SH ")[0]
    in_help = [line.removesuffix(":") for line in shown.splitlines() if line.removesuffix(":") in headings.ORDER]
    assert in_help == re.findall(r"^\.SS (.*)", page, re.M)
    assert in_help[-1] == "Speech"
    assert not re.search(r"<list|<path>|x>=|<=x", shown), "a type or range of Python"
    options = [o for o in COMMANDS[name].options if not o.is_argument]
    groups = [headings.heading(name, option.name) for option in options]
    assert max(map(groups.count, groups)) <= 17  # a list that can still be scanned


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name):
    for option in COMMANDS[name].options:
        assert option.help, f"{name} {option.flags} has no help"
    assert COMMANDS[name].summary
    assert COMMANDS[name].examples


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_pages_pass_the_linter(page):
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is not installed")
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False)
    assert not lint.stdout, lint.stdout


@pytest.fixture(scope="module")
def example_folder(tmp_path_factory):
    """Where examples run: a bone, its scan and its reconstruction are there."""
    folder = tmp_path_factory.mktemp("examples")
    lines = [
        "bonectl phantom iliac --shape 16,64,64 --voxel-size 0.02 --seed 1 -o bone.npy",
        "bonectl simulate bone.npy --views 60 --photons 1e4 --seed 1 -o scan.npy",
        "bonectl reconstruct scan.npy --unit mgHA/cm3 -o fbp.npy",
    ]
    for line in lines:
        subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_run(name, example_folder, tmp_path):
    for package in NEEDS.get(name, ()):
        pytest.importorskip(package)
    shutil.copytree(example_folder, tmp_path, dirs_exist_ok=True)
    for line in COMMANDS[name].examples:
        assert line.startswith("bonectl")
        for made in re.findall(r"-o (\S+)", line):  # what an example makes was not there before
            (tmp_path / made).unlink(missing_ok=True)
        run = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, f"{line}\n{run.stderr}"


@pytest.mark.parametrize("name", kit.NAMES)
def test_kit_pages_hold_every_part(name):
    if kit.names(name):
        text = (TOP / "man" / f"bonectl-{name}.7").read_text()
        for part in kit.names(name):
            assert f".SS {escape(kit.describe(name, part).call)}" in text


@pytest.mark.parametrize("page", [p for p in PAGES if p.suffix == ".7"], ids=lambda p: p.name)
def test_kit_pages_speak_to_the_shell_and_not_of_python(page):
    text = page.read_text().replace("\\(ga", "`").replace("\\-", "-")
    for word in ("Tensor", ": Sample", "Returns", "Parameters", "`bonectl.", "UsageError", "DataError"):
        assert word not in text
    assert not re.findall(r"bonectl\.[a-z]+[._]\w+", text)
    assert not re.findall(r"(?<!\w)_[a-z]\w*", text)


def documented(section):
    """The entries of one section of every part's text, with the kit and the part."""
    for name in kit.NAMES:
        for part in kit.names(name):
            found = re.search(rf"^{section}\n-+\n((?:.+\n?)*)", kit.describe(name, part).doc, re.MULTILINE)
            yield from ((name, part, *entry) for entry in part_pages.entries_of(found[1] if found else ""))


def test_kit_pages_say_with_which_status_a_part_ends_and_when():
    """Three forms were mixed, and none named the status."""
    pages = manual.files()
    for name, part, error, text in documented("Raises"):
        assert text.startswith("When "), f"{name}/{part}: {text}"
        status = getattr(bonectl.errors, error).status
        said = part_pages.roff(f"{status} {text[0].lower()}{text[1:]}")
        assert said.rstrip(".") in pages[f"man/bonectl-{name}.7"], said
    assert not any("Refused" in text for text in pages.values() if '"7"' in text)


@pytest.mark.parametrize(
    ("name", "part", "wanted"),
    [
        ("metrics", "tbth", "Input: on cubic voxels."),
        ("metrics", "bmd", "Input: in mgHA/cm3."),
        ("metrics", "psnr", "Input: with grey values in the same unit."),
        ("losses", "vgg", "Input: patches of 4 pixels or more for a layer of block 3, 8 of block 4, 16 of block 5."),
        ("losses", "euler", "Input: z is the length of a run of slices."),
        ("segmentations", "midpoint", "Input: in mgHA/cm3."),
        ("pairings", "supervised", "Input: noisy stacks; one for each, of the same shape, voxel size and unit."),
    ],
)
def test_kit_pages_say_what_a_part_wants_of_its_input(name, part, wanted):
    entry = part_pages.entry(kit.describe(name, part))
    assert wanted in entry.replace("\\-", "-")


def test_only_options_that_there_are_are_named():
    """A message sent who measures grey values to `bonectl convert --calibration`."""
    there = {flag for command in COMMANDS.values() for option in command.options for flag in option.flags}
    others = {"--help", "--version", "--nproc-per-node", "--master-addr", "--master-port"}  # of ours, of torchrun
    others |= {"--resources"}  # of dask
    for path in (TOP / "src").rglob("*.py"):
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*(?<!-)", path.read_text(encoding="utf-8")))
        assert named <= there | others, f"{path}: {named - there - others}"


@pytest.mark.parametrize("name", kit.NAMES)
def test_kit_pages_say_what_every_knob_means(name):
    text = (TOP / "man" / f"bonectl-{name}.7").read_text() if kit.names(name) else ""
    for part in kit.names(name):
        described = kit.describe(name, part)
        entry = text.partition(f".SS {escape(described.call)}\n")[2].partition("\n.SS ")[0]
        said = [k for line in re.findall(r"^\.TP\n\.B (.+)\n.+", entry, re.MULTILINE) for k in line.split(", ")]
        assert said == list(described.knobs), part


@pytest.mark.parametrize(
    ("shell", "file", "line"),
    [
        ("bash", "bonectl.bash", ". {file}; COMP_WORDS=(bonectl train --lo); COMP_CWORD=2; _bonectl; echo $COMPREPLY"),
        ("fish", "bonectl.fish", 'source {file}; complete -C "bonectl train --lo"'),
        ("zsh", "_bonectl", "zsh -n {file} && echo -- --loss"),
    ],
)  # fmt: skip
def test_completions_complete(shell, file, line):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    run = subprocess.run(
        [shell, "-c", line.format(file=TOP / "completions" / file)], capture_output=True, text=True, check=False
    )
    assert "--loss" in run.stdout, run.stderr


def texts_of_schemas():
    """Every name of a schema in the source, in whichever spelling."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in (TOP / "src").rglob("*.py"))
    return set(re.findall(r"(?<![\w/])bonectl[-._][a-z]+/\d+", text))


BATCH = """printf '[[step]]\nrun = "info"\nkeep = "told.json"\n' > p.toml
bonectl batch p.toml -o told --only bone -q > lines && cat told/bone/.bonectl/record.json"""
MODEL = """bonectl train fbp.npy -t bone.npy --steps 2 --patch 16 --model 'unet2d(width=4)' -o m.safetensors -q
bonectl info m.safetensors --json"""
SCAN = "bonectl simulate bone.npy --views 20 --as tiff -o raw -q && bonectl info raw --json"
SCHEMAS = {
    "bonectl.batch/1": ("bonectl-batch.1", BATCH),
    "bonectl.info/1": ("bonectl-info.1", "bonectl info fbp.npy --json --stats"),
    "bonectl.scan/1": ("bonectl-info.1", SCAN),
    "bonectl.model/1": ("bonectl-info.1", MODEL),
    "bonectl.measure/1": ("bonectl-measure.1", "bonectl measure fbp.npy --metrics bvtv --json"),
    "bonectl.plan/1": ("bonectl.1", "bonectl reconstruct scan.npy --dry-run --json -o new.npy"),
    "bonectl.try/1": ("bonectl-reconstruct.1", "bonectl reconstruct scan.npy --try 45:46:1 --json"),
}


def test_every_schema_has_a_page():
    assert texts_of_schemas() == set(SCHEMAS)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_fields_of_a_schema_are_in_its_page(schema, example_folder):
    name, line = SCHEMAS[schema]
    run = subprocess.run(["bash", "-c", line], cwd=example_folder, capture_output=True, text=True, check=True)
    told = json.loads(run.stdout)
    assert told.pop("schema") == schema
    page = manual.files()[f"man/{name}"].replace("\\-", "-")
    assert schema in page
    said = page.partition(schema)[2]
    fields = [*told, *told.get("statistics", ()), *told.get("tries", [{}])[0]]
    assert [field for field in fields if not re.search(rf"\b{field}\b", said)] == []


def test_every_command_with_an_estimate_names_its_schema():
    for name, command in COMMANDS.items():
        if any(option.name == "dry_run" for option in command.options):
            assert "bonectl.plan/1" in manual.files()[f"man/bonectl-{name}.1"], name


def test_help_imports_nothing_heavy():
    heavy = "('torch', 'numpy', 'scipy', 'numba', 'skimage', 'tifffile')"
    code = (
        "import sys\nfrom bonectl.cli.boundary import run\nrun(['--help']); run(['train', '--help'])\n"
        f"bad = [m for m in {heavy} if m in sys.modules]\nassert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("line", "modules"), [(["--help"], []), (["trian"], []), (["train", "--help"], ["train"]), (["info"], ["info"])]
)
def test_only_the_command_that_is_named_is_imported(line, modules):
    code = (
        "import sys\nfrom bonectl.cli.app import COMMANDS\nfrom bonectl.cli.boundary import run\n"
        f"run({line}); print('', *(name for name in COMMANDS if 'bonectl.cli.' + name in sys.modules), sep='|')"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, input="")
    assert run.stdout.splitlines()[-1] == "|".join(["", *modules])


def test_the_list_of_commands_says_what_each_says_of_itself():
    """It is read as text, and must be what Typer would show of the imported commands."""
    from typer.core import TyperGroup
    from typer.main import get_command

    from bonectl.cli.app import app

    group = get_command(app)
    shown = {}
    for width in (40, 80, 100):
        with group.make_context("bonectl", ["info"], terminal_width=width) as context:
            for kind in (type(group), TyperGroup):
                formatter = context.make_formatter()
                kind.format_commands(group, context, formatter)
                shown[kind] = formatter.getvalue()
        assert "info" in shown[TyperGroup]
        assert shown[type(group)] == shown[TyperGroup]


def test_help_imports_no_package_that_typer_does_not():
    """What it costs in seconds is for `bench/startup.py`; this is why it is little."""
    packages = "print(*sorted({m.partition('.')[0] for m in sys.modules} - sys.stdlib_module_names))"
    typers = "import sys, typer, rich.console, rich.markdown, rich.panel, rich.table"
    ours = "import sys\nfrom bonectl.cli.boundary import run\nrun(['--help'])"
    found = [
        subprocess.run([sys.executable, "-c", f"{code}\n{packages}"], check=True, capture_output=True, text=True)
        for code in (typers, ours)
    ]
    theirs, all_of_ours = (set(run.stdout.splitlines()[-1].split()) for run in found)
    assert all_of_ours - theirs == {"bonectl"}


def test_version():
    import bonectl

    run = subprocess.run(["bonectl", "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"bonectl {bonectl.__version__}\n"
