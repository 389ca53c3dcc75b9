"""The loss study: its cells, its statistics, that its controls can fail, and that it goes on where it stopped."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "loss-study"


@pytest.fixture
def parts(monkeypatch):
    """The modules of the study."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import findings
    import report
    import study

    return SimpleNamespace(findings=findings, report=report, study=study)


def rows(findings, scores, directions=("a > b", "b > a"), doses=(100.0, 1000.0)):
    """Runs in which a cell's seeds have these errors by every axis, at every dose."""
    return findings.Runs(
        findings.Row(direction, cell, seed, dose, dict.fromkeys(findings.COLUMNS, value))
        for direction in directions
        for cell, values in scores.items()
        for seed, value in enumerate(values)
        for dose in doses
    )


def test_the_grid_has_seventeen_cells_and_every_loss_can_be_trained(parts):
    from bonectl.training.objective import Objective

    cells = parts.study.losses(parts.study.SIZES["full"])
    grid = [name for name in cells if not set(name.split("+")) & {"hist", "bvtv", "euler"}]
    assert len(grid) == 17
    assert len(set(cells.values())) == len(cells) == 19
    for text in cells.values():
        Objective(text.format(threshold=0.4, critic=4), 100, balanced=True)


def test_every_finding_compares_cells_that_the_small_study_has(parts):
    cells = set(parts.study.losses(parts.study.SIZES["small"]))
    for finding in parts.findings.FINDINGS:
        assert {*finding.having, *finding.instead} <= cells, finding.text
        assert len(finding.having) == len(finding.instead)


def test_every_filter_that_is_tuned_is_there(parts):
    from bonectl.core import kit
    from bonectl.core.spec import parse

    for floor, texts in parts.study.TUNED.items():
        for text in texts:
            kit.bind("methods" if floor == "fbp" else "models", parse(text))


def test_student_over_seeds_is_that_of_scipy(parts):
    values = [0.3, 1.1, 0.7, 0.2, 0.9, 0.4]
    said = parts.findings.student(values)
    known = scipy.stats.ttest_1samp(values, 0)
    low, high = known.confidence_interval(0.95)
    assert said.p == pytest.approx(known.pvalue)
    assert (said.mean - said.half, said.mean + said.half) == (pytest.approx(low), pytest.approx(high))
    assert said.effect == pytest.approx(np.mean(values) / np.std(values, ddof=1))


def test_holm_is_the_published_procedure(parts):
    """Holm 1979: 0.01 × 4, 0.02 × 3, then 0.04 × 2 and 0.05, which may not fall below it."""
    assert parts.findings.holm([0.04, 0.01, 0.05, 0.02]) == pytest.approx([0.08, 0.04, 0.08, 0.06])


def test_power_is_that_of_the_noncentral_t(parts):
    """One standard deviation takes ten seeds or eleven; half of one 34 (G*Power, two-sided 5 %, power 0.8)."""
    assert parts.findings.seeds_needed(1.0) in (10, 11)
    assert parts.findings.seeds_needed(0.5) in (33, 34, 35)
    assert parts.findings.seeds_needed(0.0) is None


def test_a_seed_is_one_replicate_whatever_the_number_of_pairs_doses_and_directions(parts):
    f = parts.findings
    scores = {"ssim": [3, 4, 5], "vgg": [2, 2.5, 4.5], "l1+ssim": [1, 2, 3], "l1+vgg": [0.5, 1.5, 2]}
    runs = rows(f, scores)
    gains = runs.gains(runs.directions, ("vgg", "l1+vgg"), ("ssim", "l1+ssim"), "bvtv")
    assert gains == pytest.approx([0.75, 1.0, 0.75])
    assert f.student(gains).seeds == 3


def test_controls_can_fail_and_a_better_cell_passes(parts):
    f = parts.findings
    scores = {"input": [90], "oversmoothed": [30], "l1": [5, 5.2, 5.1], "l1+vgg": [4.9, 5.1, 5.2]}
    runs = rows(f, scores)
    for axis in f.AXES:
        assert f.no_worse(runs, runs.directions, "input", "l1", axis)[0] == "worse"
        assert f.no_worse(runs, runs.directions, "oversmoothed", "l1", axis)[0] == "worse"
        assert f.no_worse(runs, runs.directions, "l1+vgg", "l1", axis)[0] == "no worse"
    assert "The control `input` is worse than L1 by: BV/TV" in parts.report.verdict(runs)


