"""Hypothesis is given no deadline: the machines that test are as slow as the gate."""

import os

from hypothesis import HealthCheck, settings

# A mutation tester runs a test many times in one process, each time by another runner.
MUTATED = [HealthCheck.differing_executors] if "MUTANT_UNDER_TEST" in os.environ else []

settings.register_profile("kaimen", deadline=None, max_examples=30, suppress_health_check=MUTATED)
settings.load_profile("kaimen")
