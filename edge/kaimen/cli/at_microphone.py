"""Enrollment at a microphone for the command line: the meter, the door's lights, the events."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Self

from rich.console import Group
from rich.live import Live
from rich.text import Text

from kaimen.cli.options import add_file
from kaimen.enrollment.advice import Advice
from kaimen.enrollment.at_microphone import BEEP, HeardLevel
from kaimen.enrollment.chance import ANOTHER_DAY
from kaimen.enrollment.coach import WANTED, TakeJudgement
from kaimen.enrollment.door_lights import DoorLights
from kaimen.enrollment.enrollment import Outcome, Status
from kaimen.enrollment.entries import Entry
from kaimen.errors import SettingsError
from kaimen.gallery.gallery import Gallery
from kaimen.gate.loan import LentMicrophone
from kaimen.installation import Installation
from kaimen.language import sentence, text
from kaimen.microphone_enrollment import MicrophoneEnrollment, gate_microphone
from kaimen.screen import Screen
from kaimen.sound import Source
from kaimen.sound.played import Played
from kaimen.terminal import BAD, GOOD, styled

COLUMNS = 60  # of the meter
BAR = 30  # characters of it: 2 dB each
LOWEST = -60.0  # dB at its left


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options of an enrollment at a microphone."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--microphone", metavar="STUDENT",
        help=f"enroll this student at the gate's microphone: {WANTED} takes, with advice",
    )  # fmt: skip
    where.add_argument(
        "--kiosk", metavar="STUDENT",
        help="the same at the running gate, by the door's lights and sounds alone",
    )  # fmt: skip
    parser.add_argument(
        "--replace-recording", metavar="NUMBER", type=int,
        help="one take at the microphone comes in place of this recording",
    )  # fmt: skip
    add_file(parser, "--play", "a recording in the microphone's place")


def outcomes(
    entry: Entry,
    arguments: argparse.Namespace,
    installation: Installation,
    gallery: Gallery,
    screen: Screen,
) -> Iterator[Outcome]:
    """Hear a student's takes, then enroll them; nothing is written before the last one is good.

    Raises SettingsError, DeviceError, NoSpeech, GalleryError and StorageError.
    """
    number, add = arguments.replace_recording, arguments.add
    enrollment = MicrophoneEnrollment(
        installation, gallery, entry, add=add, replace=arguments.replace, in_place_of=number
    )
    source: AbstractContextManager[Source]
    if arguments.play:
        source = nullcontext(Played.open(arguments.play))
    else:
        source = gate_microphone(installation, of_gate=bool(arguments.kiosk))
    with source as opened:
        door = DoorLights(_lights_of(opened)) if arguments.kiosk else None
        with _Shown(screen, live=door is None) as shown:
            for event in enrollment.hear(opened, deaf=0.0 if door is None else BEEP):
                shown.event(event)
                if door is not None:
                    door.event(event)
    outcome = enrollment.write(accept_alike=arguments.accept_alike, dry=arguments.dry_run)
    yield outcome
    if outcome.status is Status.ENROLLED and not (add or number or arguments.dry_run):
        screen.say(
            text(
                "how it will be another day is not known from takes of today; in a test by "
                "telephone, {share} of tries were turned away days later",
                share=f"{ANOTHER_DAY:.0%}",
            )
        )
        screen.say(f"another day: kaimen enroll --microphone {entry.student} --add")


def _lights_of(source: Source) -> Callable[[str], None]:
    if not isinstance(source, LentMicrophone):
        raise SettingsError("--kiosk is of the running gate; leave --play out")
    return source.show


class _Shown:
    """What a person at the terminal, or a program, sees of it; ``live`` for a meter, too."""

    def __init__(self, screen: Screen, *, live: bool) -> None:
        self._screen = screen
        self._advice = Advice.SPEAK
        self._progress = 0
        self._live = None
        if live and not screen.as_json and screen.beside.is_terminal:
            self._live = Live(console=screen.beside, transient=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._screen.say("" if self._live else text(Advice.SPEAK.value))
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def event(self, event: HeardLevel | TakeJudgement) -> None:
        """Show a level, or what became of a take."""
        if isinstance(event, HeardLevel):
            self._level(event)
        else:
            self._take(event)

    def _level(self, event: HeardLevel) -> None:
        if self._screen.as_json:
            fields = {"event": "level", "level": round(event.level, 1), "speaking": event.speaking}
            self._screen.result(fields)
        elif self._live is not None:
            told = [self._advice.english, self._advice.chinese]
            lines = Group(meter(event, self._progress), *map(Text, told))
            self._live.update(lines, refresh=True)

    def _take(self, event: TakeJudgement) -> None:
        self._advice, self._progress = event.advice, event.progress
        self._screen.result(as_fields(event), None if self._live is not None else _line(event))
        if self._live is not None:
            self._screen.say(_line(event))


def meter(event: HeardLevel, progress: int) -> Text:
    """Return the level as a bar of at most COLUMNS columns, and how far the enrollment is."""
    filled = round(BAR * min(1.0, max(0.0, (event.level - LOWEST) / -LOWEST)))
    bar = "█" * filled + "░" * (BAR - filled)
    heard = text("speaking") if event.speaking else ""
    return styled(f"{bar} {event.level:4.0f} dB {progress:3d} % {heard}")


def as_fields(event: TakeJudgement) -> dict[str, object]:
    """Return a judgement for a program."""
    return {
        "event": "take",
        "take": event.number,
        "kept": event.kept,
        "advice": event.advice.name.lower(),
        "english": event.advice.english,
        "chinese": event.advice.chinese,
        "reason": event.reason or None,
        "good": event.good,
        "progress": event.progress,
        "chance": event.chance,
        "complete": event.complete,
        "quality": event.quality and asdict(event.quality),
    }


def _line(event: TakeJudgement) -> Text:
    """Return a judgement for a person, in one line."""
    why = text(" ({why})", why=sentence(event.reason)) if event.reason else ""
    chance = ""
    if event.chance is not None:
        chance = text(
            "; today, by this microphone, turned away about {share} of the time",
            share=f"{event.chance:.0%}",
        )
    said = text(
        "take {number}{why}: {advice} {progress} %{chance}",
        number=event.number,
        why=why,
        advice=text(event.advice.value),
        progress=event.progress,
        chance=chance,
    )
    return styled(GOOD if event.kept else BAD, f" {said}")
