"""An encoder adapted to a school."""
