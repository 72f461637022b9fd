"""The language of each request: a cookie or the browser decides; texts are ``kaimen.language``'s.

The pages' catalogues are ``chinese/PAGE.toml``.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from kaimen import language
from kaimen.language import CHINESE, ENGLISH, Translator, later

__all__ = ["CHINESE", "ENGLISH", "LANGUAGES", "Translator", "catalogue", "later", "translator"]

COOKIE = "kaimen-language"
LANGUAGES = {ENGLISH: "English", CHINESE: "中文"}
CATALOGUES = Path(__file__).parent / "chinese"
ASKED = re.compile(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9]{1,8})*\s*(?:;\s*q=([01](?:\.\d{0,3})?))?")

catalogue = partial(language.catalogue, CATALOGUES)


def translator(asked: str) -> Translator:
    """Return what gives a text of a page, or of the gate, in a language."""
    return language.translator(asked, CATALOGUES, language.CATALOGUES)


def preferred(header: str) -> str:
    """Return the language that a browser prefers, by its header Accept-Language."""
    wanted = []
    for each in header[:500].split(","):
        found = ASKED.fullmatch(each)
        if found and found[1].lower() in LANGUAGES:
            wanted.append((-float(found[2] or 1), found[1].lower()))
    return min(wanted, default=(0.0, ENGLISH), key=lambda each: each[0])[1]
