"""The door: a relay that is on only as long as somebody's lease."""
