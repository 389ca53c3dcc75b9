"""The loss study: its cells, its rule of judgement, and the smallest size of it from end to end."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import scipy.stats

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "loss-study"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import study

    return study


@pytest.fixture
def findings(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import findings

    return findings


@pytest.fixture
def figures(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import figures

    return figures


def test_the_picture_of_a_trade_shows_every_cell_also_where_no_mtf_can_be_told(findings, figures):
    """The committed runs: on real bone edges have an MTF, on phantoms they are narrower than a voxel."""
    with (FOLDER / "report" / "runs.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for setting, sharpness in (("real (pseudo-calibrated) 180x5000", "mtf10"), ("phantom 180x5000", "edge_sigma")):
        runs = [
            findings.Run(setting, row.pop("cell"), int(row.pop("seed")), {k: float(v) for k, v in row.items() if v})
            for row in rows
            if row.get("setting") == setting and row.pop("setting")
        ]
        assert figures.sharpest(runs)[0] == sharpness
        across = figures.span(runs, sharpness)
        shown = {run.cell for run in runs if run.terms & figures.SPANNING}
        assert shown
        for cell in shown:
            assert figures.within(figures.over_seeds(runs, cell, sharpness)[0], across)


def test_the_grid_has_seventeen_cells_and_every_loss_can_be_trained(study):
    from bonectl.training.objective import Objective

    cells = study.losses(study.SIZES["full"], "randvgg")
    grid = [name for name in cells if not set(name.split("+")) & {"hist", "bvtv", "euler"}]
    assert len(grid) == 17
    assert len(set(cells.values())) == len(cells) == 23
    for text in (*cells.values(), *study.losses(study.SIZES["full"], "vgg").values()):
        Objective(text.format(threshold=0.4), 100, balanced=True)


def test_every_finding_has_its_cells(study, findings):
    cells = [frozenset(name.split("+")) for name in study.losses(study.SIZES["full"], "vgg")]
    for finding in findings.FINDINGS:
        assert any(finding.having <= cell and cell - finding.having | finding.instead in cells for cell in cells), (
            finding.text
        )


def runs(findings, ours, theirs, number="fsc"):
    return [
        findings.Run("s", cell, seed, {number: value})
        for cell, values in (("l1+ssim", ours), ("l2+ssim", theirs))
        for seed, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ((0.5, 0.51, 0.52), (0.4, 0.42, 0.41), "reproduced"),
        ((0.4, 0.42, 0.41), (0.5, 0.51, 0.52), "not reproduced"),
        ((0.4, 0.6, 0.5), (0.5, 0.45, 0.52), "undecided"),
        ((0.5, 0.51), (0.4, 0.41), "undecided"),  # two pairs
    ],
)
def test_a_finding_is_judged_by_the_interval_of_its_pairs(findings, ours, theirs, verdict):
    finding = findings.Finding("", "fsc", frozenset({"l1"}), frozenset({"l2"}), error=False)
    said = findings.judge(finding, runs(findings, ours, theirs))
    assert (said.verdict, said.pairs) == (verdict, len(ours))


def test_of_errors_the_size_counts(findings):
    finding = findings.Finding("", "chi bias", frozenset({"l1"}), frozenset({"l2"}))
    said = findings.judge(finding, runs(findings, (-1, 2, 1), (-30, 31, 29), "chi bias"))
    assert said.verdict == "reproduced"


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [((9.9, 10.0, 10.1), "no worse"), ((8.9, 9.0, 9.1), "worse"), ((8.0, 10.0, 12.0), "undecided")],
)
def test_no_worse_means_within_a_margin(findings, ours, verdict):
    criterion = findings.Criterion("", "fsc", 0.5, "l2+ssim", error=False)
    assert findings.stands(criterion, "l1+ssim", runs(findings, ours, (10.0, 10.0, 10.0))).verdict == verdict


def test_the_rival_is_the_best_cell_that_has_what_the_paper_traded_for(findings):
    errors = {"l1": 0.1, "l1+wgan": -3.0, "l1+perceptual": 2.0, "l1+euler": 2.5}
    there = [findings.Run("s", cell, seed, {"chi bias [%]": v}) for cell, v in errors.items() for seed in range(3)]
    said = findings.stands(findings.Criterion("", "chi bias [%]", 1.0), "l1+euler", there)
    assert (said.verdict, said.interval) == ("no worse", "-0.5 ± 0 against l1+perceptual")


def test_only_what_differs_in_nothing_else_is_paired(findings):
    finding = findings.Finding("", "fsc", frozenset({"l1"}), frozenset({"l2"}), error=False)
    there = [findings.Run("s", cell, 0, {"fsc": 1.0}) for cell in ("l1+ssim", "l2", "l2+wgan", "l1")]
    assert findings.judge(finding, there).pairs == 1
    assert findings.judge(finding, [findings.Run("a", "l1", 0, {}), findings.Run("b", "l2", 0, {})]).pairs == 0


def test_the_interval_is_students(findings):
    values = [1.0, 2.0, 4.0, 3.5]
    mean, half = findings.summary(values)
    low, high = scipy.stats.t.interval(0.95, 3, mean, scipy.stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert findings.summary([3.0]) == (3.0, None)
    assert findings.summary([]) == (None, None)


def test_numbers_of_a_measurement(study):
    def row(name, value, reference=None):
        difference = None if reference is None else value - reference
        percent = 100 * difference / abs(reference) if reference else None
        return {"name": name, "value": value, "reference": reference, "difference": difference, "percent": percent}

    rows = [row("bvtv", 0.22, 0.2), row("chi", -12, -10), row("conn", 30, 40), row("psnr", 31.0), row("mtf10", 20.0)]
    found = study.numbers({"rows": rows}, 0.02)
    # A percent of few loops says nothing; an MTF is kept up to Nyquist's frequency.
    assert found == pytest.approx(
        {"bvtv bias [%]": 10, "chi bias": -2, "conn bias": -10, "conn bias [%]": -25, "psnr": 31, "mtf10": 20}
    )
    assert "mtf10" not in study.numbers({"rows": rows}, 0.03)


@pytest.mark.parametrize(
    ("cell", "number", "value", "steps", "said"),
    [
        ("tv", "psnr", 22.0, 12, []),
        ("tv", "psnr", 15.0, 12, ["bone, tv: 15.0 dB, of 15.0 dB before"]),  # as if it were the input
        ("nlm", "bmd bias [%]", -6.0, 12, ["bone, nlm: mean density is -6.0 % off"]),
        ("l1", "psnr", 14.0, 12, []),  # nothing is learnt in twelve steps
        ("l1", "psnr", 14.0, 600, ["bone, l1: 14.0 dB, of 15.0 dB before"]),
        ("wgan", "psnr", 14.0, 600, []),  # alone it does not aim at values
    ],
)
def test_a_study_that_cannot_be_right_says_so(study, findings, cell, number, value, steps, said):
    right = {"psnr": 20.0, "bmd bias [%]": -0.5}
    cells = dict.fromkeys(("gaussian", "tv", "nlm", "l1", "wgan"), right) | {"input": right | {"psnr": 15.0}}
    cells[cell] = cells[cell] | {number: value}
    runs = [findings.Run("bone", name, 0, numbers) for name, numbers in cells.items()]
    assert study.wrong(runs, steps) == said


@pytest.mark.slow
def test_the_smallest_study_runs_and_goes_on_where_it_stopped(tmp_path):
    output = tmp_path / "out"
    line = [sys.executable, FOLDER / "study.py", "--size", "smoke", "-o", output, "--device", "cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    first = subprocess.run(line, capture_output=True, text=True, env=environment, check=True)
    assert first.stderr.count("bonectl train") == 8
    with (output / "table.tsv").open() as file:
        rows = {row["cell"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert set(rows) == {"input", "gaussian", "tv", "nlm", "l1", "l2", "l1+perceptual+wgan", "l1+euler+bvtv+hist"}
    for name in ("bvtv bias [%]", "chi bias", "tbth bias [%]", "bmd bias [%]", "bmd_distance", "edge_sigma", "psnr"):
        assert all(row[name] for row in rows.values()), name
    assert rows["gaussian"]["mtf10"]  # others may have edges narrower than a voxel
    assert rows["l1"]["seeds"] == "2"
    assert "| L1 keeps resolution better than L2 (FSC) | **undecided** |" in (output / "verdict.md").read_text()
    before = (output / "table.tsv").read_bytes()
    (output / "phantom-120x10000" / "l2" / "1.json").unlink()  # as if it had been interrupted before measuring
    again = subprocess.run(line, capture_output=True, text=True, env=environment, check=True)
    assert again.stderr.count("| bonectl measure") == 1
    assert again.stderr.count("--resume") == again.stderr.count("bonectl train") == 1
    assert (output / "table.tsv").read_bytes() == before
