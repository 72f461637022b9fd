"""The threshold that a school's own recordings ask for."""
