"""Consecutive rows, so many at a time."""

import threading
import time

import pytest
import torch

from drepm_pyg.graph.blocks import blocks_of, by_threads, slices


def test_the_last_slice_ends_where_all_end() -> None:
    assert list(slices(2, 9, 3)) == [slice(2, 5), slice(5, 8), slice(8, 9)]
    assert list(slices(0, 4, 2)) == [slice(0, 2), slice(2, 4)]
    assert list(slices(3, 3, 2)) == []


def test_blocks_hold_what_their_bytes_allow_and_one_row_at_least() -> None:
    assert [block.tolist() for block in blocks_of(5, width=4, block_bytes=64)] == [[0, 1], [2, 3], [4]]
    assert [block.tolist() for block in blocks_of(2, width=4, block_bytes=1)] == [[0], [1]]


@pytest.mark.parametrize(("threads", "parts", "shared"), [(1, 3, False), (2, 1, False), (2, 3, True), (2, 0, False)])
def test_threads_share_several_parts_and_leave_them_in_their_order(
    threads: int, parts: int, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)

    def late(part: int) -> tuple[int, bool]:
        time.sleep(0.01 * (parts - part))  # the first one is done last
        return part, threading.current_thread() is not threading.main_thread()

    assert list(by_threads(late, range(parts))) == [(part, shared) for part in range(parts)]
