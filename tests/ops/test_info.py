"""`info`: every fact of a header as JSON, and statistics that do not depend on the slabs."""

import json

import numpy as np
import pytest

from bonectl.core.header import Entry, Header
from bonectl.core.slabs import recut
from bonectl.core.stack import Stack
from bonectl.ops import info

VALUES = (np.random.default_rng(0).normal(size=(5, 6, 7)) + 1e6).astype("<f4")


@pytest.mark.parametrize("size", [1, 2, 5])
def test_statistics_are_numpys_for_any_slab(size):
    found = info.statistics(Stack(Header(shape=VALUES.shape), recut([VALUES], size)))
    exact = VALUES.astype("f8")
    assert (found.minimum, found.maximum, found.finite, found.not_finite) == (exact.min(), exact.max(), 210, 0)
    assert found.mean == pytest.approx(exact.mean(), rel=1e-12)
    assert found.sd == pytest.approx(exact.std(), rel=1e-9)
    assert found == info.statistics(Stack.of(VALUES, Header(shape=VALUES.shape)))


def test_what_is_not_finite_is_counted_apart():
    values = np.array([[[0.0, np.nan, 2.0, np.inf]]], "<f4")
    found = info.statistics(Stack.of(values, Header(shape=(1, 1, 4))))
    assert (found.minimum, found.maximum, found.mean, found.finite, found.not_finite, found.zeros) == (0, 2, 1, 2, 2, 1)
    nothing = info.statistics(Stack.of(np.full((1, 1, 4), np.nan, "<f4"), Header(shape=(1, 1, 4))))
    assert (nothing.mean, nothing.not_finite) == (None, 4)


def test_facts_are_json_and_versioned():
    header = Header(shape=(5, 6, 7), unit="label", history=(Entry("a", "1", "t", {"seed": 1}),), answers={"bvtv": 0.1})
    told = json.loads(json.dumps(info.facts(header, "x.npy")))
    assert told["schema"] == "bonectl.info/1"
    assert told["history"] == [{"command": "a", "version": "1", "time": "t", "notes": {"seed": 1}}]
    assert told["answers"] == {"bvtv": 0.1}
    assert told["dtype"] == "float32"
