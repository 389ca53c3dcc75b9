"""Files of angles: what is read, and what is refused in our own words."""

import io

import numpy as np
import pytest

from bonectl.core.angles import listed
from bonectl.errors import DataError, MissingInputError

DEGREES = np.array([0.0, 20.0, 45.5, 60.0])


def saved(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def test_numbers_in_lines_or_arrays_of_any_name(tmp_path):
    path = tmp_path / "angles.dat"
    texts = [
        b"0\n20\n45.5\n60",
        b"\xef\xbb\xbf0\r\n20\r\n45.5\r\n60\r\n",
        b"# degrees\n0 # first\n20\n\n45.5\n60\n",
        b"0 20 45.5 60",
    ]
    for raw in [*texts, saved(DEGREES), saved(DEGREES.astype(">f4"))]:
        path.write_bytes(raw)
        assert listed(path).degrees.tolist() == DEGREES.tolist()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n# nothing\n",
        b"angle\n0\n20\n",
        b"view,angle\n0,0\n1,20\n",
        b"0\n1e999\n",
        b"0\n" + b"9" * 5000,
        b"0 1\n2 3\n",
        b"PK\x03\x04" + bytes(60),
        bytes(range(256)),
        "0\n20\n".encode("utf-16"),
        saved(DEGREES)[:40],
        saved(DEGREES)[:-3],
        saved(DEGREES).replace(b"(4,)", b"(" + b"9" * 30 + b",)"),
        saved(DEGREES).replace(b"(4,)", b"((4,"),
        saved(DEGREES).replace(b"descr", b"decsr"),
        saved(DEGREES)[:6] + b"\xff\xff" + saved(DEGREES)[8:],
        saved(np.array(["0", "20"])),
        saved(np.array([None, 1], dtype=object), allow_pickle=True),
        saved(DEGREES.reshape(2, 2)),
        saved(np.array([], dtype="f8")),
        saved(np.array([0, np.nan])),
        saved(np.array([0, 1e300])),
    ],
)
def test_what_is_no_list_is_one_line_without_numpys_words(tmp_path, raw):
    path = tmp_path / "angles.npy"
    path.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        listed(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < len(str(path)) + 150
    assert "could not convert" not in str(caught.value)
    assert "pickle" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MissingInputError, match="an arc in degrees, or a file"):
        listed(tmp_path / "none.txt")


def test_radians(tmp_path):
    np.savetxt(tmp_path / "a.txt", np.linspace(0, np.pi, 20))
    with pytest.raises(DataError, match="look like radians"):
        listed(tmp_path / "a.txt")
