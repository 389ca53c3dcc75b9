"""What files are called that bonectl reads by no format, told by their first bytes."""

# Bytes at the beginning, what such files are, and what helps.
KNOWN = (
    (b"\x89HDF\r\n\x1a\n", "HDF5", "a file is read by its name, not from a pipe"),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an OLE2 container, as of Zeiss (.txrm)",
        "a file is read by its name, not from a pipe",
    ),
    (b"\x89PNG", "a PNG picture", "slices are wanted as TIFF"),
    (b"\xff\xd8\xff", "a JPEG picture", "its compression changed the values; slices are wanted as TIFF"),
    (b"BM", "a BMP picture", "slices are wanted as TIFF"),
    (b"GIF8", "a GIF picture", "slices are wanted as TIFF"),
    (b"PK\x03\x04", "a ZIP archive", "unpack it first"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it first: gunzip"),
    (b"BZh", "compressed by bzip2", "unpack it first: bunzip2"),
    (b"\xfd7zXZ\x00", "compressed by xz", "unpack it first: unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it first: unzstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"%PDF", "a PDF document", ""),
    (b"MATLAB 5.0", "a MATLAB file", "save the array as NPY or TIFF"),
    (b"SIMPLE  =", "a FITS file", "convert it to TIFF"),
    (b"\x7fELF", "a program", ""),
    (b"#!", "a script", ""),
    (b"<?xml", "an XML document", ""),
    (b"<html", "a web page", "was a download refused?"),
    (b"<!DOCTYPE", "a web page", "was a download refused?"),
    (b"version https://git-lfs", "a pointer of Git LFS, and not the file", "fetch it: git lfs pull"),
)


def called(head: bytes) -> str:
    """What a file is by its first bytes, with what helps; '' where they are not known."""
    for begin, what, help_ in KNOWN:
        if head.startswith(begin):
            return f"is {what}" + (f"; {help_}" if help_ else "")
    return ""
