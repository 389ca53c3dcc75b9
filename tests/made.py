"""What many tests are about, made in one place: stacks, files of them, noisy and clean pairs, training runs."""

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from bonectl.core import kit, progress
from bonectl.core.header import SINOGRAMS, Header
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.core.table import Number
from bonectl.io import npy
from bonectl.learning.checkpoint import Checkpoint
from bonectl.morphology.cells import BONE, MARROW, OUTSIDE
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.threshold import Threshold
from bonectl.ops.denoise import Model
from bonectl.training.request import Request


def bare(values, *, slab=None, **facts):
    """A stack of an array that knows no more than it is told, whole or in slabs of `slab` slices."""
    values = np.ascontiguousarray(values)
    header = Header(shape=values.shape, dtype=values.dtype.newbyteorder("<").str, **facts)
    size = slab or max(1, len(values))
    return Stack(header, (values[start : start + size] for start in range(0, len(values), size)))


def stack(values, unit="mgHA/cm3", *, spacing=(0.02,) * 3, slab=None, **facts):
    """A stack of a volume: its unit and its voxels' sides [mm] are known."""
    return bare(values, slab=slab, spacing=spacing, unit=unit, **facts)


def scan(lines, geometry, unit="line integral", *, axes=SINOGRAMS, **facts):
    """A scan that knows its geometry, of sinograms (row, view, col); stored in the order of `axes`."""
    sides = {"row": geometry.row_pitch, "view": None, "col": geometry.pitch}
    values = np.transpose(lines, [SINOGRAMS.index(axis) for axis in axes])
    told = {"spacing": tuple(sides[axis] for axis in axes), "geometry": geometry} | facts
    return bare(values, axes=axes, unit=unit, **told)


def unread(header):
    """A stack of which no voxel may be read: requests are checked before."""

    def slabs():
        raise AssertionError("a voxel was read before the request was checked")
        yield

    return Stack(header, slabs())


def write(path, whole):
    """An NPY file of a stack."""
    with path.open("wb") as file:
        npy.write(whole, file)
    return path


def store(path, values, **facts):
    """An NPY file of float32 values [mgHA/cm3, 0.02 mm]."""
    return write(path, stack(np.asarray(values, np.float32), **facts))


def bone(shape=(24, 28, 40)):
    """Trabeculae of random shape with soft edges [mgHA/cm3]."""
    field = gaussian_filter(np.random.default_rng(0).normal(size=shape), 2.5)
    return (1050 / (1 + np.exp(-5 * field / (field.std() or 1)))).astype(np.float32)


def noise(shape):
    """Values without any structure, 0 to 1000 [mgHA/cm3]."""
    return (np.random.default_rng(0).random(shape) * 1000).astype(np.float32)


def rods(shape=(16, 32, 32)):
    """Bone-like rods [mgHA/cm3]."""
    z, y, x = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return (1000.0 * (np.sin(y / 2.5 + z / 9) * np.sin(x / 3) > 0.2)).astype(np.float32)


def bar(shape=(12, 32, 32)):
    """One bar along z [mgHA/cm3]."""
    values = np.zeros(shape, np.float32)
    values[:, 8:20, 5:25] = 1000
    return values


def nudged(path):
    """A file beside another, whose values are larger by 1: no pair can be made of a file and itself."""
    header, values = npy.mapped(path)
    return write(path.with_name(f"nudged_{path.name}"), Stack.of(np.asarray(values) + values.dtype.type(1), header))


def noisy_and_clean(folder, clean, sd, **facts):
    """Two files, low.npy with noise and clean.npy without."""
    noisy = clean + np.random.default_rng(0).normal(0, sd, clean.shape)
    return store(folder / "low.npy", noisy, **facts), store(folder / "clean.npy", clean, **facts)


def after(step):
    """What a training loop asks whether to stop: True from its step-th question on."""
    asked = iter(range(1, 1000))
    return lambda: next(asked) >= step


def train_on(inputs, targets, recipe, saving, *, stop=lambda: False, **settings):
    """How a training run ended: `bonectl.ops.train.train` of lists of paths."""
    from bonectl.ops.train import train

    asked = Request(inputs=tuple(inputs), targets=tuple(targets), recipe=recipe, saving=saving, **settings)
    return train(asked, stop=stop)


def numbers(table):
    """What a table of `measure` holds: value by name."""
    return {row.number.name: row.number.value for row in table.rows}


def labelled(mask, voi=None):
    """Bone and marrow; outside of the volume of interest neither."""
    labels = np.where(mask, BONE, MARROW).astype(np.uint8)
    if voi is not None:
        labels[~voi] = OUTSIDE
    return labels


def specimen(mask, spacing=(0.02,) * 3, grey=None, unit="label", voi=None, cut=525.0):
    """What metrics measure: a mask, and the grey values [unit] that it was cut from at `cut`."""
    return Specimen(labelled(mask, voi), spacing, unit, Threshold(0.5 if grey is None else cut, unit, "test"), grey)


def measured(text, *specimens):
    """What a metric of the kit finds in a specimen, or in two: value by name."""
    part = kit.bind("metrics", parse(text))
    first = part.func.__code__.co_varnames[0]
    given = [specimens[0].sums] if first == "sums" else list(specimens)
    return {number.name: number.value for number in part(*given) if isinstance(number, Number)}


def signed(seed, *shape):
    """A tensor of values of both signs, for projectors, which are linear."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def relative(a, b):
    """How far a tensor is from another, as a share of the other's norm; each may lie on any device."""
    a, b = a.double().cpu(), b.double().cpu()
    return float(torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b))


def ball(shape, radius, x, y, z, fine=6):
    """1/cm inside a ball [voxel, from the middle], averaged over each voxel."""
    steps = [(np.arange(n * fine) + 0.5) / fine - n / 2 for n in shape]
    dz, dy, dx = ((s - c) ** 2 for s, c in zip(steps, (z, y, x), strict=True))
    whole = (dz[:, None, None] + dy[None, :, None] + dx[None, None] < radius**2).astype(np.float32)
    split = [n for length in shape for n in (length, fine)]
    return torch.from_numpy(whole.reshape(split).mean(axis=(1, 3, 5)))


def trained(text, normalisation):
    """A network with small random weights everywhere, as if trained, that nothing else calibrates."""
    spec = parse(text)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = kit.bind("models", spec)().eval()
        for parameter in network.parameters():
            parameter.data.add_(0.05 * torch.randn(parameter.shape))
    checkpoint = Checkpoint(
        model=str(kit.in_full("models", spec)),
        loss="l1",
        pairs="supervised",
        normalisation=normalisation,
        axes=("z", "y", "x"),
        spacing=(0.0585,) * 3,
        acquisition={"photons": 300.0},
        steps=1,
        seed=0,
        training={"held_out_psnr_db": [[1, 30.0]], "held_out_psnr_input_db": 20.0},
        weights=network.state_dict(),
    )
    return Model(network, checkpoint.model, checkpoint)


@contextmanager
def heard():
    """The lines that are said meanwhile."""
    said = []
    reporter = SimpleNamespace(note=said.append, task=lambda *_: nullcontext(lambda done=1, **facts: None))
    with progress.reporting(reporter):
        yield said
