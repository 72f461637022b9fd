"""``kaimen setup``: the few things that cannot be guessed, asked, tried and written."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.table import Table

from kaimen.cli.options import add_file, add_flag
from kaimen.door.board import board_of
from kaimen.errors import GalleryError, SettingsError, StorageError
from kaimen.interrupt import handled
from kaimen.language import text
from kaimen.registry.enrolled import enrolled
from kaimen.screen import Screen
from kaimen.settings import SYSTEM, Settings
from kaimen.setup.dialogue import Dialogue, shown
from kaimen.setup.interview import Interview, unasked
from kaimen.setup.model import model_for, unknown_to
from kaimen.setup.questions import MODEL, QUESTIONS
from kaimen.setup.services import running, stopped
from kaimen.setup.trials import Trials
from kaimen.setup.writing import FRESH, INSTALLED, before, rendered, write

EXAMPLE = f"""example:
  kaimen setup --out kaimen.toml        (a laptop: pins are simulated)
  sudo kaimen setup                     (a Pi: {SYSTEM})
  sudo kaimen setup --yes --relay 17 --active low --microphone USB --lease 3 --contact 22

Each answer is tried: a meter for the microphone, one lease for the relay, the contact's state while
somebody moves the door. Enter takes what is in brackets, ? explains. Nothing is written before the
end; Ctrl-C leaves everything as it was. With --yes nothing is asked and nothing tried.
A gate that runs holds the microphone and the pins: setup offers to stop it, and starts it again.
The encoder is chosen by the board, unless --model does or students are enrolled already."""

VALUES = {
    "model": "large|small",
    "microphone": "NAME",
    "relay": "PIN",
    "active": "high|low",
    "lease": "SECONDS",
    "contact": "PIN|none",
    "closed": "high|low",
    "button": "PIN|none",
    "reader": "PATH|none",
}  # as an option takes them


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    for question in QUESTIONS:
        parser.add_argument(
            f"--{question.option}", metavar=VALUES[question.option], help=question.text
        )
    add_file(parser, "--out", "write there instead")
    add_flag(parser, "--yes", "ask nothing, try nothing, write")
    add_file(parser, "--play", "a recording in the microphone's place")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Ask, try, show, write; 130 with nothing written where somebody gives up."""
    target = arguments.out or arguments.config or SYSTEM
    source = arguments.config or target
    _require_writable(target)
    content, settings = _there(source, target)
    options = {question.option: getattr(arguments, question.option) for question in QUESTIONS}
    given = {option: answer for option, answer in options.items() if answer is not None}
    known = _known(settings, screen)
    if known and MODEL.option not in given:
        model, why = model_for(board_of(), settings.encoder.model, known)
        if why:
            screen.note(why)
        if model != settings.encoder.model:
            given[MODEL.option] = model
    if arguments.yes:
        made = unasked(settings, given)
        _write(screen, target, made, rendered(content, made), known)
        _say_restart(screen, made)
        return 0
    if not sys.stdin.isatty():
        raise SettingsError(
            "nobody can be asked: this is no terminal; give the answers as options, with --yes"
        )
    dialogue = Dialogue(screen.beside, sys.stdin)
    # A line that is cut, or a kill, ends it as Ctrl-C does: with the relay at rest.
    with handled(signal.default_int_handler, signal.SIGTERM, signal.SIGHUP), ExitStack() as pause:
        try:
            holders = running()
            start_again = False
            if holders and _may_stop(holders, dialogue):
                start_again = pause.enter_context(stopped(holders, dialogue.say))
            asked = _asked(arguments, dialogue, settings, given, content, target)
        except KeyboardInterrupt:
            dialogue.say("\n" + text("stopped; nothing was written, and the relay is at rest"))
            raise
        if asked is None:
            screen.note("nothing was written")
            return 0
        made, new = asked
        _write(screen, target, made, new, known)
    if not start_again:
        _say_restart(screen, made)
    return 0


def _write(screen: Screen, target: Path, made: Settings, new: str, known: dict[str, int]) -> None:
    kept = write(target, new)
    told = text("{path} is written", path=target)
    if kept:
        told += text("; what was there is {path}", path=before(target))
    screen.result(
        {
            "written": str(target),
            "before": str(before(target)) if kept else None,
            "settings": {each.option: each.current(made) for each in QUESTIONS},
        },
        told,
    )
    where = "" if target == SYSTEM else f" --config {target}"
    unknown = unknown_to(made.encoder.model, known) if known else ""
    if unknown:
        screen.note(unknown)
    screen.say(text("next: 'kaimen doctor{where}' looks at everything", where=where))


def _say_restart(screen: Screen, made: Settings) -> None:
    if made.door.socket:
        screen.say(
            text("the services take it up with: sudo systemctl restart kaimen-door kaimen-gate")
        )


def _may_stop(holders: Sequence[str], dialogue: Dialogue) -> bool:
    """Ask whether services that hold microphone and pins may be stopped."""
    answer = dialogue.choose(
        text(
            "Services hold the microphone and the pins: {names}. Stop them while you set up?",
            names=" ".join(holders),
        ),
        "yes",
        "no",
        explained=text(
            "While they are stopped nothing opens the door, the exit button included. At the end "
            "they start again, whatever happens, with the settings that were written. no: what "
            "they hold cannot be tried."
        ),
    )
    return answer == "yes"


def _asked(
    arguments: argparse.Namespace,
    dialogue: Dialogue,
    settings: Settings,
    given: dict[str, str],
    content: str,
    target: Path,
) -> tuple[Settings, str] | None:
    """The settings and the file's text as somebody answered and confirmed; None if they did not."""
    with Trials(settings.door, play=arguments.play) as trials:
        try:
            made = Interview(settings, given, dialogue, trials).run()
            new = rendered(content, made)
            dialogue.console.print(_table(settings, made))
            sure = dialogue.choose(
                text("Write {path}?", path=target),
                "yes",
                "no",
                explained=text(
                    "The file is written in one step; what is there now is kept beside it as "
                    "{name}. no: nothing is written.",
                    name=before(target).name,
                ),
            )
        except BaseException:
            trials.give_up()
            raise
        if sure == "no":
            trials.give_up()
            return None
    return made, new


def _known(settings: Settings, screen: Screen) -> dict[str, int]:
    """Return how many students each model enrolled; nothing where no model is to be chosen."""
    if settings.encoder.path:
        return {}
    try:
        return enrolled(settings.gallery.file)
    except GalleryError as error:
        screen.note(f"{error}; the encoder stays {settings.encoder.model}")
        return {}


def _there(source: Path, target: Path) -> tuple[str, Settings]:
    """The text to change and its settings; for a file that is yet to be, where one begins."""
    if source == target and not source.exists():
        content = INSTALLED if target == SYSTEM else FRESH
        return content, Settings.parse(content, target)
    settings = Settings.read(source)  # which says what is wrong with it
    return source.read_text(encoding="utf-8"), settings


def _require_writable(path: Path) -> None:
    """Say it before the first question, not after the last."""
    there = next(each for each in (path.parent, *path.absolute().parents) if each.exists())
    if not os.access(there, os.W_OK):
        raise StorageError(
            f"{path}: this user may not write it; run it with sudo, or write elsewhere with --out"
        )


def _table(old: Settings, new: Settings) -> Table:
    table = Table("", "", "", show_header=False, box=None)
    for question in QUESTIONS:
        was, now = (shown(question.show(question.current(each))) for each in (old, new))
        table.add_row(question.option, now, "" if was == now else text("was {answer}", answer=was))
    return table
