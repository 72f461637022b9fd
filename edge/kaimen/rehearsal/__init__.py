"""A day at the gate: a class is enrolled, then all sorts of people come to the door."""
