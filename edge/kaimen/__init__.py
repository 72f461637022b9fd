"""Kaimen 开门: the part that runs at the gate."""

__version__ = "0.1.0"
