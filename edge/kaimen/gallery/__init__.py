"""The gallery: all voiceprints, and a way to the nearest."""
