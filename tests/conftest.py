"""Hypothesis is given no deadline: the machines that test are as slow as the gate."""

from hypothesis import settings

settings.register_profile("kaimen", deadline=None, max_examples=30)
settings.load_profile("kaimen")
