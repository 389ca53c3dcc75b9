"""The language of parts prints as it parses, and refuses everything else in one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonectl.core import kit
from bonectl.core.spec import Spec, When, parse, parse_sum, print_sum
from bonectl.errors import UsageError

words = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda w: w not in ("true", "false", "none"))
texts = st.text(st.characters(codec="ascii", exclude_characters="'\\\n", min_codepoint=32), max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**12), 10**12)
values = st.recursive(numbers | st.booleans() | st.none() | words | texts, lambda v: st.lists(v, max_size=3).map(tuple))
moments = st.tuples(st.integers(0, 100), st.integers(0, 100), st.booleans()).map(
    lambda m: When(min(m[:2]) / (100 if m[2] else 1), max(m[:2]) / (100 if m[2] else 1), m[2])
)
specs = st.builds(
    Spec,
    words,
    st.dictionaries(words, values, max_size=3),
    st.floats(1e-6, 1e6),
    st.none() | moments,
)


@given(st.lists(specs, min_size=1, max_size=4).map(tuple))
def test_a_sum_prints_as_it_parses(terms):
    assert parse_sum(print_sum(terms)) == terms


@given(st.text(max_size=40))
def test_any_text_gives_a_sum_or_one_line(text):
    try:
        terms = parse_sum(text)
    except UsageError as error:
        assert str(error)
    else:
        assert parse_sum(print_sum(terms)) == terms


@pytest.mark.parametrize(
    "text",
    ["", "l1 +", "l1(", "l1(a)", "l1(a=)", "l1(a=1, a=2)", "-1*l1", "0*l1", "l1*2", "__import__('os')", "a.b()()",
     "l1@x", "l1@-5", "l1@50%~10", "l1@50%~10%", "2 l1", "l1; l2", "l1 ** 2", "(l1)", "l1(a=[1,2)", "l1(a='x)"],
)  # fmt: skip
def test_what_is_not_of_the_language_is_refused(text):
    with pytest.raises(UsageError):
        parse_sum(text)


def test_weights_knobs_and_schedules_are_read():
    terms = parse_sum("l1 + 0.1*vgg(net=vgg16, layers=[1, 2.5], deep=true) + 1e2*euler(win=16)@70%~80%")
    assert [t.weight for t in terms] == [1, 0.1, 100]
    assert dict(terms[1].knobs) == {"net": "vgg16", "layers": (1, 2.5), "deep": True}
    assert terms[2].when == When(0.7, 0.8)
    assert [terms[2].when.factor(step, 1000) for step in (0, 699, 700, 750, 800, 999)] == [0, 0, 0, 0.5, 1, 1]


def test_a_switch_at_a_step_is_sharp():
    assert [parse_sum("l1@5")[0].when.factor(step, 10) for step in (4, 5)] == [0, 1]


def test_a_sum_is_refused_where_one_part_is_needed():
    with pytest.raises(UsageError, match="one part"):
        parse("l1 + l2")


def test_near_names_are_suggested_without_importing(monkeypatch):
    monkeypatch.setattr("bonectl.core.kit.importlib.import_module", lambda name: pytest.fail(f"imported {name}"))
    with pytest.raises(UsageError, match="no loss 'l11'.*did you mean 'l1'"):
        kit.check("losses", parse_sum("l11"))
    with pytest.raises(UsageError, match="no geometry 'paralel'.*did you mean 'parallel'"):
        kit.check("geometries", parse_sum("paralel"))
    with pytest.raises(UsageError, match="fbp has no knob 'windw'.*did you mean 'window'"):
        kit.check("methods", parse_sum("fbp(windw=hann)"))


@pytest.mark.parametrize(
    "text", ["parallel(views=a)", "parallel(views=1.5)", "parallel(views=true)", "parallel(arc='180')"]
)
def test_a_knob_takes_values_of_its_kind(text):
    with pytest.raises(UsageError, match="is a (whole )?number, such as"):
        kit.check("geometries", parse_sum(text))


def test_whole_numbers_are_numbers():
    kit.check("geometries", parse_sum("parallel(arc=180)"))


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 41, "9" * 5000, "0." + "1" * 60])
def test_numbers_that_no_float_holds_are_refused(number):
    for text in (f"a(b={number})", f"{number.lstrip('-')}*a", f"a(b=[1, {number}])", f"a@{number.lstrip('-')}%"):
        with pytest.raises(UsageError, match="out of range"):
            parse_sum(text)


@pytest.mark.parametrize("value", ["1e300", "-1e300", "1e13", "1e-31", "1" + "0" * 20])
def test_knobs_have_sizes_that_arithmetic_bears(value):
    for name, knobs in {
        "metrics": "cortical(gap={})",
        "models": "gaussian(sigma={})",
        "segmentations": "otsu(sigma={})",
    }.items():
        with pytest.raises(UsageError, match="no knob is beyond"):
            kit.check(name, parse_sum(knobs.format(value)))
