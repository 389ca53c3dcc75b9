"""The verbs for notebooks and programs: what `import bonectl` offers, with parts as text, as in the shell.

A stack flows from verb to verb and is walked once: `Stack.collect` holds its voxels as an array. Nothing is computed
before that, or before `write`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bonectl import io, scanners
from bonectl.core import atomic
from bonectl.core.geometry import Geometry
from bonectl.core.header import PROJECTIONS, Header
from bonectl.core.kit import bind
from bonectl.core.scan import Frames, Source
from bonectl.core.slabs import Array
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.ops import calibrate as _calibrate
from bonectl.ops import info as _info
from bonectl.ops import phantom as _phantom
from bonectl.stacks import meaning, screening

if TYPE_CHECKING:
    from bonectl.ops.train import Trained

Name = str | PathLike[str]


def read(path: Name, *, unit: str | None = None, voxel_size: float | None = None) -> Stack:
    """A stack from a file, a folder of slices, or a pattern such as ``slice_%05d.tif``.

    Parameters
    ----------
    path : path
        In any format of bonectl-io(7). It stays open until the last slab has been read.
    unit : str, optional
        What the values are, where the file does not tell: ``"1/cm"``, ``"mgHA/cm3"``, ``"label"``, ``"grey"``,
        ``"counts"``, ``"transmission"`` or ``"line integral"``.
    voxel_size : float, optional
        [mm], where the file has none.

    Raises
    ------
    MissingInputError, PermissionDeniedError, DataError
        When it is not there, may not be read, or is no stack.
    UsageError
        When the file says otherwise than `unit` or `voxel_size`.
    """
    stack = _opened(Path(path))
    if unit is not None:
        stack = meaning.with_unit(stack, unit)
    return stack if voxel_size is None else meaning.with_voxel_size(stack, voxel_size)


def _opened(path: Path) -> Stack:
    """The stack of a file that is closed with its last slab."""
    with ExitStack() as opening:
        stack = opening.enter_context(scanners.open(path))
        closing = opening.pop_all()

    def slabs() -> Iterator[Array]:
        with closing:
            yield from stack.slabs

    return replace(stack, slabs=slabs())


def write(stack: Stack, path: Name, *, force: bool = False) -> None:
    """Write a stack; the file is there when it is whole, and not before.

    Parameters
    ----------
    stack : Stack
    path : path
        Its name tells the format, such as ``.npy``, ``.tif`` or ``.nrrd`` (bonectl-io(7)).
    force : bool
        Whether to replace a file that is there.

    Raises
    ------
    UsageError
        When the name stands for no format.
    OutputError, PermissionDeniedError, WriteError
        When the file exists, or cannot be written.
    DataError
        When a value is not finite.
    """
    path = Path(path)
    format_ = io.to_write(path)
    whole = screening.kept_finite(stack)
    if format_ in io.folder_formats():
        with atomic.replacing(path, force=force) as temporary:
            temporary.mkdir()
            io.module(format_).write_folder(whole, temporary)
        return
    with atomic.replacing(path, force=force) as temporary, temporary.open("wb") as file:
        io.module(format_).write(whole, file)


def phantom(spec: str, *, shape: tuple[int, int, int], voxel_size: float, seed: int = 0) -> Stack:
    """Bone, or an object with known answers, in mgHA/cm³ (bonectl-phantoms(7)).

    Parameters
    ----------
    spec : str
        Such as ``"iliac"`` or ``"ball(diameter=0.6)"``.
    shape : (int, int, int)
        Voxels along z, y, x.
    voxel_size : float
        [mm].
    seed : int
        Which of all such phantoms.

    Raises
    ------
    UsageError
        When there is no such phantom or knob, or it does not fit.
    """
    return _phantom.phantom(parse(spec), shape, voxel_size, seed)


def geometry(spec: str, *, size: int, rows: int, voxel_size: float) -> Geometry:
    """Where the rays of a scan run (bonectl-geometries(7)).

    Parameters
    ----------
    spec : str
        Such as ``"parallel(views=180)"`` or ``"cone(sod=200, sdd=400, views=360)"`` [mm, degree].
    size : int
        Side of the square slices [voxel].
    rows : int
        Slices.
    voxel_size : float
        [mm].

    Raises
    ------
    UsageError
        When there is no such beam or knob, or its numbers contradict one another.
    """
    made = bind("geometries", parse(spec))(size, rows, voxel_size)
    assert isinstance(made, Geometry)
    return made


def simulate(volume: Stack, **settings: Any) -> Stack:
    """A scan of a volume; keywords as `bonectl.scanning.simulation.SimulateRequest`, those of its detector among them.

    Parameters
    ----------
    volume : Stack
    **settings
        ``geometry``, ``energy`` [keV], ``matrix``, ``unit``, ``seed``, ``device_name``, and of the detector
        ``photons``, ``noise``, ``blur``, ``gain``, ``dark`` and ``oversample``.

    Raises
    ------
    UsageError
        When a setting is unknown, or does not fit the volume.
    """
    from dataclasses import fields

    from bonectl.ops.simulate import simulate as work
    from bonectl.scanning.detector import Detector

    own = {field.name for field in fields(Detector)}
    detector = Detector(**{name: value for name, value in settings.items() if name in own})
    return work(volume, detector=detector, **{name: value for name, value in settings.items() if name not in own})


def prepare(
    scan: Stack, steps: str, *, flats: Name | Array | Frames | None = None, darks: Name | Array | Frames | None = None
) -> Stack:
    """A scan after some preparations, in the order they are written (bonectl-preparations(7)).

    Parameters
    ----------
    scan : Stack
    steps : str
        Such as ``"badpixels + flats + zingers + stripes"``.
    flats, darks : path, (frame, row, col) array, or Frames
        Readings without the object, and without beam; `Frames` says when each was read.

    Raises
    ------
    UsageError
        When there is no such part or knob, or one does not read what it is given.
    DataError, MissingInputError
        When frames are not there, or not of this detector.
    """
    from bonectl.scanning.preparing import Beam, parts, prepared

    return prepared(scan, parts(steps), beam=Beam(_frames(flats), _frames(darks)))


def _frames(given: Name | Array | Frames | None) -> Frames | None:
    if given is None or isinstance(given, Frames):
        return given
    if isinstance(given, str | PathLike):
        path = Path(given)
        with io.open(path) as stack:
            return Frames(Source(stack.header, lambda: io.open(path)))
    values = np.ascontiguousarray(given if given.ndim == 3 else given[None], dtype=np.float32)
    header = Header(shape=values.shape, axes=PROJECTIONS, unit="counts")
    return Frames(Source(header, lambda: nullcontext(Stack.of(values, header))))


def denoise(stack: Stack, model: Name, *, device_name: str = "auto", anyway: bool = False) -> Stack:
    """The volume without its noise.

    Parameters
    ----------
    stack : Stack
    model : str or path
        A checkpoint, ``"mine.safetensors"``, the network that comes along, ``"bone"``, or a filter that needs no
        training, ``"gaussian(sigma=1)"``.
    device_name : str
        ``"cpu"``, ``"cuda"`` or ``"auto"``.
    anyway : bool
        Whether to denoise what lies outside of what the network was validated for.

    Raises
    ------
    UsageError, DataError, MissingInputError
        When there is no such model, or it is not for these data.
    """
    from bonectl.ops.denoise_plan import Plan, Request

    request = Request(models=(str(model),), device_name=device_name, anyway=anyway)
    return Plan(request=request, models=request.loaded(), header=stack.header).denoised(stack)


def train(inputs: Sequence[Name], targets: Sequence[Name] = (), *, output: Name, **settings: Any) -> "Trained":
    """Train a network; a checkpoint is written as it goes.

    Parameters
    ----------
    inputs, targets : sequence of path
        Noisy stacks, and the clean one of each.
    output : path
        ``x.safetensors``.
    **settings
        As `bonectl.training.recipe.Recipe` (``model``, ``loss``, ``steps`` ...), `bonectl.training.saving.Saving`
        (``every``, ``force`` ...) and `bonectl.training.request.Request` (``device_name`` ...).

    Raises
    ------
    UsageError, DataError, MissingInputError
        When the request contradicts itself, or the stacks do not fit it.
    """
    from dataclasses import fields

    from bonectl.ops.train import train as work
    from bonectl.training.recipe import Recipe
    from bonectl.training.request import Request
    from bonectl.training.saving import Saving

    def taken(kind: type) -> dict[str, Any]:
        return {field.name: settings.pop(field.name) for field in fields(kind) if field.name in settings}

    recipe, saving = Recipe(**taken(Recipe)), Saving(output=Path(output), **taken(Saving))
    return work(Request(inputs=_paths(inputs), targets=_paths(targets), recipe=recipe, saving=saving, **settings))


def _paths(names: Iterable[Name]) -> tuple[Path, ...]:
    return tuple(Path(name) for name in names)


def calibrate(stack: Stack, spec: str) -> Stack:
    """Values as mineral density (bonectl-calibrations(7)).

    Parameters
    ----------
    stack : Stack
    spec : str
        Such as ``"rods(table='rods.tsv')"`` or ``"linear(slope=2)"``.

    Raises
    ------
    UsageError, DataError
        When the law does not read this unit, or the voxels do not support it.
    """
    return _calibrate.calibrated(stack, parse(spec))


def info(stack: Stack, *, statistics: bool = False) -> dict[str, Any]:
    """What a stack says of itself, as ``bonectl info --json`` prints it.

    Parameters
    ----------
    stack : Stack
    statistics : bool
        Whether to walk it for minimum, maximum, mean and standard deviation; then it is spent.
    """
    told = _info.facts(stack.header, "")
    return _info.with_statistics(told, _info.statistics(stack)) if statistics else told
