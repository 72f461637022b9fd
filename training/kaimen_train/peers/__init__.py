"""Encoders of others, each in an environment of its own, called as programs."""
