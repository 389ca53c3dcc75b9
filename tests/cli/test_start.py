"""What a command imports decides how soon it begins: seconds are for `bench/startup.py`, their cause is tested here."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "scipy.stats", "scipy.interpolate", "skimage", "matplotlib", "pandas", "dask", "h5py")

LINES = [
    "phantom iliac --shape 8,32,32 --voxel-size 0.05 -o new.npy",
    "simulate bone.npy --views 30 --energy 24.5 -o new.npy",
    "simulate bone.npy --geometry cone(sod=20,sdd=40) --views 20 --oversample 1 -o new.npy",
    "reconstruct scan.npy -o new.npy",
    "reconstruct scan.npy --dry-run -o new.npy",
    "reconstruct scan.npy --centre auto -o new.npy",
    "reconstruct scan.npy --try 15:16:0.5 --json",
    "reconstruct fan.npy -o new.npy",
    *(f"reconstruct scan.npy --method {name}(iterations=2) -o new.npy" for name in ("sirt", "cgls", "tv", "fista")),
    "prepare scan.npy --steps stripes -o new.npy",
    "convert bone.npy --bin 2 -o new.tif",
    "info scan.npy --stats",
    "measure bone.npy",
    "measure bone.npy -m bvtv",
]


@pytest.mark.parametrize("line", ["--version", "--help", "convert --help", "reconstruct --help"])
def test_words_alone_need_no_numbers(line):
    code = "import sys\nfrom bonectl.cli.boundary import run\nrun(sys.argv[1:])\nsys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, *line.split()], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    there = tmp_path_factory.mktemp("start")
    for line in (
        "phantom iliac --shape 8,32,32 --voxel-size 0.05 --seed 1 -o bone.npy",
        "simulate bone.npy --views 30 --unit transmission -o scan.npy",
        "simulate bone.npy --geometry fan(sod=20,sdd=40) --views 30 -o fan.npy",
    ):
        subprocess.run([sys.executable, "-m", "bonectl", *line.split()], cwd=there, check=True, capture_output=True)
    return there


@pytest.mark.parametrize("line", LINES)
def test_a_command_on_a_cpu_imports_no_more_than_it_needs(line, folder):
    code = (
        "import sys\nfrom bonectl.cli.boundary import run\nstatus = run(sys.argv[1:])\n"
        f"print(status, *(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)"
    )
    words = [*line.split(), "-q", *(["-f"] if "new." in line else [])]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=folder, check=True, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "0", done.stderr


@pytest.mark.parametrize("scan", ["scan", "fan"])
def test_a_plan_loads_no_compiler(scan, folder):
    code = (
        "import sys\nfrom bonectl.cli.boundary import run\nstatus = run(sys.argv[1:])\n"
        "print(status, *{'numba', 'scipy'} & {*sys.modules})"
    )
    line = ["reconstruct", f"{scan}.npy", "--dry-run", "-q", "-o", "none.npy"]
    done = subprocess.run([sys.executable, "-c", code, *line], cwd=folder, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0", done.stdout + done.stderr
