"""Everything that a gate hears with, in one signed file."""
