"""A first pipeline file for the scans below a folder, with what one would want to change in comments."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bonectl.batching.discovery import Found, summary
from bonectl.errors import MissingInputError

_HEAD = """\
# {found}.
# Check it with    bonectl batch FILE --dry-run
# and run it with  bonectl batch FILE

scans = "{root}/**"          # what is a scan is found by what is in it; narrow it, as in "{root}/hip_*"
output = "processed/{{scan}}"  # {{scan}}: path below the folder, without suffix; {{name}}: its last part

[defaults]                   # options of every step that has them
"""

_MIXED = """\
# Some of these are volumes already ({volumes}): narrow scans, and give those a file of their own with the last step.
"""

_SCAN = """\
# voxel-size = 0.01          # detector pitch [mm], where the scans do not say it
{device}
[[step]]
run = "reconstruct"          # any command that reads a stack, with its options
centre = "auto"              # finds the rotation axis of each scan
# unit = "mgHA/cm3"          # needs the energy
# energy = 25                # [keV]
# keep = "fbp.tif"           # without keep a stack only flows on into the next step

[[step]]
run = "denoise"
model = "gaussian(sigma=1)"  # or a trained model, such as "models/bone.safetensors"
keep = "volume.tif"          # name in the folder of the scan; "slices/%05d.tif" is a file for each slice

"""

_VOLUME = """\
# voxel-size = 0.01          # [mm], where the volumes do not say it

"""

_MEASURE = """\
[[step]]
run = "measure"
metrics = "bvtv + tbth + tbsp + connd"
{mask}{threshold}keep = "numbers.json"        # its numbers go into the table of all

# [scan."{example}"]         # what differs for one scan, or for a pattern of them; the last that fits wins
# centre = 512.25            # "reconstruct.centre" where several steps have such an option
# [scan."test_*"]
# skip = "only a test"

[report]
table = "numbers.tsv"        # a line for each scan, failed ones with their reason
sheet = "overview.html"      # the middle slice of each, and the numbers
# columns = "covariates.csv" # group, age, ... of each scan, joined by its name
# window = "-400:1600"       # values that are black and white in the sheet
"""


def initial(root: Path, found: Sequence[Found], looks: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of a pipeline file.

    Parameters
    ----------
    root : Path
        The folder that was searched.
    found : sequence of Found
    looks : mapping
        What ``bonectl info --json`` tells of one scan of each kind, by the kind.

    Raises
    ------
    MissingInputError
        When there is no scan.
    """
    if not found:
        raise MissingInputError(f"{root}: no scan found below it; give the folder that holds the scans")
    scans = [kind for kind, told in looks.items() if "view" in told.get("axes", ())]
    units = {str(told.get("unit")) for kind, told in looks.items() if kind not in scans}
    head = _HEAD.format(found=f"{summary(found)} below {root}", root=root)
    if scans or not looks:
        body = _SCAN.format(device='device = "auto"              # a GPU where there is one\n')
    else:
        body = _VOLUME
    if scans and len(scans) < len(looks):
        volumes = ", ".join(kind for kind in looks if kind not in scans)
        head = _MIXED.format(volumes=volumes) + head
    threshold = '# threshold = "otsu"         # what is bone; a value, or a rule\n'
    measure = _MEASURE.format(
        mask='mask = "cylinder"            # or a file of its own, as in "masks/{name}.tif"\n' if scans else "",
        threshold="" if units == {"label"} else threshold,
        example=found[0].scan,
    )
    return head + body + measure
