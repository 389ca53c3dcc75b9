"""The loss study's report: whatever it says is derived, from a made-up run and from the one that is shipped."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "loss-study"
SHIPPED = FOLDER / "report"
CELLS = ("l1", "l2", "ssim", "vgg", "wgan", "l1+ssim", "l1+vgg", "l1+wgan", "l1+ssim+wgan", "l1+vgg+wgan",
         "l1+hist", "l1+euler+bvtv+hist", "mean(l1, l1+vgg, ssim)", "mean(l1, l1, l1)")  # fmt: skip
FILTERS = {"gaussian": "gaussian(sigma=0.7)", "tv3d": "tv3d(weight=0.06)", "nlm3d": "nlm3d(sigma=0.12, strength=1.0)",
           "fbp": "fbp(window=hann, cutoff=0.65)", "input": "identity",
           "oversmoothed": "gaussian(sigma=2)"}  # fmt: skip
BIAS = {"bvtv": 1.0, "connd": 3.0, "tbth": 0.8, "tmd": 1.2, "w1": 4.0, "fsc": 1.5, "mtf": 3.0}
DOSES = (100, 300, 1000, 3000, 10000)
VERDICT = "2363fe059b52ca9383a695b05249a0494e98676a25a529a7ef5c76c0a85f0286"


@pytest.fixture(scope="module")
def parts():
    """The modules of the study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield modules()


def modules():
    """Found beside `study.py`."""
    import breaks
    import cells
    import document
    import figures
    import findings
    import page
    import report
    import study
    import summary
    import tables

    return SimpleNamespace(
        breaks=breaks, cells=cells, document=document, figures=figures, findings=findings, page=page, report=report,
        study=study, summary=summary, tables=tables,
    )  # fmt: skip


def made_up(path, seeds=6, cells=CELLS, doses=DOSES, third=True):
    """Write a `runs.tsv` whose numbers are drawn: networks fall with the dose, filters are worse, raw scans fail."""
    drawn = np.random.default_rng(1)
    ways = ["lhdl3155 > lhdl2923", "lhdl2923 > lhdl3155"]
    ways += ["lhdl3155 > trab1240", "lhdl2923 > trab1240"] if third else []
    head = ["direction", "cell", "seed", "photons", "scans", *BIAS, *(f"{axis} bias" for axis in BIAS), "psnr", "knob"]
    lines = [head]
    skill = {cell: drawn.uniform(0.8, 1.5, len(BIAS)) for cell in cells}
    skill |= {cell: drawn.uniform(1.2, 4, len(BIAS)) for cell in FILTERS}
    skill["input"], skill["oversmoothed"] = np.full(7, 30.0), np.full(7, 12.0)
    for way in ways:
        for cell in (*cells, *FILTERS):
            for seed in range(1 if cell in FILTERS else seeds):
                luck = drawn.normal(1, 0.08, len(BIAS))
                for dose in doses:
                    falls = 0.35 + (dose / 300) ** (-0.15 if cell == "oversmoothed" else -0.6)
                    errors = skill[cell] * luck * falls * list(BIAS.values())
                    errors = np.minimum(errors, [100, 100, 100, 100, 140, 100, 100])
                    decibels = 24 - 10 * np.log10(skill[cell].mean() * falls)
                    scans = 3 if "trab" not in way else 1
                    numbers = [f"{value:.6g}" for value in (*errors, *-errors, decibels)]
                    lines.append([way, cell, str(seed), f"{dose:.6g}", str(scans), *numbers, FILTERS.get(cell, "")])
    path.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")


@pytest.fixture(scope="module")
def made(parts, tmp_path_factory):
    """A folder with a made-up run of two directions, and its report: drawing it is the dear part."""
    folder = tmp_path_factory.mktemp("made")
    made_up(folder / "runs.tsv", third=False, doses=(100, 1000, 10000))
    parts.study.check(folder)
    return folder


