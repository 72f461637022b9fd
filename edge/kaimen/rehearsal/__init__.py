"""A day at the gate: a class is enrolled, then all sorts of people come to the door."""

from pathlib import Path

VOICES = Path(__file__).parent / "voices"  # real ones; a folder a class
RECORDINGS = Path(__file__).parent / "recordings"  # one class, synthetic
