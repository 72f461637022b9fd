"""What ``kaimen`` begins with: Ctrl-C is quiet before anything else is loaded."""

from __future__ import annotations

from kaimen.interrupt import end_at_once


def main() -> int:
    """Run the command line; return its exit code."""
    end_at_once()
    from kaimen.cli.main import main as run

    code = run()
    end_at_once()  # nothing is left to be put in order
    return code
