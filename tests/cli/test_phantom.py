import json

import numpy as np
import pytest

from bonectl.core import kit


def test_help_lists_every_phantom_with_its_summary(shell):
    done = shell("bonectl phantom --help")
    assert done.returncode == 0
    text = done.stdout.decode()
    for name in kit.names("phantoms"):
        assert f"\n    {name} " in text
        assert kit.describe("phantoms", name).summary.split(":")[0].replace("`", "") in " ".join(text.split())


def test_a_phantom_becomes_a_file_with_its_answers(shell, tmp_path):
    done = shell("bonectl phantom 'ball(diameter=0.5)' --shape 20,24,28 --voxel-size 0.03 -o ball.npy")
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "ball.npy").shape == (20, 24, 28)
    told = json.loads(shell("bonectl info --json ball.npy").stdout)
    assert told["answers"]["chi"] == 1
    assert told["unit"] == "mgHA/cm3"


def test_pipe_file_and_slab_give_the_same_bytes(shell, tmp_path):
    line = "bonectl phantom iliac --shape 12,24,24 --voxel-size 0.06 --seed 4 --no-history"
    assert shell(f"{line} -o a.npy && {line} > b.npy && {line} --slab 5 --threads 1 -o c.npy").returncode == 0
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes() == (tmp_path / "c.npy").read_bytes()


def test_one_length_is_a_cube_and_the_seed_is_remembered(shell):
    done = shell("bonectl phantom vertebra --shape 9 --seed 17 | bonectl info --json")
    told = json.loads(done.stdout)
    assert told["shape"] == [9, 9, 9]
    assert "17" in json.dumps(told["history"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("iliak", "did you mean 'iliac'"),
        ("iliac --shape 8,8", "Z,Y,X"),
        ("iliac --shape a,b,c", "Z,Y,X"),
        ("iliac --shape 8,8,0", "positive"),
        ("iliac --voxel-size 0", "it must be a length from"),
        ("'ball(diameter=9)'", "does not fit"),
        ("'ball(diametre=1)'", "no knob 'diametre'"),
    ],
)
def test_bad_requests_are_one_line_and_status_2(shell, tmp_path, arguments, words):
    done = shell(f"bonectl phantom {arguments} -o out.npy")
    assert done.returncode == 2
    assert words in done.stderr.decode()
    assert done.stderr.decode().count("\n") == 1
    assert not (tmp_path / "out.npy").exists()
