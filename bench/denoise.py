"""Denoising against what a script would do with the same network: eager PyTorch, onnxruntime, OpenVINO, in one run.

    python bench/denoise.py [--models "unet25d" "nafnet"] [--shape 4,512,512] [--threads 1]

The peers run on whole slices: every slice with its neighbours as one (1, slices, y, x) image, no tiles, no check of
values. The loop is PyTorch's default memory layout. Ours is `bonectl.ops.denoise.denoise` from stack to stack: blocks,
halo, tiles, normalisation and all, by torch and by `--engine openvino`. Rounds alternate and the best of each counts;
seconds are those of the processor, which a busy machine does not change. Figures are times of ours: above 1 the peer is
slower. What is compiled is compiled before. A peer that is not installed is said to be so.

Every result is held against the loop's, in parts of what the network changes; the control is the input itself.
"""

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from truth import Judge

from bonectl.core import kit, threads
from bonectl.core.header import Header
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.learning import graph
from bonectl.learning.denoiser import Denoiser
from bonectl.ops.denoise import Model, denoise

SCALE = np.float32(1200)  # full bone [mgHA/cm3]
MODELS = ("unet25d", "unet25d(width=32, scales=4)", "drunet(width=16, blocks=1)", "nafnet", "msd", "unet3d")

Run = Callable[[np.ndarray], np.ndarray]


def network(text: str) -> Denoiser:
    """Return a model with random weights, the last layer included."""
    torch.manual_seed(0)
    model = kit.bind("models", parse(text))()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return model.eval()


def slicewise(values: np.ndarray, context: int, one: Run) -> np.ndarray:
    """Denoise slice by slice the way a script does; `one` maps (1, slices, y, x) to (1, 1, y, x)."""
    padded = np.pad(values, ((context, context), (0, 0), (0, 0)), mode="edge") / SCALE
    result = np.empty_like(values)
    for z in range(len(values)):
        image = padded[z : z + 2 * context + 1][None]
        result[z] = one(image)[0, 0] * SCALE
    return result


def loop(text: str, context: int, device: str) -> Run:
    """Eager PyTorch in its default layout."""
    bare = network(text).to(device)
    for parameter in bare.parameters():
        parameter.data = parameter.data.contiguous()

    @torch.inference_mode()
    def one(image: np.ndarray) -> np.ndarray:
        return bare(torch.from_numpy(image).to(device)).cpu().numpy()

    return lambda values: slicewise(values, context, one)


def ours(text: str, engine: str, device: str) -> Run:
    """As the command does."""
    model = network(text)
    if engine == "openvino":
        from bonectl.learning.compiled import Compiled

        model = Compiled(model)

    def run(values: np.ndarray) -> np.ndarray:
        header = Header(shape=values.shape, unit="mgHA/cm3")
        return denoise(Stack.of(values, header), Model(model, "bench"), device_name=device).collect()

    return run


def onnxruntime(text: str, context: int) -> Run:
    """The network in onnxruntime."""
    import onnxruntime as runtime

    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = threads.count()
    session = runtime.InferenceSession(drawn(text, context), settings, providers=["CPUExecutionProvider"])
    return lambda values: slicewise(values, context, lambda image: session.run(None, {graph.INPUT: image})[0])


def openvino(text: str, context: int) -> Run:
    """The network in OpenVINO, for slices of any size."""
    import openvino as vino

    core = vino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads.count(), "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(core.read_model(drawn(text, context)), "CPU", settings).create_infer_request()
    return lambda values: slicewise(values, context, lambda image: next(iter(request.infer([image]).values())))


def drawn(text: str, context: int) -> bytes:
    """The network in ONNX."""
    model = network(text)
    side = max(32, model.reach.grid)
    return graph.traced(model, torch.zeros(1, 2 * context + 1, side, side + model.reach.grid))


def timed(run: Run, values: np.ndarray, device: str) -> tuple[float, np.ndarray]:
    """Return seconds and the result: of the processor, or on a GPU by the clock."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    begun = clock()
    result = run(values)
    return clock() - begun, result


def rivals(text: str, device: str) -> dict[str, Run | None]:
    """Who runs a network here; None for a peer that is not installed."""
    context = network(text).reach.slices
    peers = {"loop": loop(text, context, device), "ours": ours(text, "torch", device)}
    if device != "cpu":
        return peers
    there = {name: find_spec(name) is not None for name in ("onnxruntime", "openvino")}
    return peers | {
        "ours, openvino": ours(text, "openvino", device) if there["openvino"] else None,
        "onnxruntime": onnxruntime(text, context) if there["onnxruntime"] else None,
        "openvino": openvino(text, context) if there["openvino"] else None,
    }


def row(text: str, values: np.ndarray, given: argparse.Namespace, judge: Judge) -> str:
    """One line of the table."""
    running = rivals(text, given.device)
    best, results = dict.fromkeys(running, np.inf), {}
    for round_ in range(given.rounds + 1):
        for name, run in running.items():
            if run is not None:
                spent, results[name] = timed(run, values, given.device)
                best[name] = min(best[name], spent) if round_ else np.inf  # the first compiles
    changed = np.abs(results["loop"] - values).max()
    judge.refuse(f"{text}, the input", float(np.abs(results["loop"] - values).max() / changed), 1e-4)
    errors = [
        judge(f"{text}, {name}", float(np.abs(found - results["loop"]).max() / changed), 1e-4)
        for name, found in results.items()
        if name != "loop"
    ]
    fastest = min(best["ours"], best.get("ours, openvino", np.inf))
    cells = [f"{best[name] / fastest:.2f}" if run else "not installed" for name, run in running.items()]
    return f"| {text} | {fastest / values.size * 1e6:.3f} | {' | '.join(cells)} | {max(errors)} |"


def main() -> None:
    """Print, for every network, CPU seconds for a million voxels and all rivals as times of the faster of ours."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--models", nargs="+", default=MODELS)
    options.add_argument("--shape", default="4,512,512")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--device", default="cpu")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    threads.choose(given.threads)
    torch.set_num_threads(threads.count())
    values = (np.random.default_rng(0).random([int(n) for n in given.shape.split(",")]) * 1000).astype(np.float32)
    judge = Judge()
    names = list(rivals(given.models[0], given.device))
    print(f"| network | s for a million voxels | {' | '.join(names)} | largest difference from the loop |")
    print("|" + "---|" * (len(names) + 3))
    for text in given.models:
        print(row(text, values, given, judge), flush=True)
    judge.close()


if __name__ == "__main__":
    main()
