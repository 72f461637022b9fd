"""Texts in the language of who looks: English is written in place, Chinese stands in catalogues.

A catalogue is ``chinese/PAGE.toml``: each line has an English text and the Chinese one. Texts have
places for values, in braces: "{count} students".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

COOKIE = "kaimen-language"
ENGLISH, CHINESE = "en", "zh"
LANGUAGES = {ENGLISH: "English", CHINESE: "中文"}
CATALOGUES = Path(__file__).parent / "chinese"
ASKED = re.compile(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9]{1,8})*\s*(?:;\s*q=([01](?:\.\d{0,3})?))?")

Translator = Callable[..., str]


@cache
def catalogue() -> dict[str, str]:
    """Return the Chinese text of each English one."""
    found: dict[str, str] = {}
    for path in sorted(CATALOGUES.glob("*.toml")):
        found |= tomllib.loads(path.read_text(encoding="utf-8"))
    return found


def translator(language: str) -> Translator:
    """Return what gives a text in a language; one that no catalogue has is given in English."""

    def text(english: str, **values: object) -> str:
        said = catalogue().get(english, english) if language == CHINESE else english
        return said.format(**values) if values else said

    return text


def preferred(header: str) -> str:
    """Return the language that a browser prefers, by its header Accept-Language."""
    wanted = []
    for each in header[:500].split(","):
        found = ASKED.fullmatch(each)
        if found and found[1].lower() in LANGUAGES:
            wanted.append((-float(found[2] or 1), found[1].lower()))
    return min(wanted, default=(0.0, ENGLISH), key=lambda each: each[0])[1]


def later(english: str) -> str:
    """Return a text as it is: one that is translated where it is shown, from a variable."""
    return english
