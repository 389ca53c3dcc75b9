"""All scans side by side: a table that joins, and a page that a browser shows."""

import csv
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
import tifffile
from tests.batching.conftest import write_scan

from bonectl.batching.overview import png

MEASURED = """
scans = "raw/**"
output = "out/{scan}"
[[step]]
run = "measure"
metrics = "bvtv + tbth"
threshold = 0.5
voxel-size = 0.02
keep = "numbers.json"
[scan."wide"]
voxel-size = 0.04
[scan."left_out"]
skip = "alignment scan"
[report]
table = "numbers.tsv"
sheet = "overview.html"
columns = "facts.csv"
"""


def test_a_table_and_a_page_of_all_scans(folder, run, tmp_path):
    """Two scans of different voxels, one bad, one left out."""
    there = folder("bone_2", "wide", "left_out", pipeline=MEASURED)
    (there / "raw" / "bad.npy").write_bytes(b"<script>alert(1)</script>")
    (there / "facts.csv").write_text("name;group;age\nbone_2;A;31\nwide;B & C;7\nbad;A;9\nother;A;1\n")
    done = run("batch", "p.toml")
    assert done.status == 65
    check_table(there, done)
    check_page((there / "out" / "overview.html").read_text(), tmp_path)
    # a report that changes runs nothing
    before = (there / "out" / "wide" / ".bonectl" / "record.json").stat().st_mtime_ns
    text = MEASURED.replace("numbers.tsv", "table.csv").replace('columns = "facts.csv"', 'window = "0:1"')
    (there / "p.toml").write_text(text)
    assert run("batch", "p.toml").status == 65
    assert (there / "out" / "wide" / ".bonectl" / "record.json").stat().st_mtime_ns == before
    lines = (there / "out" / "table.csv").read_text().splitlines()
    assert next(csv.DictReader(lines))["scan"] == "bad"


# Press the head of the names, and say which pictures a browser could show and in which order the rows are.
PRESSED = """<script>
document.querySelectorAll("th button")[1].click();
const names = [...document.querySelectorAll("tbody tr")].map(row => row.cells[1].textContent);
document.title = [...document.images].every(image => image.naturalWidth === 8) + " " + names;
</script>"""


def check_table(there, done):
    """A line for each scan, and the reason of a failed one."""
    lines = (there / "out" / "numbers.tsv").read_text().splitlines()
    rows = {row["scan"]: row for row in csv.DictReader(lines, delimiter="\t")}
    assert set(rows) == {"bone_2", "wide", "bad", "left_out"}
    assert rows["bad"]["state"] == "failed"
    assert rows["bad"]["status"] == "65"
    assert "raw/bad.npy" in rows["bad"]["reason"]
    assert rows["bad"]["bvtv"] == ""
    assert rows["bad"]["age"] == "9"
    assert rows["left_out"]["reason"] == "alignment scan"
    bone = np.load(there / "raw" / "bone_2.npy") > 0.5
    assert float(rows["bone_2"]["bvtv"]) == pytest.approx(bone.mean())
    assert float(rows["bone_2"]["tbth_mm"]) > 0
    assert rows["wide"]["group"] == "B & C"
    assert "voxel_z_mm is not the same in all: 0.02 (1 scan), 0.04 (1 scan)" in done.err
    assert "further facts of no scan here: other" in done.err


