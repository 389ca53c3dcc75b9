"""What bonectl-stream(5) says; tables come from the code that they describe."""

from bonectl.cli.roff import escape
from bonectl.core import header


def content() -> tuple[str, dict[str, str]]:
    """Summary line and sections, in roff."""
    units = "".join(f'\n.TP\n.B "{escape(unit)}"\n{escape(text)}' for unit, text in header.UNITS.items())
    axes = "; ".join(f"({', '.join(a)})" for a in header.AXES)
    types = ", ".join(header.DTYPES)
    keys = "".join(f"\n.TP\n.B {escape(key)}\n{escape(text)}" for key, text in _KEYS.items())
    sections = {
        "DESCRIPTION": _DESCRIPTION,
        "HEADER": f"The comment holds one JSON object in ASCII:{keys}",
        "AXES": escape(f"One of {axes}: a volume, a scan in sinogram order, a scan in projection order."),
        "VALUES": escape(f"Types: {types}.") + f"\n.PP\nUnits:{units}",
        "COMPLETENESS": _COMPLETENESS,
        "BARE FILES": _BARE,
        "TIFF": _TIFF,
        "INTEROPERABILITY": _INTEROPERABILITY,
        "SEE ALSO": ".BR bonectl (1),\n.BR bonectl\\-convert (1),\n.BR bonectl\\-info (1)",
    }
    return "the stream that bonectl commands read and write", sections


_KEYS = {
    "bonectl": "version of this format: 1",
    "axes": "names of the three axes",
    "spacing_mm": "step along each axis in mm; null where unknown, and for the view axis",
    "unit": "what the values are, see VALUES",
    "geometry": "of a scan: kind, angles (degrees: start, step, count; or packed), rows, columns, pitch, row_pitch "
    "(mm), centre (0-based detector column of the rotation axis), size and voxel (mm) of the grid to reconstruct; of a "
    "point source sod and sdd (mm), and where they are not the usual ones slices, row_centre (0-based row in the plane "
    "of the orbit), roll, tilt and slant of the detector (degrees)",
    "calibration": "slope (mgHA/cm³ per 1/cm), intercept (mgHA/cm³), source, and pseudo: true when the scale "
    "was guessed from grey values",
    "acquisition": "facts of the exposure: energy_kev, photons, views, white (counts of the open beam), and the like",
    "answers": "known answers of a phantom, by metric",
    "region_of_interest": "true when the first rows of the scan that the volume is made of reach beyond the detector "
    "(local tomography), so that absolute values are not to be trusted; else left out",
    "scaling": "of `bonectl convert --window`: whole numbers stand for values, value = slope × stored + intercept; "
    "dtype says in which type; our readers give the values",
    "history": "a list of command, version, time and notes (seed, device, hash of model weights), oldest first",
    "forgotten": "how many oldest history entries were dropped to keep the header short, and their hash",
}

_DESCRIPTION = """
A stream is one NPY file, format version 1.0, in C order, little-endian. After the header's dictionary stand two
spaces and a comment:
.PP
.nf
{\\(aqdescr\\(aq: \\(aq<f4\\(aq, \\(aqfortran_order\\(aq: False,
  \\(aqshape\\(aq: (64, 256, 256), }  # bonectl {...}
.fi
.PP
in one line. Python\\(aqs
.B numpy.load
reads such a file unchanged, memory\\-mapped or not. The header is padded to 64 bytes and is at most 9,000 bytes long
(numpy refuses more than 10,000): over that, the oldest history entries become a count and a hash.
.PP
Voxels follow slice by slice, so that every command works while its input still arrives, in bounded memory.
"""

_COMPLETENESS = """
The header announces the number of bytes. A reader takes exactly these and then expects the end of the file; anything
else is exit status 65. A command writes its last slab only after everything that can fail has succeeded, so a stream
of full length is a stream that succeeded, and a command that was killed can not leave a plausible file behind.
"""

_BARE = """
With
.B \\-\\-bare
the comment is left out and the JSON object goes to a file of the same name with
.B .json
appended, for readers that know no comments. Readers take the comment, else that file, else the options
.B \\-\\-voxel\\-size
and
.BR \\-\\-input\\-unit .
"""

_TIFF = """
A stack under 4 GB is written in the form that ImageJ and Fiji know (resolution tags, spacing, unit), a larger one as
BigTIFF; both carry the JSON object in ImageDescription. Integer files are read as they are, never rescaled. A
calibration function that ImageJ wrote for 8 or 16 bits is applied where it is a straight line (cf=0): values are those
that ImageJ shows. Signed 16-bit values, which it stores as unsigned with c0 = \\-32768, are so read as signed, and HU
as HU; the type is the shortest of whole numbers that holds them, else float32.
.B bonectl info
shows the line as imagej_calibration. Other functions are not applied, which is said. The
number of pages promised and the number readable must agree, else the exit status is 65.
.PP
A folder of slices is read in natural numeric order of one common prefix. A gap, a duplicate, a mixed size or type
ends with 65 and names the files. Files named flat*, dark* and *_180deg* are not slices.
"""

_INTEROPERABILITY = """
Readers in other languages that reject the comment (libnpy, xtensor, NPZ.jl, ndarray\\-npy, npyjs before 1.0) read
bare files. cnpy reads headers of up to 256 bytes only, and larger ones wrongly: give it bare files. npy\\-matlab,
npyjs 1.2 and everything based on numpy read both.
"""
