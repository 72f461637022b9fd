"""Texts in the language of who reads: English is written in place, Chinese stands in catalogues.

A catalogue is ``chinese/ROOM.toml``: each line has an English text and the Chinese one. Texts have
places for values, in braces: "{count} students". A program, a log and a terminal that cannot show
Chinese get English.

Errors and notes are English until a person sees them, so that whoever compares, keeps or sends one
has the same in every language: ``sentence`` finds them, with their values, in ``sentences.toml``.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

ENGLISH, CHINESE = "en", "zh"
CATALOGUES = Path(__file__).parent / "chinese"
SENTENCES = CATALOGUES / "sentences.toml"
PLACE = re.compile(r"\{(\w+)\}")
LONGEST = 1000  # characters of a sentence that is looked for
# What stands in a place, where that is not just anything.
VALUES = {"pin": r"\d+", "gate": "[^:]+", "thread": "[^,]+"}
INNER = {"error", "why", "advice", "said", "since", "told"}  # these hold sentences themselves

Translator = Callable[..., str]

_chosen = ENGLISH
_for_program: ContextVar[bool] = ContextVar("for_program", default=False)


def choose(language: str) -> None:
    """Give all texts in this language from now on."""
    global _chosen
    _chosen = language


@contextmanager
def for_program() -> Iterator[None]:
    """Give English to what is computed here: somebody keeps, sends or compares it."""
    before = _for_program.set(True)
    try:
        yield
    finally:
        _for_program.reset(before)


def _language() -> str:
    return ENGLISH if _for_program.get() else _chosen


def of_terminal() -> str:
    """Return the language of whoever sits at this terminal, by LC_ALL, LC_MESSAGES or LANG."""
    asked = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    wanted = next((each for each in asked if each), "")
    if not wanted.lower().startswith(CHINESE) or _to_journal():
        return ENGLISH
    for stream in (sys.stdout, sys.stderr):
        try:
            "开门".encode(getattr(stream, "encoding", None) or "ascii")
        except (UnicodeEncodeError, LookupError):
            return ENGLISH
    return CHINESE


def _to_journal() -> bool:
    """Return whether standard error goes to systemd's journal, whose readers search it."""
    journal = os.environ.get("JOURNAL_STREAM")
    if not journal:
        return False
    try:
        found = os.fstat(2)
    except OSError:  # closed
        return False
    return journal == f"{found.st_dev}:{found.st_ino}"


@cache
def catalogue(folder: Path = CATALOGUES) -> dict[str, str]:
    """Return the Chinese text of each English one."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.toml")):
        found |= texts_of(path)
    return found


@cache
def texts_of(path: Path) -> dict[str, str]:
    """Return the texts of one catalogue."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def translator(language: str, *folders: Path) -> Translator:
    """Return what gives a text in a language, by the first of these catalogues that has it.

    One that none has is given in English.
    """

    def said(english: str, **values: object) -> str:
        known = (catalogue(folder).get(english) for folder in folders)
        found = next((each for each in known if each is not None), english)
        told = found if language == CHINESE else english
        return told.format(**values) if values else told

    return said


def text(english: str, **values: object) -> str:
    """Return a text in the chosen language; one that no catalogue has is given in English."""
    return translator(_language(), CATALOGUES)(english, **values)


def later(english: str) -> str:
    """Return a text as it is: one that is translated where it is shown, from a variable."""
    return english


def sentence(english: str) -> str:
    """Return an error or a note in the chosen language, with its values; unknown ones as they are.

    What is Chinese already stays so.
    """
    return in_chinese(english, SENTENCES) if is_chinese() else english


def is_chinese() -> bool:
    """Return whether Chinese is chosen, for a person."""
    return _language() == CHINESE


def in_chinese(english: str, *catalogues: Path) -> str:
    """Return a sentence in Chinese, with its values, by the first catalogue that has it.

    One that none has is returned as it is.
    """
    if len(english) > LONGEST:
        return english
    for path in catalogues:
        if english in texts_of(path):
            return texts_of(path)[english]
        for pattern, chinese in _patterns(path):
            found = pattern.fullmatch(english)
            if found:
                values = found.groupdict()
                inner = {name: _inner(values[name], *catalogues) for name in INNER & {*values}}
                return chinese.format(**values | inner)
    return english


def _inner(english: str, *catalogues: Path) -> str:
    told = in_chinese(english, *catalogues)
    parts = english.split("; ")
    each = [in_chinese(part, *catalogues) for part in parts]
    return "；".join(each) if told == english and each != parts else told


@cache
def _patterns(path: Path) -> list[tuple[re.Pattern[str], str]]:
    """Return what finds sentences with values, those with the most words of their own first."""
    found = [(english, other) for english, other in texts_of(path).items() if "{" in english]
    found.sort(key=lambda each: -len(PLACE.sub("", each[0])))
    return [(_pattern(english), other) for english, other in found]


def _pattern(english: str) -> re.Pattern[str]:
    parts = PLACE.split(english)  # words and names of places in turn
    made = [
        f"(?P<{part}>{_value(part)})" if odd % 2 else re.escape(part)
        for odd, part in enumerate(parts)
    ]
    return re.compile("".join(made), re.DOTALL)


def _value(place: str) -> str:
    """Return what may stand in a place: only a sentence of its own goes on after a semicolon."""
    return VALUES.get(place, ".+?" if place in INNER else "(?:(?!; ).)+?")
