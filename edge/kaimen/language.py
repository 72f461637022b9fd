"""Texts in the language of who reads: English is written in place, Chinese stands in catalogues.

A catalogue is ``chinese/ROOM.toml``: each line has an English text and the Chinese one. Texts have
places for values, in braces: "{count} students". A program, a log and a terminal that cannot show
Chinese get English.
"""

from __future__ import annotations

import os
import sys
import tomllib
from functools import cache
from pathlib import Path

ENGLISH, CHINESE = "en", "zh"
CATALOGUES = Path(__file__).parent / "chinese"

_chosen = ENGLISH


def choose(language: str) -> None:
    """Give all texts in this language from now on."""
    global _chosen
    _chosen = language


def of_terminal() -> str:
    """Return the language of whoever sits at this terminal, by LC_ALL, LC_MESSAGES or LANG."""
    asked = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    wanted = next((each for each in asked if each), "")
    if not wanted.lower().startswith(CHINESE):
        return ENGLISH
    for stream in (sys.stdout, sys.stderr):
        try:
            "开门".encode(getattr(stream, "encoding", None) or "ascii")
        except (UnicodeEncodeError, LookupError):
            return ENGLISH
    return CHINESE


@cache
def catalogue(folder: Path = CATALOGUES) -> dict[str, str]:
    """Return the Chinese text of each English one."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.toml")):
        found |= tomllib.loads(path.read_text(encoding="utf-8"))
    return found


def text(english: str, **values: object) -> str:
    """Return a text in the chosen language; one that no catalogue has is given in English."""
    said = catalogue().get(english, english) if _chosen == CHINESE else english
    return said.format(**values) if values else said


def later(english: str) -> str:
    """Return a text as it is: one that is translated where it is shown, from a variable."""
    return english
