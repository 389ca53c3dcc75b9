"""`bonectl denoise` as a process: pipes, files, statuses."""

import shlex

import numpy as np
import pytest
from tests import made

from bonectl.cli import boundary
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
    made.store(tmp_path / "low.npy", values)
    made.store(tmp_path / "mean.npy", np.full_like(values, 500))
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


def test_several_stacks_are_denoised_as_each_alone(low, here, tmp_path):
    """Each needed a process of its own, which loads torch and the model anew."""
    assert here(TRAIN)[0] == 0
    line = "--model x.safetensors --no-history -q"
    for name in ("low", "mean"):
        assert here(f"denoise {name}.npy {line} -o alone_{name}.npy")[0] == 0
    assert here(f"denoise low.npy mean.npy {line} -o 'of_{{name}}.npy'")[0] == 0
    (tmp_path / "out").mkdir()
    assert here(f"denoise low.npy mean.npy {line} -o out")[0] == 0
    for name in ("low", "mean"):
        alone = (tmp_path / f"alone_{name}.npy").read_bytes()
        assert (tmp_path / f"of_{name}.npy").read_bytes() == alone
        assert (tmp_path / "out" / f"{name}.npy").read_bytes() == alone


def test_the_others_go_on_when_one_fails(low, here, tmp_path):
    (tmp_path / "cut.npy").write_bytes((tmp_path / "low.npy").read_bytes()[:-100])
    ended, said = here("denoise cut.npy nothing.npy low.npy -m 'gaussian(sigma=1)' -o 'of_{name}.npy' -q")
    assert ended == 65
    assert [line.split(":")[1].strip() for line in said.splitlines()] == ["cut.npy", "nothing.npy"]
    assert sorted(path.name for path in tmp_path.glob("of_*")) == ["of_low.npy"]


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("low.npy mean.npy -o x.npy", 2, "one place for what is made of 2 stacks"),
        ("low.npy mean.npy", 2, "one place for what is made of 2 stacks"),
        ("low.npy low.npy -o 'of_{name}.npy'", 2, "is another output"),
        ("low.npy mean.npy -o '{name}.npy'", 2, "is the input"),
        ("low.npy mean.npy -o 'old_{name}.npy'", 73, "old_mean.npy: exists"),
        ("low.npy mean.npy --dry-run --json -o 'of_{name}.npy'", 2, "one at a time"),
    ],
)
def test_outputs_of_several_are_checked_before_any_work(low, here, tmp_path, line, status, message):
    (tmp_path / "old_mean.npy").touch()
    ended, said = here(f"denoise {line} -m 'gaussian(sigma=1)'")
    assert (ended, said.count("\n")) == (status, 1), said
    assert message in said
    assert sorted(path.name for path in tmp_path.glob("*_*")) == ["old_mean.npy"]
