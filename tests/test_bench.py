"""The benchmarks run; what they say is in bench/RESULTS.md."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"


def test_the_benchmark_of_bone_numbers_runs():
    done = subprocess.run(
        [sys.executable, BENCH / "measure.py", "64"], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for task in ("Euler number", "bone surface", "mean curvature", "squared EDT", "local thickness", "anisotropy"):
        assert f"| {task}" in done.stdout


@pytest.mark.parametrize(("steps", "status"), [(60, 0), (1, 1)])
def test_the_benchmark_of_intervals_judges_the_answers_they_are_around(steps, status):
    """Networks of one step are garbage, and say so."""
    line = [sys.executable, BENCH / "samples.py", "--steps", str(steps), "--bones", "1"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == status, done.stderr
    assert "| 4 networks | bvtv |" in done.stdout
    assert ("wrong results" in done.stderr) == bool(status)
    assert "Traceback" not in done.stderr


def test_the_benchmark_of_preparations_judges_what_they_give_back():
    done = subprocess.run(
        [sys.executable, BENCH / "preparations.py", "192"], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for part in ("stripes(method=vo)", "zingers", "badpixels + flats(mode=linear)", "normalise", "shift", "halfturn"):
        assert f"| `{part}" in done.stdout


def test_a_control_that_passes_is_noted():
    sys.path.insert(0, str(BENCH))
    from truth import Judge

    judge = Judge()
    judge.refuse("noise", 1.0, 0.7)
    assert judge.wrong == []
    judge.refuse("noise", 0.5, 0.7)
    assert judge.wrong == ["noise, the control, passes: error 0.5, at most 0.7 is right"]


@pytest.fixture
def results(monkeypatch, tmp_path):
    """The module, with a page and scripts of its own."""
    sys.path.insert(0, str(BENCH))
    import results

    (tmp_path / "good.py").write_text("print('| a | 1 |')")
    (tmp_path / "bad.py").write_text("import sys; sys.exit('wrong results')")
    (tmp_path / "RESULTS.md").write_text("# Words\n")
    monkeypatch.setattr(results, "HERE", tmp_path)
    monkeypatch.setattr(results, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(results, "RUNS", (("good.py",), ("bad.py",)))
    monkeypatch.setattr(results.os, "getloadavg", lambda: (0.1, 0.1, 0.1))
    return results


def test_one_command_writes_what_all_benchmarks_print_and_keeps_the_words(results, tmp_path):
    assert results.main([]) == 1  # one of them was wrong
    assert results.main(["--only", "good"]) == 0
    page = (tmp_path / "RESULTS.md").read_text()
    assert page.startswith("# Words\n")
    assert page.count("### `bench/good.py`") == page.count("| a | 1 |") == 1
    assert page.count("### `bench/bad.py`") == 1  # what another run printed stays
    assert page.index("good.py") < page.index("bad.py")
    assert page.count("UTC, load 0.10 before the first script.") == 2
    assert "| tomocupy | conda and CUDA alone" in page


def test_a_busy_machine_and_a_benchmark_that_is_none_are_refused(results, monkeypatch, tmp_path):
    monkeypatch.setattr(results.os, "getloadavg", lambda: (2.0, 2.0, 2.0))
    assert results.main([]) == 75
    assert results.main(["--only", "none"]) == 2
    assert (tmp_path / "RESULTS.md").read_text() == "# Words\n"


def test_all_benchmarks_are_run(monkeypatch):
    sys.path.insert(0, str(BENCH))
    import results

    scripts = {path.name for path in BENCH.glob("*.py")}
    assert scripts - {run[0] for run in results.RUNS} == {"results.py", "rtk.py", "truth.py"}
