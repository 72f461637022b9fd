"""The synthetic school."""