class Page(HTMLParser):
    """States of the rows, pictures, and words that a browser would run."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.pictures, self.scripts = [], [], 0
        self.heads, self.cells = 0, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        if tag == "tr" and "class" in told:
            self.rows.append(told["class"])
            self.cells.append(0)
        self.heads += tag == "th"
        if tag == "td":
            self.cells[-1] += 1
        if tag == "img":
            self.pictures.append(told["src"])
        self.scripts += tag == "script"
        for name in ("src", "href"):
            assert told.get(name, "data:").startswith("data:")  # nothing from elsewhere


def check_page(text, tmp_path):
    """Failures first, and nothing from elsewhere."""
    page = Page(text)
    assert page.rows == ["failed", "done", "done", "skipped"]
    assert len(page.pictures) == 2
    assert set(page.cells) == {page.heads}  # no cell stands under another's head
    assert page.scripts == 1
    assert "&lt;script&gt;" in text or "&#x27;" in text  # what the file holds is text
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        return
    (tmp_path / "pressed.html").write_text(text.replace("</body>", PRESSED + "</body>"))
    line = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/browser", "--dump-dom"]
    shown = subprocess.run(
        [*line, f"file://{tmp_path}/pressed.html"], capture_output=True, text=True, timeout=120, check=False
    )
    assert re.search("<title>true bad,bone_2,left_out,wide</title>", shown.stdout), shown.stderr[-500:]


NOTED = """
scans = "raw/**"
output = "out/{scan}"
[[step]]
run = "reconstruct"
energy = 25
keep = "v.npy"
[[step]]
run = "measure"
threshold = 0.5
metrics = "bvtv"
keep = "numbers.json"
[report]
table = "t.csv"
sheet = "s.html"
"""


def test_what_steps_note_stands_with_the_scan(tmp_path, run):
    """A scan without darks was done, without a word outside of its log, and its numbers were others."""
    raw = tmp_path / "raw" / "nodarks"
    raw.mkdir(parents=True)
    counts = np.random.default_rng(1).integers(500, 900, (12, 3, 9)).astype(np.uint16)
    for i, view in enumerate(counts):
        tifffile.imwrite(raw / f"view_{i:02d}.tif", view, resolution=(500, 500), resolutionunit=3)
    tifffile.imwrite(raw / "flat_0.tif", np.full((3, 9), 1000, np.uint16), resolution=(500, 500), resolutionunit=3)
    (raw / "angles.txt").write_text("".join(f"{15 * i}\n" for i in range(12)))
    (tmp_path / "p.toml").write_text(NOTED)
    done = run("batch", "p.toml")
    assert done.status == 0, done.out
    record = json.loads((tmp_path / "out" / "nodarks" / ".bonectl" / "record.json").read_text())
    warnings = [text for line in record["lines"] for text in line["warnings"]]
    assert "reconstruct: no darks: readings without beam are taken as 0" in warnings
    log = (tmp_path / "out" / "nodarks" / ".bonectl" / "log.txt").read_text()
    assert len(warnings) == log.count("\nbonectl ")
    row = next(csv.DictReader((tmp_path / "out" / "t.csv").read_text().splitlines()))
    assert [row["warnings"].count(text.partition(": ")[2]) for text in warnings] == [1] * len(warnings)
    assert warnings[0] in (tmp_path / "out" / "s.html").read_text()
    many = f"{len(warnings)} warning{'s' * (len(warnings) > 1)}"
    assert done.out.decode().endswith(f"\t{many}\n")
    assert "1 scan: 1 done (1 with warnings)" in done.err
    assert run("batch", "p.toml").out.decode().endswith(f"\t{many}\n")  # kept, and not forgotten
    assert run("batch", "p.toml", "--status").out.decode().endswith(f"\t{many}\n")


def test_a_table_that_cannot_be_written_takes_no_summary_along(folder, run):
    folder("a", pipeline=MEASURED.replace("numbers.tsv", "nowhere/numbers.tsv").replace('columns = "facts.csv"', ""))
    done = run("batch", "p.toml")
    assert done.status == 73
    said = [line for line in done.err.splitlines() if "fits no scan" not in line]
    assert said[0] == "bonectl batch: 1 scan: 1 done (1 with warnings)"
    assert "nowhere/numbers.tsv: there is no folder" in said[1]


def test_pictures_are_png(tmp_path):
    from matplotlib.image import imread

    grey = np.arange(35, dtype=np.uint8).reshape(5, 7) * 7
    (tmp_path / "a.png").write_bytes(png(grey))
    assert np.array_equal(np.rint(imread(tmp_path / "a.png") * 255), grey)


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [(None, 66, "facts.csv: is not there"), ("name\na\n", 65, "one column"), ("name,age\na,1,2\n", 65, "3 fields")],
)
def test_a_table_of_facts_that_is_wrong_is_told_before_the_work(folder, run, text, status, message):
    there = folder("a", pipeline=MEASURED)
    if text is not None:
        (there / "facts.csv").write_text(text)
    done = run("batch", "p.toml")
    assert done.status == status
    assert message in done.err
    assert not (there / "out" / "a").exists()


@pytest.mark.parametrize("suffix", ["npy", "tif", "ome.tif", "%03d.tif"])
def test_the_middle_slice_is_that_of_the_volume(tmp_path, run, suffix):
    from bonectl.batching.middle import middle

    write_scan(tmp_path / "a.npy", 3, (5, 300, 200))
    assert run("convert", "a.npy", "-o", f"made/x_{suffix}" if "%" in suffix else f"x.{suffix}").status == 0
    (tmp_path / ".bonectl").mkdir()
    for _ in range(2):  # read, and kept
        seen = middle(tmp_path / "made" / f"x_{suffix}" if "%" in suffix else tmp_path / f"x.{suffix}", tmp_path)
        wanted = np.load(tmp_path / "a.npy")[2].reshape(150, 2, 100, 2).mean(axis=(1, 3))
        assert seen.values == pytest.approx(wanted, rel=1e-5)
