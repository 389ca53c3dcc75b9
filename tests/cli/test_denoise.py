"""`bonectl denoise` as a process: pipes, files, statuses."""

import shlex

import numpy as np
import pytest

from bonectl.cli import boundary
from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.io import npy

TRAIN = "train low.npy -t mean.npy -o x.safetensors --steps 2 --patch 16 --threads 1 -q"
TRAIN += " --model 'unet25d(width=4, scales=2)'"


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """Run a command line in this process (torch is loaded once): ``here("info a.npy")`` gives status and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(line):
        status = boundary.run(shlex.split(line))
        return status, capsys.readouterr().err

    return run


@pytest.fixture
def low(tmp_path):
    values = np.random.default_rng(0).normal(500, 200, (7, 21, 30)).astype(np.float32)
    header = Header(shape=values.shape, unit="mgHA/cm3", spacing=(0.02,) * 3)
    with (tmp_path / "low.npy").open("wb") as file:
        npy.write(Stack.of(values, header), file)
    with (tmp_path / "mean.npy").open("wb") as file:
        npy.write(Stack.of(np.full_like(values, 500), header), file)
    return values


def test_pipe_and_file_and_slab_give_the_same_bytes(low, here, shell, tmp_path):
    assert here(TRAIN)[0] == 0
    ended, said = here("denoise low.npy --model x.safetensors --no-history -o a.npy")
    assert ended == 0, said
    piped = shell("bonectl denoise --model x.safetensors --no-history --slab 3 < low.npy | cat > b.npy")
    assert piped.returncode == 0, piped.stderr
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_history_names_model_and_weights(low, here, tmp_path):
    assert here(TRAIN)[0] == 0
    assert here("denoise low.npy --model x.safetensors -o a.npy")[0] == 0
    header, values = npy.mapped(tmp_path / "a.npy")
    entry = header.history[-1]
    assert entry.notes["model"].startswith("unet25d(")
    assert len(entry.notes["weights_sha256"]) == 16
    assert (header.unit, header.spacing, header.dtype) == ("mgHA/cm3", (0.02,) * 3, "<f4")
    assert values.shape == low.shape


def test_a_filter_needs_no_checkpoint(low, here, tmp_path):
    ended, said = here("denoise low.npy --model 'gaussian(sigma=1)' -o a.npy")
    assert ended == 0, said
    _, values = npy.mapped(tmp_path / "a.npy")
    assert values.std() < low.std() / 3
    assert values.mean() == pytest.approx(low.mean(), rel=0.02)


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("--model nothing.safetensors", 66, "no such checkpoint"),
        ("--model low.npy", 65, "low.npy"),
        ("--model gausian", 2, "did you mean 'gaussian'?"),
        ("--model unet25d", 2, "trained first"),
        ("--model 'gaussian(sigma=0)'", 2, "positive"),
        ("", 2, "--model"),
        ("--model cut.safetensors", 65, "cut.safetensors"),
    ],
)
def test_what_is_refused(low, here, tmp_path, line, status, message):
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    ended, said = here(f"denoise low.npy {line} -o a.npy")
    assert (ended, said.count("\n")) == (status, 1), said
    assert message in said
    assert not (tmp_path / "a.npy").exists()


def test_a_truncated_pipe_leaves_no_file(low, shell, tmp_path):
    end = shell("head -c 9000 low.npy | bonectl denoise --model identity -o a.npy")
    assert end.returncode == 65, end.stderr
    assert not (tmp_path / "a.npy").exists()