def parsed(folder):
    """The page, as XML."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    return ET.fromstring(text.removeprefix("<!DOCTYPE html>\n"))


def texts(element):
    """What stands in an element, blanks as blanks."""
    return "".join(element.itertext()).replace("\xa0", " ")


def test_the_whole_report_is_well_formed_alone_and_says_what_the_verdicts_say(parts, made):
    page = parsed(made)
    # Nothing is asked of a network: links within the page, data, and names of XML alone.
    for one in page.iter():
        assert one.tag.split("}")[-1] not in ("script", "link", "iframe", "object", "embed", "img"), one.tag
        for name, value in one.attrib.items():
            if name.split("}")[-1] in ("href", "src"):
                assert value.startswith(("#", "data:image/png;base64,")), (name, value[:60])
            assert "url(" not in value or "url(#" in value
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", (made / "report.html").read_text(encoding="utf-8"))
    figures = list(page.iter("figure"))
    assert len(figures) == 5
    for place, one in enumerate(figures, start=1):
        caption = texts(one.find("figcaption"))
        assert caption.startswith(f"Figure {place}. ")
        assert "n = 6 seeds of every network, 2 directions" in caption
        assert "3 noise realisations" in caption
        assert len(list(one.iter("{http://www.w3.org/2000/svg}text"))) > 20
        sizes = {float(size) for text in one.iter("{http://www.w3.org/2000/svg}text")
                 for size in re.findall(r"(?:font-size:|font:) ?([\d.]+)px", text.attrib["style"])}  # fmt: skip
        assert min(sizes) >= 8, sizes
    # Every cell of every table of the verdicts stands in the page, in that order.
    shown = [[texts(cell) for cell in row] for row in page.iter("tr")]
    verdict = (made / "verdict.md").read_text(encoding="utf-8")
    told = [[cell.strip().replace("**", "") for cell in line.strip("|").split("|")]
            for line in verdict.splitlines() if line.startswith("|") and set(line) - set("|-")]  # fmt: skip
    assert shown[-len(told) :] == told
    # The forest of the findings has their numbers, and the sentences too.
    drawn = texts(next(one for one in figures if one.attrib["id"] == "findings-both"))
    runs = parts.findings.read(made / "runs.tsv")
    said = texts(page)
    for finding, word, judged, p in parts.findings.verdicts(runs, parts.report.between(runs)):
        assert f"{judged.text} " in drawn
        assert f"{word}, p {p:.3g}, " in drawn
        assert finding.text in said
        assert f"{abs(judged.mean):.2f} ± {judged.half:.2f}" in said
    assert ("does not hold (" in verdict) == ("does not hold: " in said)
    assert "Left out, because the folder holds no evidence for it: slices, resolution, density, training." in said
    assert (made / "report.pdf").read_bytes().startswith(b"%PDF")
    for name in ("dose.png", "findings.png"):
        assert (made / name).read_bytes().startswith(b"\x89PNG")


def test_a_text_that_was_changed_by_hand_is_found(parts, made):
    for name, old in (
        ("verdict.md", "undecided"),
        ("summary.md", "reproduced"),
        ("leaderboard.tsv", "loss"),
        ("report.html", "undecided"),
    ):
        before = (made / name).read_text(encoding="utf-8")
        assert old in parts.page.words(before)
        place = before.rindex(old)
        (made / name).write_text(before[:place] + "better" + before[place + len(old) :], encoding="utf-8")
        with pytest.raises(SystemExit, match=rf"{re.escape(name)}: not what"):
            parts.study.check(made)
        (made / name).write_text(before, encoding="utf-8")
    parts.study.check(made)


def test_the_verdict_of_given_rows_is_what_it_was_when_the_study_was_registered(parts, tmp_path):
    """Its bytes, by the code of the commit that registered it."""
    made_up(tmp_path / "runs.tsv")
    verdict = parts.report.verdict(parts.findings.read(tmp_path / "runs.tsv"))
    assert hashlib.sha256(verdict.encode()).hexdigest() == VERDICT


def test_the_summary_says_by_what_the_controls_fail_as_the_verdict_does(parts, tmp_path):
    made_up(tmp_path / "runs.tsv")
    runs = parts.findings.read(tmp_path / "runs.tsv")
    verdict = parts.report.verdict(runs).splitlines()
    told = parts.summary.controls(runs, parts.report.between(runs))
    said = [line for line in told if line.startswith("The control")]
    assert [line for line in said if line.endswith((": .", ": "))] == []
    assert said == [line for line in verdict if line.startswith("The control `")][: len(said)]


def test_losses_that_lose_nothing_to_l1_are_told_with_what_they_gain(parts, tmp_path):
    """When L1 is far off all are, but those that are as far off by any axis."""
    made_up(tmp_path / "runs.tsv")
    head, *lines = [line.split("\t") for line in (tmp_path / "runs.tsv").read_text("utf-8").splitlines()]
    for line in lines:
        if line[1] == "l1":
            line[5:12] = [str(2 * float(value)) for value in line[5:12]]  # the errors
        if line[1] == "l1+vgg":
            line[6] = str(9 * float(line[6]))  # Conn.D
    (tmp_path / "runs.tsv").write_text("".join("\t".join(line) + "\n" for line in [head, *lines]), "utf-8")
    runs = parts.findings.read(tmp_path / "runs.tsv")
    said, *others = parts.summary.free(runs, parts.report.between(runs))
    assert "`l1+ssim` (better: BV/TV " in said
    said += "".join(others)
    assert "`l1+vgg`" not in said
    assert "`l1`" not in said
    assert "`input`" not in said


def test_what_a_mean_is_made_of_stands_in_its_name(parts):
    assert parts.cells.members("l1+vgg") == [("l1+vgg", 0)]
    assert parts.cells.members(parts.findings.MIXTURE) == [("l1", 0), ("l1+vgg", 0), ("ssim", 0)]
    assert parts.cells.members(parts.findings.THRICE) == [("l1", 0), ("l1", 1), ("l1", 2)]


def test_a_command_that_fails_ends_the_study_and_one_that_works_tells_its_cost(parts, capsys):
    said, used = parts.study.commands.shell("echo one | cat; python3 -c 'sum(range(2_000_000))'")
    assert said == b"one\n"
    assert 0 < used < 60
    with pytest.raises(subprocess.CalledProcessError):
        parts.study.commands.shell("false | cat")
    assert capsys.readouterr().err.splitlines()[-1] == "false | cat"


def test_labels_are_moved_apart_as_little_as_it_takes(parts):
    apart = parts.figures.apart
    assert apart([0.2, 0.8], 0.1) == pytest.approx([0.2, 0.8])
    assert apart([0.5, 0.5, 0.9], 0.1) == pytest.approx([0.45, 0.55, 0.9])
    assert apart([0.6, 0.58, 0.5], 0.1) == pytest.approx([0.66, 0.56, 0.46])
    assert apart([0.0, 0.0, 0.05], 0.1) == pytest.approx([0.0, 0.1, 0.2])
    assert apart([1.0, 1.0], 0.1) == pytest.approx([0.9, 1.0])


def strut(cut):
    """A rod of 5 × 5 voxels between two plates, with a gap of some voxels, and a plate that is whole."""
    bone = np.zeros((40, 40, 40), bool)
    bone[4:8], bone[32:36] = True, True
    bone[8:32, 18:23, 18:23] = True
    bone[20 : 20 + cut, 18:23, 18:23] = False
    return bone


def test_a_break_is_a_strut_in_two_pieces_and_not_a_dent(parts):
    found = list(parts.breaks.breaks(strut(0), strut(3)))
    assert [one.place for one in found] == [(21, 20, 20)]
    best = parts.breaks.clearest(found)
    assert best.second == 5 * 25  # of 13 voxels, five lie on either side of the gap
    assert best.axis in (1, 2)
    assert best.shown == 5 * 5
    dented = strut(0)
    dented[20:23, 18:23, 18:20] = False  # the strut holds on
    assert not list(parts.breaks.breaks(strut(0), dented))
    assert not list(parts.breaks.breaks(strut(0), strut(0)))
    around = strut(3)
    around[18:25, 18:23, 23] = True  # a bridge beside the strut
    assert not list(parts.breaks.breaks(strut(0), around))


def evidence(folder, cells):
    """Made-up files as they are gathered from a run."""
    write, to = __import__("tables").write, folder / "evidence"
    to.mkdir()
    drawn = np.random.default_rng(2)
    shown = ("truth", "input", "tv3d", "l1", "mean(l1, l1+vgg, ssim)")
    masks = [strut(0), strut(0) ^ (drawn.random((40, 40, 40)) < 0.1), strut(0), strut(3), strut(0)]
    slices = [np.where(mask[:, 20], 1000, 0).astype(np.int16) for mask in masks]
    np.savez_compressed(
        to / "example.npz", cells=np.array(shown), masks=np.stack([np.packbits(mask) for mask in masks]),
        slices=np.stack(slices), shape=np.array([40, 40, 40]), cut=np.array([1, 20]), side_mm=np.array(0.0585),
        threshold=np.array(381.0), photons=np.array(300.0), direction=np.array("lhdl3155 > lhdl2923"),
        knobs=np.array(["", "", "tv3d(weight=0.06)", "", ""]),
    )  # fmt: skip
    f = np.linspace(0, 8.5, 20)
    write(
        to / "fsc.tsv", [{"frequency": x, **{c: float(np.exp(-x / (5 + i))) for i, c in enumerate(cells)}} for x in f]
    )
    write(to / "density.tsv", [
        {"from": x, "to": x + 20, "truth": 0.01, **{cell: float(drawn.uniform(0.008, 0.012)) for cell in cells}}
        for x in np.arange(-400.0, 1600, 20)
    ])  # fmt: skip
    write(to / "methods.tsv", [
        {"cell": cell, "command": f"bonectl train --loss '{cell}'", "version": "0.2.0", "cpu_s_train": 40.0,
         "cpu_s_infer": 5.0, "edge_sigma_mm": 0.06} for cell in cells
    ] + [{"cell": "truth", "edge_sigma_mm": 0.05}])  # fmt: skip
    write(to / "training.tsv", [
        {"bone": "lhdl3155", "cell": cell, "seed": 0, "step": step, "loss": 1 / step, "psnr": 20 + step / 500,
         "psnr_input": 18.0} for cell in cells[:12] for step in (250, 500, 1000)
    ])  # fmt: skip
    write(to / "about.tsv", [{"what": "registered", "is": "737bf8c" * 5}, {"what": "changed since", "is": "no"}])


def test_what_a_run_keeps_is_shown_and_what_it_cost_told(parts, tmp_path):
    cells = (*CELLS, *FILTERS)
    made_up(tmp_path / "runs.tsv", seeds=3, third=False, doses=(100, 1000))
    evidence(tmp_path, cells)
    (tmp_path / "deviations.md").write_text("# Deviations\n\n- one thing was done otherwise\n", encoding="utf-8")
    document = parts.document.document(tmp_path)
    shown = {one.name: one for one in document if isinstance(one, parts.document.Picture)}
    assert {"slices", "resolution", "density", "training"} < set(shown)
    for name in ("slices", "resolution", "density", "training"):
        assert parts.page.svg(shown[name]).endswith("</svg>")
    caption = shown["slices"].caption
    assert "The slice y = 20" in caption
    assert "z 21, y 20, x 20" in caption
    assert "L1 1, mean of 3 0" in caption
    page = parts.page.html(document, drawn=False)
    assert "<li>one thing was done otherwise</li>" in page
    assert (
        "Registered in commit 737bf8c737bf; <code>findings.py</code> and <code>registered.md</code> are those" in page
    )
    lines = parts.study.leaderboard.lines(tmp_path)
    assert [one["method"] for one in lines if one["kind"] == "control"] == [one["method"] for one in lines[-2:]]
    assert len(lines) == len(cells)
    first = next(one for one in lines if one["method"] == "l1")
    assert first["command"] == "bonectl train --loss 'l1'"
    assert (first["version"], float(first["cpu_s_train"]), float(first["cpu_s_infer"])) == ("0.2.0", 40, 5)
    runs = parts.findings.read(tmp_path / "runs.tsv")
    assert first["connd"] == pytest.approx(np.mean(runs.over(runs.directions, "l1", "connd")))


def test_a_study_that_was_stopped_says_what_it_cannot_judge(parts, tmp_path):
    """One seed, no mean of three yet: everything is told and drawn, and nothing is called decided."""
    made_up(tmp_path / "runs.tsv", seeds=1, cells=CELLS[:12], third=False, doses=(100, 1000))
    said = parts.page.html(parts.document.document(tmp_path), drawn=False)
    assert "The claim of registered.md was not tried: no cell is mean(l1, l1+vgg, ssim)." in said
    assert "1 of the 3 seeds that a judgement takes" in said
    assert "1000 needed" not in re.sub(r"<table>.*?</table>", "", said, flags=re.DOTALL)
    assert "mean of the networks of three" not in said
    for picture in parts.document.document(tmp_path):
        if isinstance(picture, parts.document.Picture) and picture.name in ("findings-both", "difference-both"):
            drawn = parts.page.svg(picture)
            assert ("needs more seeds" in drawn) == (picture.name == "findings-both")
            assert "blue band" not in drawn


def test_others_add_a_line_and_no_verdict_changes(parts, tmp_path, monkeypatch):
    """Their command is run on every test scan, by the words of its line; the rows stand apart from the study's."""
    said, study = [], parts.study.Study(parts.study.SIZES["smoke"], tmp_path)
    study.bones = [parts.study.Bone(name, tmp_path / f"{name}.npy", 381.0, 7.0) for name in ("a", "b")]
    made_up(tmp_path / "runs.tsv", third=False, doses=study.size.photons)
    text = (tmp_path / "runs.tsv").read_text().replace("lhdl3155", "a").replace("lhdl2923", "b")
    (tmp_path / "runs.tsv").write_text(text)
    verdict = parts.study.derived(tmp_path)["verdict.md"]
    for bone in study.bones:
        for dose in study.size.photons:
            path = tmp_path / "scans" / bone.name / f"test-1-{dose:g}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.zeros((3, 3, 3), "f4"))

    def say(self, *stages):
        volumes = [word for word in stages[0] if ".work" in str(word)]
        said.append(volumes)
        names = ("bvtv", "connd", "tbth", "tmd", "bmd_distance", "mtf10", "psnr", "fsc_frequency")
        rows = [{"name": name, "value": 6.9, "percent": 0.1} for name in names]
        return json.dumps([{"conditions": {"voxel_x_mm": 0.0585}, "rows": rows}] * len(volumes)).encode(), 0.0

    monkeypatch.setattr(parts.study.Study, "say", say)
    study.add("copied", "cp {scan} {output} # not {trained}")
    assert len(said) == 2
    assert all(len(volumes) == len(study.size.photons) for volumes in said)
    lines = {one["method"]: one for one in parts.study.leaderboard.lines(tmp_path)}
    assert lines["copied"]["kind"] == "added"
    assert lines["copied"]["seeds"] == 1
    assert lines["copied"]["bvtv"] == pytest.approx(0.1)
    assert lines["copied"]["command"] == "cp {scan} {output} # not {trained}"
    assert min(lines, key=lambda name: lines[name]["bone"]) == "copied"
    assert parts.study.derived(tmp_path)["verdict.md"] == verdict
    for name in ("l1", "tv3d", "a/b"):
        with pytest.raises(SystemExit, match="choose another"):
            parts.study.leaderboard.check_name(name, [*study.losses, *parts.study.TUNED])


