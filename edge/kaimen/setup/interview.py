"""The questions in their order; what can be tried is tried as soon as it is answered."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.live import Live
from rich.text import Text

from kaimen.door.panel import Input
from kaimen.errors import DeviceError, RecordingError, SettingsError
from kaimen.language import later, sentence, text
from kaimen.settings import Settings
from kaimen.setup.dialogue import Dialogue, shown
from kaimen.setup.questions import (
    ACTIVE,
    BUTTON,
    CLOSED,
    CONTACT,
    LEASE,
    MICROPHONE,
    MODEL,
    NOT_WIRED,
    QUESTIONS,
    READER,
    RELAY,
    Question,
    microphone_of,
)
from kaimen.setup.trials import LEASE as TRIAL
from kaimen.setup.trials import LISTENED, Trials
from kaimen.sound import Samples
from kaimen.sound.loudness import Loudness, decibels

LOOK = 0.01  # seconds between two looks at a pin
BAR = 40  # characters of the meter: 2 dB each
LOWEST = -80.0  # dB at the meter's left
FREE_PINS = later(
    "not tried; where Kaimen runs, 'sudo systemctl stop kaimen-gate kaimen-door' frees the pins"
)


def unasked(settings: Settings, given: Mapping[str, str]) -> Settings:
    """Return the settings with the answers that were given, by option. Raises SettingsError."""
    made = _unwired(settings)
    for question in QUESTIONS:
        if question.option in given:
            try:
                made = question.taken(made, question.read(given[question.option]))
            except SettingsError as error:
                raise SettingsError(f"--{question.option}: {error}") from None
        else:
            made = question.taken(made, question.current(settings))
    return made


def _unwired(settings: Settings) -> Settings:
    """Leave out what is asked after the relay: its pin may become the relay's."""
    door = replace(settings.door, contact=NOT_WIRED, button=NOT_WIRED)
    return replace(settings, door=door)