def test_a_finding_must_hold_in_each_direction(parts):
    f = parts.findings
    scores = {"l1": [1, 1.1, 0.9, 1, 1.05, 0.95], "l2": [3, 3.1, 2.9, 3, 3.1, 3.0]}
    both = rows(f, scores)
    said = {one.text: word for one, word, _, _ in f.verdicts(both, both.directions)}
    assert said["L1 keeps resolution better than L2 (FSC)"] == "reproduced"
    swapped = rows(f, {"l1": scores["l1"], "l2": [0.9, 0.9, 0.8, 0.9, 0.9, 0.9]}, directions=("b > a",))
    mixed = f.Runs([*rows(f, scores, directions=("a > b",)).rows, *swapped.rows])
    said = {one.text: word for one, word, _, _ in f.verdicts(mixed, ["a > b", "b > a"])}
    assert said["L1 keeps resolution better than L2 (FSC)"] == "undecided"


def test_the_dose_bought_lies_on_the_line_over_the_logarithm(parts):
    bought = parts.findings.dose_bought
    assert bought([100, 1000, 10000], [5, 1, 0.5], limit=3) == pytest.approx(10**2.5)
    assert bought([100, 1000, 10000], [1, 5, 0.5], limit=3) == pytest.approx(10 ** (3 + 2 / 4.5))
    assert bought([100, 1000], [1, 1], limit=3) == 100
    assert bought([100, 1000], [1, 4], limit=3) is None


@pytest.fixture
def played(parts, monkeypatch, tmp_path):
    """A study whose commands are played: they write small volumes, or give numbers, and are noted."""
    lines = []

    def say(self, *stages):
        argv = [str(part) for part in stages[-1]]
        lines.append(argv)
        if argv[0] == "measure":
            volumes = argv[1 : next(place for place, part in enumerate(argv) if part.startswith("--"))]
            names = ("bvtv", "connd", "tbth", "tmd", "fsc_frequency", "bmd_distance", "mtf10", "psnr")
            one = {
                "conditions": {"threshold": 400.0, "voxel_x_mm": 0.0585},
                "rows": [{"name": name, "value": 2.0 + len(volumes), "percent": -2.0} for name in names],
            }
            return json.dumps([one] * len(volumes) if len(volumes) > 1 else one).encode(), 1.0
        made = Path(argv[argv.index("-o") + 1])
        stacks = (
            [Path(part) for part in argv[1 : argv.index("--model")]]
            if argv[0] == "denoise" and "{name}" in made.name
            else [made]
        )
        for stack in stacks:
            np.save(made.parent / f"{stack.stem}.npy", np.zeros((2, 2, 2), "f4"))
        if argv[0] == "train":
            made.write_bytes(b"")
        return b"", 7.0

    monkeypatch.setattr(parts.study.Study, "say", say)

    def study():
        made = parts.study.Study(parts.study.SIZES["smoke"], tmp_path)
        made.bones = [made.microct(Path(f"lhdl{number}_x.tif")) for number in (3155, 2923)]
        made.bones.append(made.clinical(Path("third.AIM")))
        return made

    return SimpleNamespace(study=study, lines=lines, folder=tmp_path)


def test_a_study_goes_on_where_it_stopped(parts, played):
    played.study().run()
    trained = [line for line in played.lines if line[0] == "train"]
    assert len(trained) == 2 * 4 * 3  # bones, cells, seeds: none on the third bone
    runs = parts.findings.read(played.folder / "runs.tsv")
    assert len(runs.directions) == 4
    assert {*parts.findings.FLOORS, *parts.findings.CONTROLS, parts.findings.THRICE, parts.findings.MIXTURE} < set(
        runs.cells
    )
    costs = parts.study.tables.read(played.folder / "costs.tsv")
    assert len(costs) == 24
    assert {one["cpu_s"] for one in costs} == {"7"}
    before = (played.folder / "runs.tsv").read_bytes()
    del played.lines[:]
    shutil.rmtree(played.folder / "from-lhdl3155" / "ssim")
    played.study().run()
    assert len([line for line in played.lines if line[0] == "train"]) == 3
    assert (played.folder / "runs.tsv").read_bytes() == before
    shutil.rmtree(played.folder / "from-lhdl3155")
    left = played.folder / "from-lhdl3155" / "l1" / "0-on-lhdl2923.work"
    left.mkdir(parents=True)
    (left / ".bonectl-1.part.npy").write_bytes(b"")  # of a command that was killed
    played.study().run()
    assert (played.folder / "runs.tsv").read_bytes() == before
    assert not left.exists()


def curve(parts, value, **more):
    """A measurement whose Fourier shell correlation crosses its cut there [1/mm], or nowhere."""
    names = ("bvtv", "connd", "tbth", "tmd", "bmd_distance", "mtf10")
    rows = [{"name": name, "value": 2.0, "percent": -2.0} for name in names]
    rows.append({"name": "fsc_frequency", "value": value, "percent": None})
    return {"conditions": {"voxel_x_mm": 0.0585}, "rows": rows} | more


