"""The page of the states is what the table gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kaimen.door.diagram import ABOUT, arrows, page
from kaimen.door.states import TRANSITIONS, State

PAGE = Path(__file__).parents[2] / "docs" / "how" / "door-states.md"


def test_the_page_is_what_the_table_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_transition_is_drawn_once() -> None:
    drawn = [
        (start.strip(), event, target)
        for line in arrows()
        for way, _, events in [line.partition(": ")]
        for start, target in [way.split(" --> ")]
        for event in events.split(", ")
    ]
    assert sorted(drawn) == sorted((s.name, e.value, t.name) for (s, e), t in TRANSITIONS.items())


def test_every_state_is_told_about() -> None:
    assert list(ABOUT) == list(State)


def test_the_command_writes_the_page() -> None:
    command = [sys.executable, "-m", "kaimen.door.diagram"]
    assert subprocess.run(command, capture_output=True, check=True).stdout.decode() == page()
