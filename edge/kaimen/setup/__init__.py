"""The first run: a few questions, each tried as it is answered, and settings written whole."""
