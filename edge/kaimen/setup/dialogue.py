"""Questions at a terminal: a default in brackets, ``?`` explains, a wrong answer is asked again."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import TextIO, TypeVar

from rich.console import Console

from kaimen.errors import SettingsError

Value = TypeVar("Value")


class Dialogue:
    """Somebody who is asked. Ctrl-C and the end of the answers raise KeyboardInterrupt."""

    def __init__(self, console: Console, answers: TextIO) -> None:
        self.console = console
        self._answers = answers

    def say(self, text: str) -> None:
        """Something worth knowing."""
        self.console.print(text)

    def ask(
        self, text: str, read: Callable[[str], Value], *, default: str, explained: str
    ) -> Value:
        """The answer as ``read`` takes it, which raises SettingsError for a wrong one."""
        while True:
            self.console.print(f"{text} [{default}]: ", end="")
            answer = self._line().strip()
            if answer == "?":
                self.say(f"  {explained}")
                continue
            try:
                return read(answer or default)
            except SettingsError as error:
                self.say(f"  ✗ {error}")

    def choose(self, text: str, *words: str, explained: str) -> str:
        """One of the words, the first without an answer; their beginnings will do."""
        asked = f"{text} ({'/'.join(words)})"
        return self.ask(asked, one_of(*words), default=words[0], explained=explained)

    def entered(self, timeout: float) -> bool:
        """Return whether Enter was pressed within ``timeout`` seconds."""
        if not select.select([self._answers], [], [], timeout)[0]:
            return False
        self._line()
        return True

    def _line(self) -> str:
        line = self._answers.readline()
        if not line:  # hung up
            raise KeyboardInterrupt
        return line


def one_of(*words: str) -> Callable[[str], str]:
    """A reader of one of these words, or of a beginning that only one of them has."""

    def read(text: str) -> str:
        begun = [word for word in words if word.startswith(text.lower())]
        if len(begun) != 1:
            raise SettingsError(f"{text!r} is none of {', '.join(words)}; answer with one of them")
        return begun[0]

    return read
