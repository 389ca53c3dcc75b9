"""What every phantom is made on."""

from dataclasses import dataclass

from bonectl.core.lengths import SPOKEN, is_length
from bonectl.errors import UsageError

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Grid:
    """The voxels of a phantom, and which of all such phantoms it is.

    Parameters
    ----------
    shape : (int, int, int)
        Voxels along (z, y, x).
    voxel : float
        Side of a voxel [mm].
    seed : int
        All draws are keyed by it.

    Raises
    ------
    UsageError
        When there is no voxel, or it has no size.
    """

    shape: Shape
    voxel: float
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            said = ",".join(map(str, self.shape))
            raise UsageError(f"a phantom of shape {said}; give three positive lengths, as 64,128,128")
        if not is_length(self.voxel):
            raise UsageError(f"a voxel size of {self.voxel:g} mm; it must be {SPOKEN}")

    @property
    def extent(self) -> tuple[float, float, float]:
        """Sides (z, y, x) of the volume [mm]."""
        return self.shape[0] * self.voxel, self.shape[1] * self.voxel, self.shape[2] * self.voxel
