"""Every part of every kit, found by listing the folders, keeps the kits' convention."""

import inspect

import pytest

from bonectl.core import kit
from bonectl.core.spec import Spec, parse

PARTS = [(name, part) for name in kit.NAMES for part in kit.names(name)]


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_a_part_is_its_files_name_with_documented_defaults(name, part):
    loaded = kit.load(name, part)
    described = kit.describe(name, part)
    assert loaded.__module__ == f"bonectl.{name}.{part}"
    assert described.summary
    knobs = [p for p in inspect.signature(loaded).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert all(p.default is not p.empty for p in knobs)
    assert {p.name: p.default for p in knobs} == dict(described.knobs)


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_a_part_prints_as_the_call_that_makes_it(name, part):
    described = kit.describe(name, part)
    assert parse(described.call) == Spec(part, described.knobs)


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_every_knob_is_documented(name, part):
    described = kit.describe(name, part)
    missing = [knob for knob in described.knobs if knob not in described.doc]
    assert not missing, f"{name}/{part}.py says nothing of {missing}"
