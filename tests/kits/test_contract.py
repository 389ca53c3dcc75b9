"""Every part of every kit, found by listing the folders, keeps the kits' convention."""

import inspect

import pytest

from bonectl.core import kit
from bonectl.core.spec import Spec, parse

ALL = [(name, part) for name in kit.NAMES for part in kit.names(name)]
PARTS = [(name, part) for name, part in ALL if name not in kit.FILES]


def parameters(loaded):
    """Those of a function, or of a class's constructor and of those of its bases that ``**knobs`` are handed on to."""
    found = []
    makers = (
        [made for made in inspect.getmro(loaded) if "__init__" in vars(made)] if isinstance(loaded, type) else [loaded]
    )
    for made in makers:
        own = list(inspect.signature(made).parameters.values())
        found += [p for p in own if p.kind is not p.VAR_KEYWORD]
        if len(found) == len(own):
            break
    return found


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_a_part_is_its_files_name_with_documented_defaults(name, part):
    loaded = kit.load(name, part)
    described = kit.describe(name, part)
    assert loaded.__module__ == f"bonectl.{name}.{part}"
    assert described.summary
    knobs = [p for p in parameters(loaded) if p.kind is p.KEYWORD_ONLY]
    assert all(p.default is not p.empty for p in knobs)
    assert {p.name: p.default for p in knobs} == dict(described.knobs)


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_a_part_prints_as_the_call_that_makes_it(name, part):
    described = kit.describe(name, part)
    assert parse(described.call) == Spec(part, described.knobs)


@pytest.mark.parametrize(("name", "part"), [(name, part) for name, part in ALL if name in kit.FACTS])
def test_a_part_states_what_the_register_must_know(name, part):
    for which in kit.FACTS[name]:
        kit.fact(name, part, which)


def test_an_incomplete_part_is_told_what_is_missing(tmp_path, monkeypatch):
    (tmp_path / "thin.py").write_text('USUAL = ""\n\n\ndef thin(specimen):\n    """Thin."""\n')
    monkeypatch.setattr(kit, "_folder", lambda name: tmp_path)
    kit.describe.cache_clear()
    try:
        assert kit.fact("metrics", "thin", "USUAL") == ""
        with pytest.raises(AssertionError, match=r"metrics/thin\.py states no BYTES: what it works in at its peak"):
            kit.fact("metrics", "thin", "BYTES")
    finally:
        kit.describe.cache_clear()


def test_facts_of_metrics_are_of_their_kinds():
    there = {name: kit.describe("metrics", name) for name in kit.names("metrics")}
    assert {part.facts["USUAL"] for part in there.values()} == {"structure", "density", "against", ""}
    usual = [part.facts["PLACE"] for part in there.values() if part.facts["USUAL"]]
    assert len(set(usual)) == len(usual)
    for name, part in there.items():
        assert part.facts["BYTES"] > 0, name
        assert set(part.facts["KEEPS"]) <= {"purified", "thickness"}, name
        assert ("MAP" in part.facts) == ("thickness_map" in part.functions), name
        given = list(part.functions.get("resampled", part.knobs))
        assert given == list(part.knobs), f"{name}: resampled has other knobs"
        assert (part.facts["USUAL"] == "against") <= ("reference" in part.flows), name


def test_facts_of_methods_are_of_their_kinds():
    for name in kit.names("methods"):
        facts = kit.describe("methods", name).facts
        assert set(facts["USUAL"]) <= set(facts["BEAMS"]) <= {"parallel", "fan", "cone"}, name
        assert all(work in ("", "project", "back", "collect") for _, _, work in facts["MOMENTS"]), name
    usual = [beam for name in kit.names("methods") for beam in kit.fact("methods", name, "USUAL")]
    assert sorted(usual) == ["cone", "fan", "parallel"]


def test_a_model_learns_what_it_says():
    for name in kit.names("models"):
        learns = kit.load("models", name)().learns
        assert learns == (kit.fact("models", name, "LEARNS") != "nothing"), name


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_flows_are_those_of_the_loaded_part(name, part):
    loaded = kit.load(name, part)
    if isinstance(loaded, type):
        taken = [p for p in inspect.signature(loaded.__call__).parameters.values() if p.name != "self"]
    else:
        taken = parameters(loaded)
    flows = [p.name for p in taken if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    assert list(kit.describe(name, part).flows) == flows


def test_knobs_of_the_base_are_those_of_the_part(tmp_path, monkeypatch):
    """Five adversaries, three bone losses and three regions repeated signature and text of what they share."""
    wgan, gan = (kit.describe("losses", name) for name in ("wgan", "gan"))
    assert list(wgan.knobs) == ["penalty", *gan.knobs] == ["penalty", "conditional", "steps", "rate", "width", "layers"]
    assert wgan.kinds["penalty"] == 10.0
    head, _, entries = wgan.doc.partition("Parameters\n----------\n")
    assert head.startswith("Difference of the scores")
    assert entries.startswith("penalty : float\n    Weight of the gradient penalty.\nconditional : bool\n")
    assert entries.index("layers : int") < entries.index("Raises\n------")
    assert kit.describe("losses", "euler").flows == ("sample",)
    assert kit.describe("regions", "total").flows == ("bone", "spacing")
    (tmp_path / "wee.py").write_text(
        "from bonectl.regions._compartment import Compartment\n\n\n"
        'class Wee(Compartment):\n    """Wee.\n\n    Notes\n    -----\n    None.\n    """\n\n'
        "    def __init__(self, *, gap: float = 0.1):\n        super().__init__(gap=gap)\n"
    )
    monkeypatch.setattr(kit, "_folder", lambda name: tmp_path)
    kit.describe.cache_clear()
    try:
        wee = kit.describe("regions", "wee")
        assert wee.knobs == {"gap": 0.1}  # its constructor hands nothing on
        assert (wee.called, wee.flows) == ("Wee", ("bone", "spacing"))
        assert wee.doc.index("gap : float") < wee.doc.index("Notes")
    finally:
        kit.describe.cache_clear()


@pytest.mark.parametrize(("name", "part"), [(name, part) for name, part in ALL if name in kit.FILES])
def test_a_part_that_is_a_file_reads_or_writes_and_is_described(name, part):
    described = kit.describe(name, part)
    assert described.summary
    assert {"read", "write", "read_folder", "write_folder"} & described.functions.keys()
    for function in described.functions:
        assert callable(kit.load(name, part, function))


def test_facts_of_formats_tell_them_apart():
    facts = [kit.describe("io", name).facts for name in kit.names("io")]
    suffixes = [suffix for fact in facts for suffix in fact["SUFFIXES"]]
    assert len(set(suffixes)) == len(suffixes)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)
    begins = [begin for fact in facts for begin in fact["BEGINS"]]
    assert not [(a, b) for a in begins for b in begins if a is not b and a.startswith(b)]


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_every_knob_is_documented(name, part):
    described = kit.describe(name, part)
    missing = [knob for knob in described.knobs if knob not in described.doc]
    assert not missing, f"{name}/{part}.py says nothing of {missing}"


@pytest.mark.parametrize("part", kit.names("phantoms"))
def test_a_summary_that_is_found_as_text_is_that_of_the_part(part):
    assert kit.summary("phantoms", part) == kit.describe("phantoms", part).summary
