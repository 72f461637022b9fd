"""Work is shared by processes that are started for it, or once for several works."""

from __future__ import annotations

import os

import pytest

from kaimen_train.processes import WORKERS, in_processes, one_pool


def who(_: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("shared", [True, False])
def test_in_one_pool_the_same_processes_do_all_work(shared: bool) -> None:
    def three_works() -> list[set[int]]:
        return [set(in_processes(who, "working", range(100), together=1)) for _ in range(3)]

    each = one_pool()(three_works)() if shared else three_works()
    assert all(os.getpid() not in pids for pids in each)
    assert (len(set().union(*each)) <= WORKERS) is shared


def test_a_pool_serves_its_own_block_alone() -> None:
    with one_pool():
        inside = set(in_processes(who, "working", range(4)))
    assert inside.isdisjoint(in_processes(who, "working", range(4)))
