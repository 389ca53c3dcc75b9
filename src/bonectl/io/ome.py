"""OME-TIFF: a TIFF file whose description is OME-XML, under the name that says so, ``x.ome.tif``.

Voxel size along all axes in mm in the XML (Bio-Formats, napari, QuPath, Fiji by way of Bio-Formats), and along x and
y in the resolution tags in pixels per cm, from which ITK and 3D Slicer take it (along z they know none of TIFF). Our
own header is a comment annotation of the namespace ``bonectl``. All else is as in `bonectl.io.tiff`, which reads it
too.

Source: the OME model of 2016-06 (openmicroscopy.org).
"""

from typing import BinaryIO
from xml.sax.saxutils import escape

import numpy as np

from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.io import tiff

TITLE = "OME-TIFF"
SUFFIXES = (".ome.tif", ".ome.tiff")
BEGINS = ()  # those of any TIFF, as which it is read

_TYPES = {"float32": "float", "float64": "double", "bool": "uint8"}
_WHOLE = ("int8", "int16", "int32", "uint8", "uint16", "uint32")


def write(stack: Stack, file: BinaryIO) -> None:
    """Write a stack front to back, as `bonectl.io.tiff.write` does.

    Raises
    ------
    UsageError
        When OME has no such type: whole numbers of 64 bits.
    OSError
        As `file` raises it.
    """
    _type(stack.header)
    tiff.write(stack, file, description)


def description(header: Header, text: str) -> str:
    """OME-XML in ASCII; `text` is our header's JSON."""
    slices, rows, columns = header.shape
    sides = "".join(
        f' PhysicalSize{axis}="{side!r}" PhysicalSize{axis}Unit="mm"'
        for axis, side in zip("ZYX", header.spacing, strict=True)
        if side is not None
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06 '
        'http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
        f'Type="{_type(header)}" SizeX="{columns}" SizeY="{rows}" SizeZ="{slices}" SizeC="1" SizeT="1" '
        f'BigEndian="false"{sides}><Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        f'<TiffData IFD="0" PlaneCount="{slices}"/></Pixels>'
        '<AnnotationRef ID="Annotation:0"/></Image><StructuredAnnotations>'
        f'<CommentAnnotation ID="Annotation:0" Namespace="bonectl"><Value>{escape(text)}</Value></CommentAnnotation>'
        "</StructuredAnnotations></OME>"
    )


def _type(header: Header) -> str:
    name = np.dtype(header.dtype).name
    if name not in _TYPES and name not in _WHOLE:
        raise UsageError(f"OME-TIFF holds no {name}; give --dtype, or a name without .ome")
    return _TYPES.get(name, name)
