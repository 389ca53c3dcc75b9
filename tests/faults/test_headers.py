"""Headers that were written to do harm: in JSON, NPY, TIFF, OME, lists of angles and checkpoints; refused, or read.

Values are changed one or two at a time in headers that are right, so that the rest of them is believed.
"""

import ast
import contextlib
import json
import re
import struct

import pytest
import tifffile
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.faults import contract, tally

from bonectl.learning.weights import sealed

ESCAPE = "\x1b]0;owned\x07\n\tunit\tlabel"
NUMBERS = ["1e999", "-1e999", "NaN", "Infinity", "1e308", "-1e-308", "9" * 5000, "-1", "0", "0.5", str(1 << 63)]
WORDS = [ESCAPE, "", "x" * 3000, "\u202e\ud800", "../../etc/passwd", "{name}", "1; rm -rf .", "1e5", "__class__"]
DEEP = 3000
OTHERS = ["null", "true", "[]", "{}", "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP, "[[1, 2], [3]]"]
TEXTS = NUMBERS + [json.dumps(word) for word in WORDS] + OTHERS
MARK = "@hostile@"


def places(value, path=()):
    """Where a JSON value can be changed: the way to each of its parts."""
    found = [path] if path else []
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += places(part, (*path, key))
    return found


def spoilt(facts, rng):
    """JSON text of `facts` with one part of it replaced, left out, added or renamed; and what was done."""
    facts = json.loads(json.dumps(facts))
    *way, last = rng.choice(places(facts))
    inside = facts
    for key in way:
        inside = inside[key]
    text, how = rng.choice(TEXTS), rng.choice(["replaced", "replaced", "replaced", "left out", "added", "renamed"])
    if how == "left out":
        del inside[last]
    elif how == "renamed" and isinstance(inside, dict):
        inside[rng.choice(WORDS)] = inside.pop(last)
    elif how == "added" and isinstance(inside, list):
        inside.insert(last, MARK)
    else:
        inside[last] = MARK
    return json.dumps(facts).replace(f'"{MARK}"', text), f"{[*way, last]} {how} {text[:40]!r}"


def npy_parts(raw):
    """The dict of an NPY header, its JSON, and the values."""
    length = struct.unpack("<H", raw[8:10])[0]
    text = raw[10 : 10 + length].decode()
    own, _, comment = text.partition("# bonectl ")
    return ast.literal_eval(own.strip()), json.loads(comment) if comment else None, raw[10 + length :]


def npy(own, comment, values, version=1):
    text = f"{own}  # bonectl {comment}\n" if comment else f"{own}\n"
    count = struct.pack("<H" if version == 1 else "<I", min(len(text.encode("utf-8", "replace")), 65535))
    return b"\x93NUMPY" + bytes([version, 0]) + count + text.encode("utf-8", "replace") + values


def json_of_npy(folder, name, rng):
    own, facts, values = npy_parts((folder / name).read_bytes())
    text, what = spoilt(facts, rng)
    (folder / name).write_bytes(npy(own, text, values))
    return what


def dict_of_npy(folder, name, rng):
    own, facts, values = npy_parts((folder / name).read_bytes())
    key = rng.choice(list(own))
    value = rng.choice(
        [*TEXTS, "__import__('os').system('touch left')", "(1,)*99", "'|O'", "'<c16'", "'>f2'", "lambda: 0"]
    )
    shape = f"({', '.join(rng.choice([*NUMBERS, '8', '32', '4294967296']) for _ in range(rng.randrange(5)))},)"
    value = rng.choice([value, shape]) if key == "shape" else value
    text = repr(own).replace(f"'{key}': {own[key]!r}", f"'{key}': {value}")
    (folder / name).write_bytes(npy(text, json.dumps(facts) if facts else None, values, rng.choice([1, 1, 1, 2, 3, 9])))
    return f"{key}: {value[:60]}"


def sidecar(folder, name, rng):
    text, what = spoilt(json.loads((folder / name).read_text()), rng)
    (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    return what


def tags_of_tiff(folder, name, rng):
    """Set the kind, count or value of one tag of one page to an evil number."""
    raw = bytearray((folder / name).read_bytes())
    with tifffile.TiffFile(folder / name) as tif:
        tag = rng.choice(list(tif.pages[rng.randrange(len(tif.pages))].tags))
        entry, big = tag.offset, tif.is_bigtiff
    field, width = rng.choice([(0, "H"), (2, "H"), (4, "Q" if big else "I"), (12 if big else 8, "Q" if big else "I")])
    number = rng.choice([0, 1, 2, 7, 255, 1 << 15, (1 << 16) - 1, 1 << 31, (1 << 32) - 1, 1 << 62, (1 << 64) - 1])
    number &= (1 << 8 * struct.calcsize(width)) - 1
    struct.pack_into(f"<{width}", raw, entry + field, number)
    (folder / name).write_bytes(raw)
    return f"tag {tag.code}, byte {field}: {number}"


def words_of_tiff(folder, name, rng):
    """Put something evil for one number or word of the descriptions, in their own length."""
    raw = (folder / name).read_bytes()
    found = rng.choice(list(re.finditer(rb'[-+.0-9e]{1,}|"[a-z_]+"', raw[:4000])))
    text = rng.choice(TEXTS).encode("utf-8", "replace")[: len(found[0])].ljust(len(found[0]))
    (folder / name).write_bytes(raw[: found.start()] + text + raw[found.end() :])
    return f"{found[0]!r} is {text!r}"


def angles(folder, name, rng):
    lines = (folder / name).read_text().splitlines()
    lines[rng.randrange(len(lines))] = rng.choice([*NUMBERS, *WORDS, "7,5", "1 2 3", "# x", "0x10", "1_000", "٣"])
    text = rng.choice(["\n", "\r\n", " ", ",", "\0"]).join(lines)
    (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    return repr(text[:60])


def checkpoint(folder, name, rng):
    """Change the facts of a checkpoint and seal them again, as a stranger may."""
    with safe_open(folder / name, framework="pt") as file:
        facts = json.loads(file.metadata()["bonectl"])
    facts.pop("seal")
    text, what = spoilt(facts, rng)
    with contextlib.suppress(ValueError, TypeError, RecursionError):  # is no JSON that could be sealed
        text = sealed(json.loads(text))
    save_file(load_file(folder / name), folder / name, metadata={"bonectl": text})
    return what


SCAN = "reconstruct scan.npy --flats flats.npy --darks darks.npy -o out.npy"
PLAIN = (
    "reconstruct plain.npy --axes sinogram --input-unit counts --voxel-size 0.03 --flats flats.npy --darks darks.npy"
)
KINDS = {
    "JSON of bone.npy": (json_of_npy, "bone.npy", ["convert bone.npy -o out.tif", "info bone.npy", "measure bone.npy"]),
    "JSON of scan.npy": (json_of_npy, "scan.npy", [SCAN, "convert scan.npy --order projection -o out.npy"]),
    "JSON of flats.npy": (json_of_npy, "flats.npy", [SCAN]),
    "JSON of fbp.npy": (json_of_npy, "fbp.npy", ["denoise fbp.npy -m net.safetensors --threads 1 -o out.npy"]),
    "JSON of a volume to scan": (
        json_of_npy,
        "bone.npy",
        ["simulate bone.npy --views 9 --energy 25 --oversample 1 -o out.npy"],
    ),
    "NPY header": (dict_of_npy, "bone.npy", ["convert bone.npy -o out.npy", "measure bone.npy -m bvtv"]),
    "NPY header of a mask": (dict_of_npy, "mask.npy", ["measure bone.npy -m bvtv --mask mask.npy"]),
    "NPY header of angles": (dict_of_npy, "angles.npy", [f"{PLAIN} --angles angles.npy"]),
    "sidecar": (sidecar, "bare.npy.json", ["convert bare.npy -o out.npy", "info bare.npy --stats"]),
    "TIFF tags": (tags_of_tiff, "bone.tif", ["convert bone.tif -o out.npy", "info bone.tif --stats"]),
    "TIFF tags, deflate": (tags_of_tiff, "deflated.tif", ["convert deflated.tif -o out.npy"]),
    "BigTIFF tags": (tags_of_tiff, "big.tif", ["convert big.tif -o out.npy"]),
    "TIFF tags of a slice": (tags_of_tiff, "slices/b_003.tif", ["convert slices -o out.npy"]),
    "TIFF words": (words_of_tiff, "bone.tif", ["convert bone.tif -o out.npy", "info bone.tif"]),
    "OME words": (words_of_tiff, "bone.ome.tif", ["convert bone.ome.tif -o out.npy", "info bone.ome.tif"]),
    "list of angles": (angles, "angles.txt", [f"{PLAIN} --angles angles.txt"]),
    "JSON of a checkpoint": (
        checkpoint,
        "net.safetensors",
        [
            "denoise fbp.npy -m net.safetensors --threads 1 -o out.npy",
            "info net.safetensors",
            "info net.safetensors --json",
        ],
    ),
}


def test_headers_that_are_put_together_again_are_read(copied, attempt):
    own, facts, values = npy_parts((copied / "bone.npy").read_bytes())
    for version in (1, 2, 3):
        (copied / "bone.npy").write_bytes(npy(repr(own), json.dumps(facts), values, version))
        assert attempt("info bone.npy --stats") == contract.Ended(0, "")


@pytest.mark.parametrize("kind", KINDS)
def test_hostile(copied, faults, attempt, kind):
    spoil, name, lines = KINDS[kind]
    whole = (copied / name).read_bytes()
    for rng in faults.of(f"hostile: {kind}", tally.CHEAP * tally.DRAWS):
        what, line = spoil(copied, name, rng), rng.choice(lines)
        made = re.findall(r"-o (\S+)", line)
        before = contract.look(copied)
        ended = attempt(line)
        found = contract.wrong(ended, copied, before, made=made, allowed={0, 2, 65, 66, 69, 75})
        faults.tell(f"{line}: {what}", ended.status, found, ended.said)
        (copied / name).write_bytes(whole)
        for output in made:
            (copied / output).unlink(missing_ok=True)
