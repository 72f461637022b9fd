"""What happens at the gate, in plain words: English texts, translated where they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kaimen.console.language import Translator, later

# Causes of a decision, as ``Decision.cause`` calls them.
CAUSES = {
    "open": later("The voice is known."),
    "shut": later("The door stays shut: {shut}."),
    "wait": later("Too many unknown voices; the door hears again in {wait} s."),
    "asked": later("Some words were asked for."),
    "more": later("More was asked for: {wanted}."),
    "nobody": later("Nobody is enrolled who may enter now."),
    "may not": later("Whoever was claimed to come is not enrolled, or may not enter now."),
    "not now": later("The voice is nearer to a student's who may not enter now."),
    "another": later("The voice is nearer to another student's than to the claimed one's."),
    "phrase": later("The voice is known, but these are not the words that were enrolled."),
    "loudspeaker": later("The voice is known, but it sounds like a loudspeaker."),
    "replay": later("The voice is known, but it was heard before: a recording."),
    "stored": later("What is stored of the student was changed; enroll them again."),
    "not armed": later("No voice opens this door: it is not armed; calibrate it."),
    "far": later("No voice that is enrolled is near enough."),
}
NEARLY = later("The voice is nearly known; it was asked to speak once more.")

VERDICTS = {
    "open": (later("Opened"), "good"),
    "retry": (later("Once more"), "warn"),
    "unknown": (later("Unknown"), "warn"),
    "refused": (later("Refused"), "bad"),
}

DOOR = {
    "": (later("Not known"), "warn"),
    "shut": (later("Shut"), "good"),
    "unlocked": (later("Unlocked"), "warn"),
    "passing": (later("Open, somebody passes"), "warn"),
    "locking": (later("Locking"), "warn"),
    "ajar": (later("Open after its time"), "warn"),
    "held": (later("Held open for too long"), "bad"),
    "forced": (later("Forced open"), "bad"),
    "gone": (later("The door's process has ended"), "bad"),
}

FAULTS = {
    "voice": later("the gate gives no sign of life"),
    "microphone": later("the gate has no microphone"),
    "tamper": later("the box is open"),
    "resent": later("the gate opened too often; the relay rests"),
}

CHECKS = {
    "phrase": later("Words"),
    "loudspeaker": later("Loudspeaker"),
    "replay": later("Replay"),
    "stored": later("Stored"),
}


def why(decision: Mapping[str, Any], text: Translator, sentence: Callable[[str], str]) -> str:
    """Return why a decision of the feed was made, with no name in it.

    ``text`` gives a page's text in a language, ``sentence`` what the gate says of itself.
    """
    cause = str(decision.get("cause", ""))
    if cause == "far" and decision.get("verdict") == "retry":
        return text(NEARLY)
    values = {name: sentence(str(decision.get(name, ""))) for name in ("shut", "wait", "wanted")}
    return text(CAUSES.get(cause, cause), **values)
