"""Measure anew what the shipped encoder promises of the demo's day.

Run as ``python -m kaimen_train.evaluation.demo_promise`` after a new encoder, new checks or new
voices, and read the difference before it is committed. ``kaimen/rehearsal/promise.py`` says what
the counts mean.
"""

from __future__ import annotations

import argparse

from kaimen.rehearsal import VOICES
from kaimen.rehearsal.day import counted, day
from kaimen.rehearsal.promise import PROMISE, measured, save
from kaimen.screen import Screen
from kaimen.voice.encoder import Encoder


def main() -> None:
    """Play the day and write the promise."""
    argparse.ArgumentParser(
        prog="python -m kaimen_train.evaluation.demo_promise",
        description="Measure the demo's promise anew.",
    ).parse_args()
    screen = Screen(as_json=False)
    visits = day(Encoder(), sorted(VOICES.glob("*/")), screen, replays=True)
    save(measured(counted(visits)))
    screen.out.print(f"{PROMISE}\n{PROMISE.read_text(encoding='utf-8')}", end="")


if __name__ == "__main__":
    main()
