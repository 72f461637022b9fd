"""What a person or a program reads: tables and colour, or one JSON object a line.

rich is loaded with the first line for a person: it takes longer than a relay may wait to go off.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kaimen.errors import KaimenError, RecordingError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Item = TypeVar("Item")

WIDTH = 110  # columns of a table that goes into a file


class Screen:
    """Results go to standard output, everything said beside them to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def out(self) -> Console:
        """Standard output, for a person."""
        from rich.console import Console

        made = Console(highlight=False)
        if not made.is_terminal:
            made.width = WIDTH
        return made

    @cached_property
    def beside(self) -> Console:
        """Standard error, for a person."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, soft_wrap=True)

    def result(self, fields: dict[str, Any], line: str | Table | None = None) -> None:
        """One result: an object for a program, a line or a table for a person."""
        if self.as_json:
            sys.stdout.write(json.dumps(fields, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        elif line is not None:
            self.out.print(line)

    def say(self, text: str) -> None:
        """Something worth knowing that is no result; a program is spared it."""
        if not self.as_json:
            self.beside.print(text)

    def note(self, text: str) -> None:
        """Something that happened by itself, which a program must know, too."""
        if self.as_json:
            self.result({"note": text})
        else:
            self.say(text)

    def error(self, error: KaimenError) -> None:
        """An error: one sentence, or an object with the file and the kind."""
        if self.as_json:
            fields: dict[str, str | None] = {"error": str(error), "kind": type(error).__name__}
            if isinstance(error, RecordingError):
                fields = {"path": error.path, "error": error.reason, "kind": type(error).__name__}
            sys.stdout.write(json.dumps(fields, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        else:
            from rich.markup import escape

            self.beside.print(f"[red]✗[/red] {escape(str(error))}")

    def remember(self) -> None:
        """Keep what is shown from now on, for a picture; a gate that runs for years does not."""
        self.out.record = True

    def picture(self, path: Path, title: str) -> None:
        """Draw what was shown to a person since ``remember`` as an SVG."""
        from kaimen.storage import write_whole

        # Rich refers to web fonts; a picture of an offline gate asks nobody.
        drawn = re.sub(r"@font-face \{.*?\}", "", self.out.export_svg(title=title), flags=re.S)
        write_whole(path, lambda file: file.write(drawn.encode()))

    def progress(self, items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
        """Yield the items under a progress bar, where somebody looks."""
        if self.as_json or not self.beside.is_terminal:
            yield from items
        else:
            from rich.progress import track

            yield from track(items, what, total, console=self.beside, transient=True)
