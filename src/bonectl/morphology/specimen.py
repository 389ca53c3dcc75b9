"""A segmented volume, and what costs time to know about it: each worked out once, and only when asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bonectl.core.lengths import Spacing, is_cubic
from bonectl.errors import UsageError
from bonectl.morphology.cells import BONE, MARROW, OUTSIDE, Labels
from bonectl.morphology.components import Pieces, pieces
from bonectl.morphology.sums import Sums, sums_of
from bonectl.morphology.threshold import Threshold

T = TypeVar("T")

# Difference between bone and marrow that PSNR and SSIM are measured against [mgHA/cm3].
BONE_MINUS_MARROW = 1050.0


@dataclass(frozen=True, eq=False)
class Specimen:
    """Bone, marrow and volume of interest of one volume.

    Parameters
    ----------
    labels : (z, y, x) uint8
        `OUTSIDE`, `MARROW` or `BONE` of `morphology.cells`.
    spacing : tuple of float
        Voxel side along z, y, x [mm].
    unit : str
        Of the grey values; "label" when there are none.
    threshold : Threshold
        How bone was told from marrow.
    grey : (z, y, x) array, optional
    pure : bool
        Whether `labels` were purified: the grey values no longer say alone what is bone.
    around : (z, y, x) bool, optional
        Bone of the whole stack, beyond the volume of interest too; None where nothing is known there.
    """

    labels: Labels
    spacing: Spacing
    unit: str
    threshold: Threshold
    grey: NDArray[np.number] | None = None
    pure: bool = False
    around: NDArray[np.bool_] | None = None
    _known: dict[Any, Any] = field(default_factory=dict, repr=False)

    def once(self, key: object, work: Callable[[], T]) -> T:
        """The result of `work`, done the first time `key` is asked for."""
        if key not in self._known:
            self._known[key] = work()
        return self._known[key]  # type: ignore[no-any-return]

    @cached_property
    def bone(self) -> NDArray[np.bool_]:
        """Bone voxels, (z, y, x)."""
        return np.asarray(self.labels == BONE)

    @cached_property
    def marrow(self) -> NDArray[np.bool_]:
        """Voxels of the volume of interest that are not bone, (z, y, x)."""
        return np.asarray(self.labels == MARROW)

    @cached_property
    def voi(self) -> NDArray[np.bool_]:
        """Voxels of the volume of interest, (z, y, x)."""
        return np.asarray(self.labels != OUTSIDE)

    @cached_property
    def whole(self) -> bool:
        """Whether the volume of interest is the whole stack."""
        return bool(self.voi.all())

    @property
    def bone_around(self) -> NDArray[np.bool_]:
        """Bone voxels as far as they are known, (z, y, x)."""
        return self.bone if self.around is None else self.around

    @property
    def is_mask(self) -> bool:
        """Whether nothing but its voxels is known of the bone: grey values of two levels tell no more."""
        return self.grey is None or self.threshold.mask

    @cached_property
    def sums(self) -> Sums:
        """What adds up."""
        return sums_of([(self.labels, self.grey)], self.spacing, self.unit)

    @cached_property
    def pieces(self) -> Pieces:
        """Components, cavities and the purified mask."""
        return Pieces(int(self.bone.any()), 0, self.labels) if self.pure else pieces(self.labels)

    @cached_property
    def purified(self) -> Sums:
        """What adds up, of the purified mask."""
        return sums_of([(self.pieces.labels, None)], self.spacing, "label")

    def purify(self) -> "Specimen":
        """The largest piece of bone with its cavities filled, as a specimen of its own."""
        labels = self.pieces.labels
        around = None if self.around is None else np.where(labels == OUTSIDE, self.around, labels == BONE)
        return replace(self, labels=labels, pure=True, around=around, _known={})

    def values(self, what: str) -> NDArray[np.number]:
        """The grey values, (z, y, x).

        Raises
        ------
        UsageError
            When there are none: `what` needs them.
        """
        if self.grey is None:
            raise UsageError(f"{what} needs grey values; this is a mask (unit 'label')")
        return self.grey

    def side(self, what: str) -> float:
        """Side of the cubic voxel [mm].

        Raises
        ------
        UsageError
            When the voxels are not cubic within 0.1 %: `what` is defined on cubic voxels.
        """
        if not is_cubic(self.spacing):
            sides = " × ".join(f"{side:g}" for side in self.spacing)
            raise UsageError(f"{what} needs cubic voxels, these are {sides} mm; resample the volume first")
        return self.spacing[2]


def data_range(unit: str, given: float | None, what: str) -> float:
    """The range that PSNR and SSIM are measured against: a constant of the unit, never of the image.

    Raises
    ------
    UsageError
        When the unit has no such constant and none is given.
    """
    if given is not None:
        if not given > 0:
            raise UsageError(f"{what}: a data range of {given:g}; it must be positive")
        return given
    constants = {"mgHA/cm3": BONE_MINUS_MARROW, "label": 1.0}
    if unit not in constants:
        raise UsageError(f"{what} of values in unit {unit!r} needs its data range; write {what}(range=VALUE)")
    return constants[unit]
