"""Signals at random times, one or two of them, to commands of every kind: the end comes soon and leaves nothing."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.io import npy

SMALL = "--model unet2d(width=4,scales=2) --batch 1 --patch 16 --threads 1"
COMMANDS = {
    "folder": "convert bone.npy -o out/x_%03d.tif",
    "pipe to file": "denoise bone.npy -m gaussian(sigma=3) -o out.npy",
    "samples": "denoise bone.npy -m x.safetensors --samples 8 --sd sd.npy --each out --tile 64 -o mean.npy",
    "train": f"train bone.npy -t bone.npy --steps 100000 --every 20 {SMALL} -o out.safetensors",
}
TRIES = int(os.environ.get("BONECTL_SIGNALS", "10"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("made")
    header = Header(shape=(48, 128, 128), unit="mgHA/cm3", spacing=(0.02,) * 3)
    values = np.random.default_rng(0).normal(400, 200, header.shape).astype(np.float32)
    with (made / "bone.npy").open("wb") as file:
        npy.write(Stack.of(values, header), file)
    line = f"train bone.npy -t bone.npy --steps 2 {SMALL} -o x.safetensors --no-picture -q"
    subprocess.run(["bonectl", *line.split()], cwd=made, check=True)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("name", COMMANDS)
def test_signals_at_random_times(folder, name, twice):
    rng, counts = random.Random(f"{name} {twice}"), Counter()
    there = {path.name for path in folder.iterdir()}
    for _ in range(TRIES):
        process = subprocess.Popen(
            ["bonectl", *COMMANDS[name].split()], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        time.sleep(rng.uniform(0.3, 8.0))
        first = rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        process.send_signal(first)
        if twice:
            time.sleep(rng.uniform(0, 0.03))
            process.send_signal(rng.choice([signal.SIGINT, signal.SIGTERM]))
        try:
            said = process.communicate(timeout=60)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            counts["hung"] += 1
        else:
            counts["traceback"] += b"Traceback" in said
            counts["ended" if process.returncode in (0, -1, -2, -15) else f"status {process.returncode}"] += 1
        left = list(folder.rglob(".bonectl-*"))
        counts["left"] += bool(left)
        for path in folder.iterdir():
            if path.name not in there:
                subprocess.run(["rm", "-rf", path], check=True)
    told = f"{name}, {'two signals' if twice else 'one signal'}: {TRIES} tried, {dict(+counts)}"
    if "BONECTL_SIGNALS" in os.environ:
        sys.stderr.write(f"{told}\n")
    assert +counts == Counter(ended=TRIES), told
