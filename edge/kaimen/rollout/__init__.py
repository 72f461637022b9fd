"""A new bundle at a running gate: tried beside the old one, then in its place."""
