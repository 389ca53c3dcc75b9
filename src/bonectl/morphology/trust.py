"""When a bone number is not what it seems: limits known from phantoms and real bone."""

from collections.abc import Iterable, Mapping

from bonectl.core.counted import counted

# Separation needs a volume of interest this many times wider: with less, gaps that the border cuts decide it.
FEWEST_GAPS = 5

# Isotropic structures read up to this degree of anisotropy.
ISOTROPIC = 0.1

# Local thickness is right within 0.2 voxel from this many voxels on.
THINNEST = 3.0

# A raw Euler number above this counts at least as many specks and cavities: trabecular bone is far below 0.
SPECKS = 10

# Specks and holes beyond this share of the connectivity are noise that the Euler number counts as structure.
NOISE = 0.1


def doubts(
    numbers: Mapping[str, float], voxel: float, width: float, cut_off: Iterable[str] = (), shell: int = 0
) -> tuple[str, ...]:
    """What should not be believed, one line each; numbers that are not there raise no doubt.

    Parameters
    ----------
    numbers : mapping
        Value by row name.
    voxel : float
        Longest side of a voxel [mm].
    width : float
        Shortest side of the box around the volume of interest [mm].
    cut_off : iterable of str
        The volumes, in words, whose scans were of a region of interest.
    shell : int
        Voxels on all sides without bone, around bone that was cut (`voi.Extent.shell`).
    """
    found = (
        *map(_absolute_values, cut_off),
        _shell(shell),
        _separation(numbers, width),
        _anisotropy(numbers),
        _thickness(numbers, voxel),
        _topology(numbers),
        _raw_topology(numbers),
    )
    return tuple(line for line in found if line)


def _absolute_values(volume: str) -> str:
    """Rays through what lies beyond the detector are too long: values are too high, most so towards the rim."""
    return (
        f"the scan of {volume} was cut off by the detector (region of interest): absolute density (bmd, tmd and their "
        "spread) is not to be trusted, nor is BV/TV by a threshold that was not found in this volume"
    )


def _shell(voxels: int) -> str:
    """Bone that was cut seems to end by itself, and the shell counts as marrow."""
    if not voxels:
        return ""
    edge = f"{voxels}:-{voxels}"
    return (
        f"an empty shell of {voxels} voxel lies around the bone on all sides: BV/TV, Conn.D and the border of each "
        f"number are wrong by it; cut it off first, bonectl convert --crop {edge},{edge},{edge}"
    )


def _separation(numbers: Mapping[str, float], width: float) -> str:
    gap, name = numbers.get("tbsp", 0.0), "Tb.Sp"
    if "tbsp" not in numbers and numbers.get("bstv"):
        # A plate model never reads too wide: gaps between rods and plates alike are at least 2 (TV - BV) / BS.
        gap, name = 2 * (1 - numbers.get("bvtv", 1.0)) / numbers["bstv"], "plate-model Tb.Sp"
    if not width < FEWEST_GAPS * gap:
        return ""
    return (
        f"the volume of interest is {width / gap:.1f} {name} wide, under {FEWEST_GAPS}: Tb.Sp and its spread, Conn.D "
        "and DA depend on where it was cut"
    )


def _anisotropy(numbers: Mapping[str, float]) -> str:
    degree = numbers.get("da", ISOTROPIC)
    return f"DA {degree:.2g} is under {ISOTROPIC:g}, what isotropic bone reads too" if degree < ISOTROPIC else ""


def _thickness(numbers: Mapping[str, float], voxel: float) -> str:
    voxels, name = numbers.get("tbth", THINNEST * voxel) / voxel, "Tb.Th is"
    if "tbth" not in numbers and numbers.get("bsbv"):
        # A rod model never reads too thin: plates are 2 BV/BS thick, rods 4 BV/BS.
        voxels, name = 4 / numbers["bsbv"] / voxel, "Tb.Th is at most"
    if not voxels < THINNEST:
        return ""
    return f"{name} {voxels:.1f} voxels, under {THINNEST:g}: partial volume decides it, and the threshold BV/TV"


def _topology(numbers: Mapping[str, float]) -> str:
    """Specks, not pieces: plates and rods that do not touch are no noise."""
    if not {"specks", "cavities", "chi_purified"} <= numbers.keys():
        return ""
    specks, holes = int(numbers["specks"]), int(numbers["cavities"])
    if specks + holes <= max(1.0, NOISE * abs(numbers["chi_purified"])):
        return ""
    return (
        f"{counted(specks, 'speck')} and {counted(holes, 'cavity', 'cavities')}"
        f" beside a purified Euler number of {numbers['chi_purified']:g}: "
        "noise is in the raw chi, BS and Tb.Th; a filter before the threshold removes them"
    )


def _raw_topology(numbers: Mapping[str, float]) -> str:
    """The Euler number alone: it is components + cavities - tunnels, so it never exceeds the first two."""
    chi = numbers.get("chi", 0.0)
    if "components" in numbers or not chi > SPECKS:
        return ""
    return (
        f"the raw Euler number is {chi:g}: the bone has as many pieces and cavities or more; unless it is of separate "
        "rods or plates (-m components counts specks), noise is in it and in BS"
    )
