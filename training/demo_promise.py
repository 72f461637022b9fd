"""Measure anew what the shipped encoder promises of the demo's day.

Run as ``python -m training.demo_promise`` after a new encoder, new checks or new voices, and read
the difference before it is committed. ``edge/demo/promise.py`` says what the counts mean.
"""

from __future__ import annotations

import argparse

from edge.commands.demo import VOICES, day
from edge.demo.day import counted
from edge.demo.promise import PROMISE, measured, save
from edge.screen import Screen
from edge.voice.encoder import Encoder


def main() -> None:
    """Play the day and write the promise."""
    argparse.ArgumentParser(
        prog="python -m training.demo_promise", description="Measure the demo's promise anew."
    ).parse_args()
    screen = Screen(as_json=False)
    visits = day(Encoder(), sorted(VOICES.glob("*/")), screen, replays=True)
    save(measured(counted(visits)))
    screen.out.print(f"{PROMISE}\n{PROMISE.read_text(encoding='utf-8')}", end="")


if __name__ == "__main__":
    main()
