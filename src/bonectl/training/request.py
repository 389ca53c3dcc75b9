"""What a training run is asked for, as one value: built by the command line and by Python alike."""

from dataclasses import dataclass, field
from pathlib import Path

from bonectl.core import kit
from bonectl.core.spec import Spec, parse
from bonectl.errors import UsageError
from bonectl.training.recipe import Recipe
from bonectl.training.saving import Saving
from bonectl.training.volumes import Mending


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to train on, how, and where the result goes.

    Parameters
    ----------
    inputs, targets : tuple of Path
        Stacks, as the pairing wants them.
    recipe : Recipe
        What decides which weights come out.
    saving : Saving
        Where the checkpoint goes.
    normalisation : tuple of float, optional
        Offset and scale in the data's unit, where its calibration does not give them.
    of_any_voxels : bool
        Whether stacks may differ in their voxel size.
    teachers : tuple of str
        Models whose mean answer is learned, as far as `teacher_share` says: checkpoints by path or name, filters by
        spec.
    teacher_share : float
        Share of the teachers in what is learned; the true targets have the rest.
    start : Path, optional
        Checkpoint whose weights to begin with: of the same model, or of one that sees fewer slices
        (``bonectl.learning.inflate``).
    device_name : str
        See ``bonectl.learning.device.choose``.
    compiled : bool
        Whether ``torch.compile`` makes machine code of the network first.
    mending : callable, optional
        What becomes of values that are not finite (``bonectl.stacks.screening``); they are refused without.

    Raises
    ------
    UsageError
        There is nothing to train on, no such model or pairing, or no such knob of one, or nothing for teachers to say.
    """

    inputs: tuple[Path, ...]
    targets: tuple[Path, ...] = ()
    recipe: Recipe = field(default_factory=Recipe)
    saving: Saving
    normalisation: tuple[float, float] | None = None
    of_any_voxels: bool = False
    teachers: tuple[str, ...] = ()
    teacher_share: float = 1.0
    start: Path | None = None
    device_name: str = "auto"
    compiled: bool = False
    mending: Mending | None = None

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UsageError("nothing to train on; give noisy stacks")
        kit.check("models", [parse(self.recipe.model)])
        kit.check("pairings", [parse(self.recipe.pairs)])
        if not self.teachers:
            return
        if not 0 < self.teacher_share <= 1:
            raise UsageError(f"--teacher-share {self.teacher_share:g}; give more than 0, and at most 1")
        if self.pairs.name != "supervised" or kit.fact("models", self.model.name, "LEARNS") == "scans":
            raise UsageError(
                "teachers say what a volume with a --target is without its noise; leave out --pairs and lpd"
            )

    @property
    def model(self) -> Spec:
        """The model with every knob written out, so that a later default does not change what a checkpoint means."""
        return kit.in_full("models", parse(self.recipe.model))

    @property
    def pairs(self) -> Spec:
        """The pairing with every knob written out."""
        return kit.in_full("pairings", parse(self.recipe.pairs))
