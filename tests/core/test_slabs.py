"""Cutting a stream never changes, loses or repeats a slice."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonectl.core.header import Header
from bonectl.core.slabs import recut, windows
from bonectl.core.stack import Stack
from bonectl.errors import DataError

cuts = st.lists(st.integers(1, 7), min_size=1, max_size=8)


def stream(cut):
    array = np.arange(sum(cut) * 2, dtype=np.float32).reshape(-1, 2, 1)
    return array, np.split(array, np.cumsum(cut)[:-1])


@given(cuts, st.integers(1, 12))
def test_recut_blocks_are_aligned_to_slice_zero(cut, size):
    array, slabs = stream(cut)
    blocks = list(recut(slabs, size))
    assert [len(b) for b in blocks[:-1]] == [size] * (len(blocks) - 1)
    np.testing.assert_array_equal(np.concatenate(blocks), array)
    assert all(b.flags.c_contiguous for b in blocks)


@given(cuts, st.integers(1, 9), st.integers(0, 5))
def test_windows_are_the_stream_with_its_neighbours(cut, size, halo):
    array, slabs = stream(cut)
    cores = []
    for start, (window, lo, hi) in zip(range(0, len(array), size), windows(slabs, len(array), size, halo), strict=True):
        cores.append(window[lo:hi])
        np.testing.assert_array_equal(window, array[max(0, start - halo) : start + size + halo])
    np.testing.assert_array_equal(np.concatenate(cores), array)


def test_a_stack_that_ends_early_is_bad_data():
    header = Header(shape=(5, 2, 1))
    with pytest.raises(DataError, match="3 slices arrived, 5 were announced"):
        Stack(header, iter([np.zeros((3, 2, 1), "f4")])).collect()


def test_a_stack_over_an_array_gives_it_back():
    array = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
    np.testing.assert_array_equal(Stack.of(array, Header(shape=array.shape)).collect(), array)


def test_a_block_of_pieces_from_anywhere_takes_its_own_memory_and_one_piece():
    tracemalloc.start()
    pieces = (np.ones((1, 100, 1000), np.float32) for _ in range(64))
    for block in recut(pieces, 32):
        assert tracemalloc.get_traced_memory()[1] < 1.2 * block.nbytes
        del block
        tracemalloc.reset_peak()
    tracemalloc.stop()


def test_pieces_that_lie_one_behind_another_are_not_copied():
    whole = np.arange(24.0).reshape(6, 2, 2)
    for pieces in ([whole[:1], whole[1:3], whole[3:]], [whole[2:3], whole[3:6]]):
        (block,) = recut(pieces, 6)
        np.testing.assert_array_equal(block, np.concatenate(pieces))
        assert np.shares_memory(block, whole)
        assert block.flags.c_contiguous
    for pieces in (
        [whole[1:2], whole[:1]],
        [whole[:2], whole[3:]],
        [whole[:2], whole[2:].copy()],
        [whole[:2, :1], whole[2:, :1]],
    ):
        (block,) = recut(pieces, 6)
        np.testing.assert_array_equal(block, np.concatenate(pieces))
        assert not np.shares_memory(block, whole)
