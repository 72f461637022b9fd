"""Questions at a terminal: a default in brackets, ``?`` explains, a wrong answer is asked again."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import TextIO, TypeVar

from rich.console import Console

from kaimen.errors import SettingsError
from kaimen.language import later, sentence, text

Value = TypeVar("Value")

# Answers that have a Chinese word, too, which is shown beside the English one.
WORDS = (
    later("yes"), later("no"), later("skip"), later("reversed"), later("high"), later("low"),
    later("default"), later("none"), later("large"), later("small"),
)  # fmt: skip


class Dialogue:
    """Somebody who is asked. Ctrl-C and the end of the answers raise KeyboardInterrupt."""

    def __init__(self, console: Console, answers: TextIO) -> None:
        self.console = console
        self._answers = answers

    def say(self, said: str) -> None:
        """Show something worth knowing."""
        self.console.print(sentence(said))

    def ask(
        self, question: str, read: Callable[[str], Value], *, default: str, explained: str
    ) -> Value:
        """Return the answer as ``read`` takes it, which raises SettingsError for a wrong one."""
        while True:
            self.console.print(f"{question} [{shown(default)}]: ", end="")
            answer = _in_english(self._line().strip())
            if answer == "?":
                self.say(f"  {explained}")
                continue
            try:
                return read(answer or default)
            except SettingsError as error:
                self.say(f"  ✗ {sentence(str(error))}")

    def choose(self, question: str, *words: str, explained: str) -> str:
        """Ask for one of the words, the first without an answer; their beginnings will do."""
        asked = f"{question} ({'/'.join(map(shown, words))})"
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


def shown(answer: str) -> str:
    """Return an answer as it is shown: with the word of the reader's language beside it."""
    return text(answer) if answer in WORDS else answer


def _in_english(answer: str) -> str:
    """Return the word that a person answered with in their language; other answers as they are."""
    return next((word for word in WORDS if answer in text(word).split()[1:]), answer)


def one_of(*words: str) -> Callable[[str], str]:
    """Return a reader of one of these words, or of a beginning that only one of them has."""

    def read(answer: str) -> str:
        begun = [word for word in words if word.startswith(answer.lower())]
        if len(begun) != 1:
            raise SettingsError(
                f"{answer!r} is none of {', '.join(words)}; answer with one of them"
            )
        return begun[0]

    return read