def test_a_correlation_that_never_crosses_its_cut_is_all_or_nothing(parts, tmp_path):
    """Below from the first shell on it is 100 % off, above to the end 0: told by the volumes, never guessed."""
    truth = np.random.default_rng(0).normal(size=(16, 16, 16)).astype("f4")
    for name, volume, error in (("wrong", -truth, 100.0), ("right", truth, 0.0)):
        np.save(tmp_path / f"{name}.npy", volume)
        np.save(tmp_path / "truth.npy", truth)
        table = curve(parts, None)
        parts.study.settle(table, tmp_path / f"{name}.npy", tmp_path / "truth.npy")
        assert parts.study.numbers(table, 7.0)["fsc"] == error
    crossing = curve(parts, 0.5 * 0.5 / 0.0585)
    parts.study.settle(crossing, tmp_path / "none.npy", tmp_path / "none.npy")  # nothing is read
    assert parts.study.numbers(crossing, 7.0)["fsc"] == pytest.approx(50)


def test_a_table_that_does_not_say_on_which_side_a_correlation_stays_is_made_again(parts):
    for table, whole in (
        (curve(parts, 3.0), True),
        (curve(parts, None), False),
        (curve(parts, None, fsc_never=0), True),
    ):
        assert parts.study.is_settled(table) is whole


def test_more_noise_realisations_are_added_to_those_that_are_measured(parts, tmp_path, monkeypatch):
    """Of a table that is there only what it lacks is denoised and measured; asked for fewer, fewer are given."""
    study = parts.study.Study(parts.study.SIZES["smoke"], tmp_path)
    bone, denoised = parts.study.Bone("a", tmp_path / "a.npy", 381.0, 7.0), []

    def say(self, *stages):
        volumes = [word for word in stages[0] if ".work" in str(word)]
        found = [curve(parts, 3.0) for _ in volumes]
        for one, volume in zip(found, volumes, strict=True):
            one["rows"][0] = {"name": "bvtv", "value": 0.2, "percent": float(volume.stem.split("-")[1])}
        return json.dumps(found).encode(), 0.0

    def made(scans, work):
        denoised.append(list(scans))
        for path in scans.values():
            np.save(work / path.name, np.zeros((3, 3, 3), "f4"))

    monkeypatch.setattr(parts.study.Study, "say", say)
    for draws in (1, 3, 3, 2):
        scans = {f"test-{n}-{p}": tmp_path / f"test-{n}-{p}.npy" for n in range(1, draws + 1) for p in (300, 3000)}
        found = study.measured(bone, tmp_path / "table.json", scans, made)
        assert [one["scan"] for one in found] == list(scans)
        assert [one["bvtv"] for one in found] == [float(name.split("-")[1]) for name in scans]
    assert denoised == [
        ["test-1-300", "test-1-3000"],
        ["test-2-300", "test-2-3000", "test-3-300", "test-3-3000"],
    ]
    assert sorted(np.load(tmp_path / "table.masks.npz")) == ["test-1-300", "test-1-3000"]


@pytest.mark.slow
def test_the_smallest_study_runs_from_end_to_end(parts, tmp_path):
    line = [sys.executable, FOLDER / "study.py", "--size", "smoke", "-o", tmp_path, "--device", "cpu", "-j", "2"]
    subprocess.run(line, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)
    runs = parts.findings.read(tmp_path / "runs.tsv")
    for cell in runs.cells:
        for axis in parts.findings.COLUMNS:
            assert runs.curve(runs.directions[0], cell, 0, axis) is not None, (cell, axis)
    # What is trained for four steps leaves the raw scan's noise, and a wide Gaussian too little of the bone.
    assert runs.score(runs.directions, "input", 0, "connd") > 50
    assert runs.score(runs.directions, "oversmoothed", 0, "tmd") > 10
    assert "control `oversmoothed` is worse than L1 by" in (tmp_path / "verdict.md").read_text(encoding="utf-8")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for picture in ("slices", "resolution", "density", "training"):
        assert f'<figure id="{picture}">' in page
    parts.study.check(tmp_path)  # what is shipped says the same without the run
    shutil.copytree(tmp_path / "evidence", tmp_path / "alone" / "evidence")
    texts = ("runs.tsv", "deviations.md", "verdict.md", "summary.md", "leaderboard.tsv", "report.html", "report.pdf")
    for name in texts:
        shutil.copy(tmp_path / name, tmp_path / "alone")
    parts.study.check(tmp_path / "alone")
    assert sum(one.stat().st_size for one in (tmp_path / "evidence").iterdir()) < 1e6
