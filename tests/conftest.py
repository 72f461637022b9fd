"""What tests of several rooms need.

Hypothesis is given no deadline, and may take long to draw: the machines that test are as slow as
the gate, and busy.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A mutation tester runs a test many times in one process, each time by another runner.
MUTATED = [HealthCheck.differing_executors] if "MUTANT_UNDER_TEST" in os.environ else []

settings.register_profile(
    "kaimen",
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, *MUTATED],
)
settings.load_profile("kaimen")


@pytest.fixture(autouse=True)
def same_priority() -> Iterator[None]:
    """Notice a test that makes its process stand back: those after it would crawl."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    yield
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Give back what a daemon of the test did to signals."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
