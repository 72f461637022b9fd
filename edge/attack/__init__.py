"""Attacks on the gate that can be rehearsed without one: recordings played to it, simulated."""
