"""Simulated rooms, loudspeakers, microphones and codecs."""