def test_a_line_is_added_with_its_command(parts):
    line = [sys.executable, FOLDER / "study.py", "--add", "mine"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--add NAME and --command LINE go together" in done.stderr


@pytest.mark.skipif(not SHIPPED.exists(), reason="the registered run has not ended: there is no report/ yet")
def test_the_shipped_report_is_what_its_rows_give():
    before = {path.name: path.stat().st_mtime_ns for path in SHIPPED.iterdir()}
    done = subprocess.run(
        [sys.executable, FOLDER / "study.py", "--check", SHIPPED], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {path.name: path.stat().st_mtime_ns for path in SHIPPED.iterdir()} == before


def test_the_second_report_is_what_its_rows_give_and_its_claim_can_hold(parts, tmp_path):
    folder = FOLDER / "report-2"
    runs = parts.findings.read(folder / "runs.tsv")
    assert (folder / "verdict.md").read_text(encoding="utf-8") == parts.report.verdict(runs)
    assert (folder / "summary.md").read_text(encoding="utf-8") == parts.summary.summary(folder)
    both = parts.report.between(runs)
    assert ["does not hold" in line for line in list(parts.summary.topology(runs, both))[:3]] == [True] * 3
    head, *lines = [line.split("\t") for line in (folder / "runs.tsv").read_text("utf-8").splitlines()]
    place = head.index("connd")
    for line in lines:
        if line[1] == "l1":
            line[place] = str(float(line[place]) + 5)
    (tmp_path / "runs.tsv").write_text("".join("\t".join(line) + "\n" for line in [head, *lines]), "utf-8")
    better = parts.findings.read(tmp_path / "runs.tsv")
    assert ["**holds**" in line for line in list(parts.summary.topology(better, both))[:3]] == [True] * 3


@pytest.mark.parametrize("name", ["report-phantoms", "report-five"])
def test_a_report_that_nobody_registered_is_what_its_rows_give_and_says_so(parts, name):
    folder = FOLDER / name
    runs = parts.findings.read(folder / "runs.tsv")
    assert (folder / "verdict.md").read_text(encoding="utf-8") == parts.report.verdict(runs)
    told = (folder / "summary.md").read_text(encoding="utf-8")
    assert told == parts.summary.summary(folder)
    assert "not registered" in told


@pytest.mark.parametrize("readme", [FOLDER / "README.md", FOLDER.parents[1] / "README.md"], ids=["study", "top"])
def test_a_readme_repeats_of_the_report_only_what_it_says(readme):
    """Between its marks stand lines of summary.md, word for word."""
    parts = re.findall(
        r"<!-- from (?:\S*/)?report(?:-\w+)?/summary.md -->\n(.*?)<!-- end -->",
        readme.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    if not SHIPPED.exists():
        assert not parts
        pytest.skip("the registered run has not ended: there is no report/ yet")
    assert parts
    told = [line for path in FOLDER.glob("report*/summary.md") for line in path.read_text("utf-8").splitlines()]
    for line in "".join(parts).splitlines():
        assert line in told, line
