"""What bonectl-geometry-errors(7) says: how a scan looks that is reconstructed with a wrong geometry or unit."""

from bonectl.cli.roff import escape


def content() -> tuple[str, dict[str, str]]:
    """Summary line and sections, in roff."""
    sections = {title: "\n.PP\n".join(map(escape, paragraphs)) for title, paragraphs in _SECTIONS.items()}
    sections["EXAMPLES"] = "\n.nf\n" + "\n".join(map(escape, _EXAMPLES)) + "\n.fi"
    sections["SEE ALSO"] = ".BR bonectl\\-reconstruct (1),\n.BR bonectl\\-geometries (7),\n.BR bonectl\\-stream (5)"
    return "how a wrong rotation axis, direction, arc or unit looks", sections


_SECTIONS = {
    "DESCRIPTION": (
        "A reconstruction with a wrong geometry ends with status 0: nothing in the numbers says that the axis is two "
        "columns off. This page says what to look for. Pictures of each case are in examples/geometry of the source, "
        "with the script that makes them.",
    ),
    "WRONG CENTRE": (
        "Over 180 degrees every small bright structure grows a pair of tails and becomes a horseshoe with a dark "
        "inside. All horseshoes of a slice open to the same side; beyond the true column they open to the one side, "
        "short of it to the other. Edges along that direction are doubled, edges across it stay sharp: do not judge by "
        "those. An error of one column shows in thin trabeculae and cracks first, as a ghost beside them.",
        "Over 360 degrees the tails close: a point becomes a ring whose radius is the error. The slice looks "
        "blurred and edges look doubled, which is easily taken for motion or poor focus.",
        "--try FROM:TO:STEP shows one slice for each column and prints scores; --centre auto finds the column from "
        "the scan, says how far it may be off, and warns where rows at several heights, or views and slices, disagree "
        "by more than a column: then the detector is rolled, or the sample moved. Read columns from 0: software that "
        "counts from 1 says one more. Cropping or binning the detector "
        "moves the axis: cropping N columns at the left subtracts N, binning by 2 makes "
        "(c - 0.5) / 2 of c.",
    ),
    "WRONG DIRECTION OF ROTATION": (
        "A parallel beam over 180 degrees gives a perfect picture, mirrored: sharp, right in every number, and the "
        "wrong way round. Only knowledge of the specimen tells: a left bone looks like a right one, a screw turns the "
        "other way. Give negative angles (--angles -180) to a scanner that turns from the y axis to the x axis of "
        "the picture (bonectl counts y downwards). A stack whose slices were read from the bottom up is mirrored too.",
        "In a fan or cone beam the mirrored geometry does not fit the scan: blur and streaks grow towards the rim, "
        "and the middle stays sharp.",
    ),
    "WRONG ARC OR ANGLES": (
        "Views that are said to cover 200 degrees where they covered 180 turn every structure into arcs about the "
        "axis, longer the further out. Whether the last angle belongs to the last view makes a difference of one step: "
        "360 views from 0 to 180 degrees with both ends have a step of 180 / 359. Angles in radians are refused.",
    ),
    "WRONG UNIT": (
        "Transmissions or counts that are taken for line integrals give a negative: bone darker than air, everything "
        "within the circle of the field of view raised, and a warning that all rows are cut off by the detector: "
        "air has a line integral of 0 and a transmission of 1. Say --input-unit transmission or counts.",
        "Counts without flats, or with the flats of another exposure, leave a constant in every line integral: a "
        "warning that air does not read 0, a cup or dome over the slice, and rings.",
    ),
    "WRONG PITCH": (
        "A --voxel-size that is wrong by a factor changes no picture. Attenuation is wrong by one over that factor, "
        "lengths by the factor, and density with the attenuation. Compare with what is known: water has about 0.5 1/cm "
        "at 25 keV, compact bone about 4 1/cm. The pitch of a parallel beam is that of the detector divided by the "
        "magnification of its optics; of a fan or cone beam it is the detector's own.",
    ),
    "CUT OFF BY THE DETECTOR": (
        "An object that reaches beyond the detector (region of interest, local tomography) brightens towards the rim, "
        "and all values are off by an unknown, slowly varying amount. Structure can be measured, absolute density can "
        "not; a line on standard error says so.",
        "A detector whose axis lies off its middle sees all of a wider object when it goes all around: rays that one "
        "side misses are measured by the other, half a turn on (half acquisition). Such a scan over 360 degrees is "
        "complete, in every beam, and needs nothing but the right --centre; over 180 degrees half of the rays are "
        "missing.",
    ),
}

_EXAMPLES = (
    "bonectl reconstruct scan.npy --try auto --sheet centre.png",
    "bonectl reconstruct scan.npy --try 290:300:0.5 --slice 40 \\",
    "  --sheet centre.png -o tries.tif",
    "bonectl reconstruct scan.npy --centre auto --angles -180 -o volume.npy",
    "bonectl reconstruct plain.npy --axes projection \\",
    "  --geometry 'cone(sod=200, sdd=400, arc=360)' --voxel-size 0.05",
)
