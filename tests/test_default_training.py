"""What `bonectl train` does unasked is worth its time: on the example pair it beats the best plain filter."""

import shlex
from pathlib import Path

import numpy as np
import pytest

import bonectl
from bonectl.cli import boundary

DATA = Path(__file__).resolve().parents[1] / "examples" / "data"
LOW = "--views 120 --photons 300 --energy 25"
GOOD = "--views 720 --photons 1e6 --energy 25 --seed 7"
DRAWS = (11, 12)


def ran(line):
    assert boundary.run(shlex.split(line)) == 0


def scanned(bone, name, how):
    ran(f"simulate {bone}.npy {how} -o scan.npy -f -q")
    ran(f"reconstruct scan.npy --unit mgHA/cm3 -o {name}.npy -q")


def errors(bone, low, model):
    """PSNR [dB], and relative errors of Conn.D and TMD without sign."""
    made = bonectl.denoise(bonectl.read(f"{low}.npy"), model)
    table = bonectl.measure(
        made, reference=bonectl.read(f"{bone}-good.npy"), threshold="reference", metrics="psnr + connd + tmd",
        intervals="none",
    )  # fmt: skip
    return table["psnr"], abs(table.row("connd").percent), abs(table.row("tmd").percent)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_default_beats_the_tuned_gaussian(tmp_path, monkeypatch):
    """At the voxels of HR-pQCT and few photons: at a third of the voxels any smoother keeps what is measured."""
    monkeypatch.chdir(tmp_path)
    for bone in ("lhdl3155", "lhdl2923"):
        ran(f"convert {DATA}/{bone}_58um.tif -o {bone}.npy -q")
        scanned(bone, f"{bone}-good", GOOD)
    scanned("lhdl3155", "lhdl3155-low", f"{LOW} --seed 1")
    for draw in DRAWS:
        scanned("lhdl2923", f"low-{draw}", f"{LOW} --seed {draw}")
    filters = [f"gaussian(sigma={sigma})" for sigma in (0.7, 0.8, 0.9, 1.0)]
    tuned = max(filters, key=lambda text: errors("lhdl3155", "lhdl3155-low", text)[0])
    ran("train lhdl3155-low.npy --target lhdl3155-good.npy --threads 1 --no-picture -q -o m.safetensors")
    network, smoother = (
        np.mean([errors("lhdl2923", f"low-{draw}", model) for draw in DRAWS], axis=0)
        for model in ("m.safetensors", tuned)
    )
    assert network[0] > smoother[0] + 1, (tuned, smoother, network)
    assert (network[1:] < smoother[1:]).all(), (tuned, smoother, network)
