"""What a scanner left is no stack to train on: the line that makes it one is said, and works."""

import shlex

import pytest


@pytest.mark.parametrize(("kind", "name"), [("dxchange", "dx.h5"), ("tiff", "folder"), ("skyscan", "sky")])
def test_readings_are_refused_with_the_line_that_makes_them_right(tmp_path, good, run, kind, name):
    if kind == "dxchange":
        pytest.importorskip("h5py")
    good("phantom iliac --shape 4,24,24 --voxel-size 0.05 -o bone.npy")
    beam = "'cone(sod=200, sdd=400, arc=360)'" if kind == "skyscan" else "'parallel(columns=24)'"
    good(f"simulate bone.npy --views 24 --unit counts --energy 25 --geometry {beam} --as {kind} -o {name}")
    told = f"bonectl prepare {name} --steps 'flats + log' --order sinogram -o NAME.npy"
    for more in ("-t bone.npy --model 'lpd(iterations=2)' --run 2", "-t bone.npy --offset 0 --scale 1"):
        done = run("train", name, *shlex.split(more), "--steps", "2", "-o", "m.safetensors")
        assert done.status == 2
        assert f"`{told}`" in done.err.splitlines()[-1]
    good(told.removeprefix("bonectl ").replace("NAME", "lines"))
    good("prepare lines.npy --steps stripes -o smooth.npy")
    good("train lines.npy -t smooth.npy --offset 0 --scale 1 --patch 16 --steps 1 -o m.safetensors")
