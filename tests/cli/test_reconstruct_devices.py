"""`bonectl reconstruct --device --backend`."""

import numpy as np
import pytest
import torch


@pytest.fixture
def scan(run):
    assert run("phantom", "iliac", "--shape", "4,24,24", "--voxel-size", "0.02", "-o", "bone.npy").status == 0
    assert run("simulate", "bone.npy", "--views", "30", "-o", "scan.npy").status == 0
    return "scan.npy"


def test_backends_agree(run, scan):
    assert run("reconstruct", scan, "--bare", "-o", "compiled.npy").status == 0
    done = run("reconstruct", scan, "--backend", "reference", "--device", "cpu", "--bare", "-o", "reference.npy")
    assert done.status == 0, done.err
    compiled, reference = np.load("compiled.npy"), np.load("reference.npy")
    assert abs(reference - compiled).max() <= 1e-4 * abs(compiled).max()


def test_what_is_not_there_is_refused_in_one_line(run, scan):
    done = run("reconstruct", scan, "--backend", "astra", "-o", "volume.npy")
    assert done.status == 69
    assert "backend astra runs on CUDA" in done.err
    assert run("reconstruct", scan, "--backend", "fast").status == 2
    assert run("reconstruct", scan, "--try", "10:12:1", "--backend", "reference").status == 2
    if not torch.cuda.is_available():
        done = run("reconstruct", scan, "--device", "cuda", "-o", "volume.npy")
        assert done.status == 69
        assert "device cuda is not there" in done.err
