"""A settings file with other values, all else in it as it was: comments, order, other sections."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kaimen.errors import SettingsError
from kaimen.parsing import read_toml
from kaimen.settings import Settings
from kaimen.setup.questions import QUESTIONS
from kaimen.storage import write_whole

FRESH = "# Settings of the gate; what is left out has a default. See docs/use/settings.md.\n"
# What the services need to find each other and their files: as in deploy/kaimen.toml.
INSTALLED = (
    FRESH
    + """
[sound]

[gallery]
path = "/var/lib/kaimen/gallery.sqlite"
key = "/etc/kaimen/key/gallery.key"   # keep a copy where the Pi is not

[door]                  # pins as BCM counts
socket = "/run/kaimen/door"   # of kaimen-door.service
"""
)
COLUMN = 24  # where comments begin

VALUE = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^#]*?)"""


def before(path: Path) -> Path:
    """Return where the file is kept that was there before."""
    return path.with_name(f"{path.name}.before")


def rendered(text: str, settings: Settings) -> str:
    """Return the text with the answers. Raises SettingsError where it cannot be changed."""
    lines = text.removesuffix("\n").split("\n")  # no other character ends a line of TOML
    wanted = read_toml(text)
    for question in QUESTIONS:
        value = question.current(settings)
        lines = _set(lines, question.section, question.setting, value, question.comment)
        wanted.setdefault(question.section, {})[question.setting] = value
    made = "\n".join(lines) + "\n"
    if not _says(made, wanted):
        raise SettingsError(
            "the settings are written in a way that setup cannot change without harm; write each "
            "section as [door] and each setting on a line of its own, or begin with another --out"
        )
    return made


def write(path: Path, text: str) -> bool:
    """Write it in one step, what was there kept beside it; whether there was anything.

    Raises StorageError; what was there is then untouched.
    """
    old = path.read_bytes() if path.exists() else None
    own = os.umask(0o022)  # the services read it as other users; there is no secret in it
    try:
        if old is not None:
            write_whole(before(path), old)
        write_whole(path, text.encode())
    finally:
        os.umask(own)
    return old is not None


def _says(text: str, wanted: Mapping[str, Any]) -> bool:
    try:
        return read_toml(text) == wanted
    except ValueError:
        return False


def _set(lines: Sequence[str], section: str, setting: str, value: Any, comment: str) -> list[str]:
    """Return the lines with one setting in its section, the section made where there is none."""
    made = list(lines)
    said = f"{setting} = {json.dumps(value, ensure_ascii=False)}"
    header = re.compile(rf"\s*\[\s*{section}\s*\]\s*(#.*)?")
    start = next((n for n, line in enumerate(made) if header.fullmatch(line)), None)
    if start is None:
        made += ["", f"[{section}]"]
        start = len(made) - 1
    end = start + 1
    while end < len(made) and not made[end].lstrip().startswith("["):
        there = re.fullmatch(rf"\s*{setting}\s*=\s*{VALUE}\s*(#.*)?", made[end])
        if there:
            made[end] = _line(said, there[1] or "")
            return made
        end += 1
    while not made[end - 1].strip():  # blank lines separate sections
        end -= 1
    made.insert(end, _line(said, f"# {comment}"))
    return made


def _line(said: str, comment: str) -> str:
    return f"{said:<{COLUMN - 1}} {comment}".rstrip()
