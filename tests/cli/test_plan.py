"""`--dry-run --json`: what a batch reads before it starts a command."""

import json
import sys

import numpy as np
import pytest
import torch

from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.learning.checkpoint import Checkpoint
from bonectl.learning.live import Live
from bonectl.ops import denoise_cost
from bonectl.ops.denoise import denoise, untrained


@pytest.fixture
def made(run, tmp_path):
    assert run("phantom", "iliac", "--shape", "6,24,24", "-o", "bone.npy").status == 0
    assert run("denoise", "bone.npy", "-m", "gaussian(sigma=1)", "-o", "smooth.npy").status == 0
    assert run("simulate", "bone.npy", "--views", "12", "--energy", "25", "-o", "scan.npy").status == 0
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "phantom iliac --shape 6,24,24",
        "simulate bone.npy --views 12 --energy 25",
        "simulate bone.npy --views 12 --energy 25 --geometry cone(sod=20,sdd=40)",
        "convert bone.npy --bin 2",
        "convert scan.npy --order projection",
        "reconstruct scan.npy",
        "denoise bone.npy --model gaussian(sigma=1)",
    ],
)
def test_every_estimate_is_json(run, made, line):
    there = sorted(made.iterdir())
    done = run(*line.split(), "--dry-run", "--json", "-o", "out.npy")
    assert done.status == 0, done.err
    plan = json.loads(done.out)
    assert plan["schema"] == "bonectl.plan/1"
    assert plan["command"] == line.split()[0]
    assert plan["memory_bytes"] > 1 << 20
    assert plan["seconds"] >= 0
    assert plan["free_bytes"] > 0
    assert sorted(made.iterdir()) == there
    assert run(*line.split(), "-o", "out.npy").status == 0
    values = np.load(made / "out.npy")
    assert (plan["shape"], plan["dtype"], plan["output_bytes"]) == (list(values.shape), values.dtype.str, values.nbytes)
    again = run(*line.split(), "--json", "-fo", "out.npy")
    assert (again.status, "--dry-run --json" in again.err) == (2, True)


def test_people_read_the_same(run, made):
    said = run("denoise", "bone.npy", "--model", "gaussian(sigma=1)", "--dry-run").out.decode()
    plan = dict(line.split("\t") for line in said.splitlines())
    assert plan["memory"].startswith("about ")
    assert plan["time"].startswith("about 1 s on ")


def test_live_bytes_are_counted_at_their_most():
    with Live() as live:
        a = torch.ones(1000)
        b = a + 1
        b.add_(1)
        del a
        c = b * 2
        assert live.now == 8000
        del b, c
        torch.zeros(500)
    assert live.most == 8000


def test_what_a_network_reads_is_counted_with_halos_and_context():
    model = untrained("gaussian(sigma=1)")
    read, forward = [], model.network.forward
    model.network.forward = lambda volume: read.append(volume.numel()) or forward(volume)
    header = Header(shape=(5, 70, 90), spacing=(0.1, 0.1, 0.1), unit="1/cm")
    denoise(Stack.of(np.zeros(header.shape, "f4"), header), model, device_name="cpu", tile=32).collect()
    assert denoise_cost._read(header, model.network, 32, 1) == (sum(read), max(read))


TRAINED = "train smooth.npy -t bone.npy --model unet25d(width=8,scales=2) --steps 40 --every 20 --patch 32 --seed 3"


def test_training_tells_what_it_will_do_and_does_it(run, made):
    there = sorted(made.iterdir())
    told = run(*TRAINED.split(), "-o", "net.safetensors", "--dry-run", "--json")
    plan = json.loads(told.out)
    assert sorted(made.iterdir()) == there
    assert (plan["schema"], plan["command"], plan["output"]) == ("bonectl.plan/1", "train", "net.safetensors")
    assert plan["seconds"] > 0
    said = run(*TRAINED.split(), "-o", "net.safetensors", "--dry-run").out.decode()
    lines = dict(line.split("\t") for line in said.splitlines())
    assert (lines["stacks"], lines["seed"], lines["device"]) == ("smooth.npy, bone.npy", "3", "cpu")
    assert run(*TRAINED.split(), "-o", "net.safetensors", "-q").status == 0
    kept = Checkpoint.load(made / "net.safetensors")
    assert (plan["model"], plan["loss"], plan["pairs"]) == (kept.model, kept.loss, kept.pairs)
    assert (plan["offset"], plan["scale"], plan["unit"]) == (
        kept.normalisation.offset,
        kept.normalisation.scale,
        "mgHA/cm3",
    )
    assert plan["batch"] == kept.training["batch"]
    refused = run(*TRAINED.split(), "-o", "net.safetensors", "--dry-run")
    assert (refused.status, "exists" in refused.err) == (73, True)
    assert run(*TRAINED.split(), "-o", "n.safetensors", "--json").status == 2


@pytest.mark.slow
def test_memory_of_training_is_told_as_it_is_taken(shell, made):
    """A batch of 32 runs, so that what is counted is more than what torch takes for itself."""
    line = f"{TRAINED} --batch 32 --run 8 --no-picture -q".replace("unet25d(width=8,scales=2)", "'unet25d(width=24)'")
    line = line.replace("--steps 40", "--steps 2")
    told = json.loads(shell(f"bonectl {line} -o a.safetensors --dry-run --json").stdout)["memory_bytes"]
    code = "import resource, sys; from bonectl.cli import boundary; boundary.run(sys.argv[1:]); "
    code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    taken = int(shell(f"{sys.executable} -c '{code}' {line} -o b.safetensors").stdout)
    assert 0.7 * taken < told < 1.5 * taken
