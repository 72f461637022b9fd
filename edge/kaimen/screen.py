"""What a person or a program reads: tables and colour, or one JSON object a line.

A text for a person is shown as it is, a sentence in their language; colour is asked for with
``kaimen.terminal.styled``.

rich is loaded with the first line for a person: it takes longer than a relay may wait to go off.
"""

from __future__ import annotations

import codecs
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kaimen.errors import KaimenError, RecordingError
from kaimen.language import sentence

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from kaimen.terminal import Terminal

Item = TypeVar("Item")

WIDTH = 110  # columns of a picture
# For what a terminal's encoding does not have; for anything else, a question mark.
PLAIN = {
    "✓": "+", "✗": "x", "→": ">", "—": "-", "–": "-", "…": "...", "≥": ">=", "≤": "<=",
    "▁": "_", "▔": "^", "█": "#", "░": ".", "−": "-",
}  # fmt: skip


def _plain(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lost = error.object[error.start : error.end]
    return "".join(PLAIN.get(letter, "?") for letter in lost), error.end


def show_what_can_be_shown() -> None:
    """Let no character that a terminal's encoding lacks end the program."""
    codecs.register_error("kaimen.plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="kaimen.plain")


def _write(fields: dict[str, Any]) -> None:
    """Write an object as one line that any encoding has, and that changes no terminal."""
    line = json.dumps(fields, ensure_ascii=False)
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    sys.stdout.write((line if unicode and line.isprintable() else json.dumps(fields)) + "\n")
    sys.stdout.flush()


class Screen:
    """Results go to standard output, everything said beside them to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def out(self) -> Terminal:
        """Return standard output, for a person."""
        from kaimen.terminal import Terminal

        return Terminal()

    @cached_property
    def beside(self) -> Terminal:
        """Return standard error, for a person."""
        from kaimen.terminal import Terminal

        return Terminal(stderr=True)

    def result(self, fields: dict[str, Any], line: str | Text | Table | None = None) -> None:
        """Show one result: an object for a program, a line or a table for a person."""
        if self.as_json:
            _write(fields)
        elif line is not None:
            self.out.print(line)

    def show(self, shown: str | Text | Table) -> None:
        """Print something for a person alone; a program had it as results."""
        if not self.as_json:
            self.out.print(shown)

    def say(self, text: str | Text) -> None:
        """Show something worth knowing that is no result; a program is spared it."""
        if not self.as_json:
            self.beside.print(sentence(text) if isinstance(text, str) else text)

    def note(self, text: str) -> None:
        """Show something that happened by itself, which a program must know, too."""
        if self.as_json:
            self.result({"note": text})
        else:
            self.say(text)

    def error(self, error: KaimenError) -> None:
        """Show an error: one sentence, or an object with the file and the kind."""
        if self.as_json:
            fields: dict[str, str | None] = {"error": str(error), "kind": type(error).__name__}
            if isinstance(error, RecordingError):
                fields = {"path": error.path, "error": error.reason, "kind": type(error).__name__}
            _write(fields)
        else:
            from kaimen.terminal import BAD, styled

            told = sentence(str(error))
            if isinstance(error, RecordingError) and error.path is not None:
                told = f"{error.path}: {sentence(error.reason)}"
            self.beside.print(styled(BAD, f" {told}"))

    def remember(self) -> None:
        """Keep what is shown from now on, for a picture; a gate that runs for years does not."""
        self.out.record = True
        if not self.out.is_terminal:
            self.out.width = WIDTH

    def picture(self, path: Path, title: str) -> None:
        """Draw what was shown to a person since ``remember`` as an SVG."""
        from kaimen.storage import write_whole

        # Rich refers to web fonts; a picture of an offline gate asks nobody.
        drawn = re.sub(r"@font-face \{.*?\}", "", self.out.export_svg(title=title), flags=re.S)
        write_whole(path, drawn.encode())

    def progress(self, items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
        """Yield the items under a progress bar, where somebody looks."""
        if self.as_json or not self.beside.is_terminal:
            yield from items
        else:
            from rich.progress import track

            yield from track(items, sentence(what), total, console=self.beside, transient=True)
