"""What people read, through rich: a text is shown as it is, and nothing in it is an instruction.

No text is markup, and none changes a terminal, whatever a name, a path or an error holds. Colour is
asked for with ``styled``. A file or a pipe gets whole lines.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from kaimen.names import printable

UNWRAPPED = 100_000  # columns


class Terminal(Console):
    """Standard output, or standard error, for a person."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)
        if not self.is_terminal:
            self.width = UNWRAPPED

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text, or the cell of a table, with what changes a terminal made visible."""
        return super().render_str(_shown(text), **options)


def styled(*parts: str | tuple[str, str]) -> Text:
    """Return a line of parts, some of them with a style: ``styled(("✓", "green"), " done")``."""
    line = Text()
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        line.append(_shown(text), style)
    return line


def _shown(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


# In front of what went well, of what did not, and of what somebody should know.
GOOD, BAD, WARNING = ("✓", "green"), ("✗", "red"), ("!", "yellow")
