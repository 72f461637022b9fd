"""What a gate says to systems that exist: one process beside the gate, which it never slows.

Everything here follows the audit log and holds neither the school's key nor its registry. Each
system has a thread of its own, so that one that hangs keeps no other waiting.
"""
