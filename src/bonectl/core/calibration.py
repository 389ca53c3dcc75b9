"""How attenuation becomes mineral density, as a value that travels with the data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Self

from bonectl.errors import DataError, UsageError

# The acquisition fact that says that a stack's calibration reads grey values, not attenuation.
ORIGIN = "calibrated_from"


@dataclass(frozen=True)
class Calibration:
    """The linear law density = slope · attenuation + intercept.

    Parameters
    ----------
    slope : float
        [mgHA/cm³ per 1/cm], positive.
    intercept : float
        [mgHA/cm³]; the density that air (attenuation 0) would read.
    source : str
        Where the numbers come from, printed with every result, e.g. ``energy(kev=25, matrix='water')``.
    pseudo : bool
        True when the scale was guessed from grey values: structure may be trusted, density may not.

    Notes
    -----
    Linearity of attenuation in hydroxyapatite concentration: Nuzzo et al., Med. Phys. 29:2672 (2002).
    """

    slope: float
    intercept: float
    source: str
    pseudo: bool = False

    def __post_init__(self) -> None:
        if not (isfinite(self.slope) and self.slope > 0 and isfinite(self.intercept)):
            raise UsageError(
                f"calibration has slope {self.slope} and intercept {self.intercept}; "
                "the slope must be positive, and both finite"
            )

    def density(self, attenuation: Any) -> Any:
        """Mineral density [mgHA/cm³] from linear attenuation [1/cm]."""
        return attenuation * self.slope + self.intercept

    def attenuation(self, density: Any) -> Any:
        """Linear attenuation [1/cm] from mineral density [mgHA/cm³]."""
        return (density - self.intercept) / self.slope

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; raises DataError on anything else."""
        try:
            return cls(
                float(value["slope"]),
                float(value["intercept"]),
                str(value["source"]),
                bool(value.get("pseudo", False)),
            )
        except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
            raise DataError(f"the header's calibration is damaged ({error})") from error