class Interview:
    """Asks somebody. What was given as an option is not asked, unless its trial fails."""

    def __init__(
        self, settings: Settings, given: Mapping[str, str], dialogue: Dialogue, trials: Trials
    ) -> None:
        self._began = settings  # whose values are the defaults
        self._made = _unwired(settings)
        self._given = dict(given)
        self._dialogue = dialogue
        self._trials = trials

    def run(self) -> Settings:
        """Ask everything; the settings with all answers. Raises KeyboardInterrupt."""
        self._dialogue.say(self._trials.pins)
        if MODEL.option in self._given:  # the board chooses, not a person
            self._ask(MODEL)
        self._microphone()
        while not self._relay():
            pass
        self._ask(LEASE)
        while not self._contact():
            pass
        while not self._button():
            pass
        self._reader()
        return self._made

    def _ask(self, question: Question) -> Any:
        """Ask until the answer fits the others; it is the default if it is asked again."""
        given = self._given.pop(question.option, None)
        if given is not None:
            try:
                value = self._take(question, question.read(given))
            except SettingsError as error:
                self._dialogue.say(f"  ✗ --{question.option}: {sentence(str(error))}")
            else:
                self._dialogue.say(f"{text(question.text)}: {shown(question.show(value))}")
                return value
        return self._dialogue.ask(
            text(question.text),
            lambda answer: self._take(question, question.read(answer)),
            default=self._default(question),
            explained=text(question.explained),
        )

    def _take(self, question: Question, value: Any) -> Any:
        """Take an answer that fits the others. Raises SettingsError."""
        made = question.taken(self._made, value)
        try:
            began = question.taken(self._began, value)
        except SettingsError:
            # Of settings that were valid, one may be at odds with new ones: its default is none.
            began = question.taken(_unwired(self._began), value)
        self._made, self._began = made, began
        return value

    def _default(self, question: Question) -> str:
        value = question.current(self._began)
        try:
            question.taken(self._made, value)
        except SettingsError:
            value = NOT_WIRED
        return question.show(value)

    # The microphone

    def _microphone(self) -> None:
        try:
            names = self._trials.microphones()
        except DeviceError as error:
            self._dialogue.say(f"✗ {sentence(str(error))}")
            names = []
        if not names:
            self._dialogue.say(text("no microphone is found: a name can be set, and is not tried"))
        for number, name in enumerate(names, 1):
            self._dialogue.say(f"  {number}  {name}")
        question = replace(MICROPHONE, read=microphone_of(names))
        while True:
            name = self._ask(question)
            if not names or self._heard(name):
                return

    def _heard(self, name: str) -> bool:
        """Show the meter; return whether this microphone is to be kept."""
        self._dialogue.say(
            text(
                "Say the passphrase a few times, as at the gate ({seconds} s)",
                seconds=f"{LISTENED:g}",
            )
        )
        try:
            with Live(console=self._dialogue.console, transient=True, auto_refresh=False) as live:
                found = self._trials.listen(name, lambda block: _show(live, block))
        except (DeviceError, RecordingError) as error:
            self._dialogue.say(f"  ✗ {sentence(str(error))}")
            told = text("a gate that runs holds it: 'sudo systemctl stop kaimen-gate'")
            self._dialogue.say(f"  {told}")
            verdict = ("no", "yes")
        else:
            good, said = judged(found)
            self._dialogue.say(f"  {'✓' if good else '✗'} {self._trials.heard}: {said}")
            verdict = ("yes", "no") if good else ("no", "yes")
        kept = self._dialogue.choose(
            text("Keep {name}?", name=name or text("the default microphone")),
            *verdict,
            explained=text("no: the microphone is asked for again, and listened to again."),
        )
        return kept == "yes"

    # The relay

    def _relay(self) -> bool:
        """Pin and polarity, tried by one lease; whether they are right."""
        self._ask(RELAY)
        self._ask(ACTIVE)
        while True:
            tried = self._dialogue.choose(
                text("Switch the relay on for {seconds} s? Watch the door", seconds=f"{TRIAL:g}"),
                "yes",
                "skip",
                explained=text("skip: pin and polarity stay as they are answered, untried."),
            )
            if tried == "skip":
                return True
            try:
                self._trials.lease(self._made.door)
            except DeviceError as error:
                self._dialogue.say(f"  ✗ {sentence(str(error))}")
                self._dialogue.say(f"  {text(FREE_PINS)}")
                return True
            answer = self._dialogue.choose(
                text("Did the door open, and lock again?"),
                "yes",
                "no",
                "reversed",
                explained=text(
                    "no: asks for the pin again. reversed: it was open all the time but for "
                    "that moment, so the level is changed and tried again."
                ),
            )
            if answer != "reversed":
                return answer == "yes"
            active = not self._made.door.active_high
            self._take(ACTIVE, active)
            level = shown(ACTIVE.show(active))
            self._dialogue.say("  " + text("the relay is on when {level}", level=level))

    # Contact and button

    def _contact(self) -> bool:
        if self._ask(CONTACT) == NOT_WIRED:
            return True
        closed = self._ask(CLOSED)
        self._dialogue.say(text("Open and close the door; Enter goes on"))

        def state(contact: Input) -> str:
            return text("closed") if contact.low == (closed == "low") else text("open")

        return not self._watch(CONTACT, state) or self._was_right(
            text(
                "no: pin and level are asked again. If it was the other way round, answer "
                "with the other level."
            )
        )

    def _button(self) -> bool:
        if self._ask(BUTTON) == NOT_WIRED:
            return True
        self._dialogue.say(text("Press the exit button, and let it go; Enter goes on"))

        def state(button: Input) -> str:
            return text("pressed") if button.low else text("not pressed")

        return not self._watch(BUTTON, state) or self._was_right(
            text("no: its pin is asked again.")
        )

    def _was_right(self, explained: str) -> bool:
        answer = self._dialogue.choose(text("Was that right?"), "yes", "no", explained=explained)
        return answer == "yes"

    def _reader(self) -> None:
        path = self._ask(READER)
        if path and not Path(path).exists():
            self._dialogue.say(
                "  " + text("{path} is not there now; the gate waits for it", path=path)
            )

    def _watch(self, question: Question, state: Any) -> bool:
        """Tell what an input is, and every change, until Enter; whether it could be looked at."""
        pin = question.current(self._made)
        try:
            found = self._trials.input(pin, question.option)
        except DeviceError as error:
            self._dialogue.say(f"  ✗ {sentence(str(error))}")
            self._dialogue.say(f"  {text(FREE_PINS)}")
            return False
        with closing(found):
            self._dialogue.say(f"  {state(found)}")
            while not self._dialogue.entered(LOOK):
                if found.changed(time.monotonic()):
                    self._dialogue.say(f"  {state(found)}")
        return True


def _show(live: Live, block: Samples) -> None:
    level = decibels(block)
    filled = max(0, min(BAR, round((level - LOWEST) / -LOWEST * BAR)))
    colour = "red" if level > -6 else "green" if level > -50 else "yellow"
    live.update(
        Text.assemble(f"{level:6.0f} dB ", ("█" * filled, colour), "░" * (BAR - filled)),
        refresh=True,
    )


def judged(found: Loudness) -> tuple[bool, str]:
    """Return whether somebody was heard well, and a sentence that says so."""
    level, floor = f"{found.level:.0f}", f"{found.floor:.0f}"
    at = text("level {level} dB, noise floor {floor} dB", level=level, floor=floor)
    if found.mute:
        return False, text("mute ({at}): turn it on, or up with 'alsamixer'", at=at)
    if found.too_loud:
        share = f"{found.clipped:.0%}"
        return False, text("too loud ({at}, {share} is cut off): turn it down", at=at, share=share)
    if not found.stands_out:
        return False, text(
            "too quiet ({at}): speak as at the gate, go closer, or turn it up", at=at
        )
    return True, text("good ({at})", at=at)
