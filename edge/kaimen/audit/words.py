"""A line of the log in plain words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kaimen.access.decision import FAILED, Verdict
from kaimen.audit.chain import Record

SCHOOL = {  # what became of the whole of it
    "renewed": "the school has a new key, and other voiceprints",
    "resealed": "a backup was written anew without who was erased",
    "backup destroyed": "a backup was struck off the list: it is no more",
}
PRIVACY = {  # what became of one student
    "consent given": "consent was given",
    "consent withdrawn": "consent was withdrawn",
    "consent ended": "consent ended",
    "voice erased": "the voice is erased",
    "erased": "erased for good",
    "pin set": "a PIN was set",
    "pin removed": "the PIN was removed",
}

Named = Callable[[str], str]  # what a student's keyed hash is shown as


def told(record: Record, named: Named) -> str:
    """Return what happened, and for a door that stayed shut, why."""
    kind = record.get("kind")
    if kind == "decision":
        return _decision(record, named)
    if kind == "door":
        return f"the door says: {record.get('event')}"
    if kind == "act":
        whom = f": {named(record['student'])}" if record.get("student") else ""
        return f"{record.get('who')} {record.get('did')}{whom}"
    if kind == "gap":
        return f"{record.get('lost')} lines are missing here: they could not be written"
    if kind == "grown":
        figures = _against(record.get("score"), record.get("threshold"))
        return f"a voiceprint of {named(record['student'])} was taken in{figures}"
    if kind == "restored":
        return f"a backup of {record.get('backup')} was restored"
    if kind == "pin":
        whose = named(record["student"]) if record.get("student") else "a card that nobody has"
        if record.get("verdict") == Verdict.OPEN.value:
            why = record.get("not_opened")
            return (
                f"knew {whose} by card and PIN; {why}"
                if why
                else f"opened for {whose} by card and PIN"
            )
        return f"card and PIN refused: {whose}, {record.get('why')}"
    if kind in SCHOOL:
        return SCHOOL[kind]
    if kind in PRIVACY:
        return f"{named(record['student'])}: {PRIVACY[kind]}{_details(record)}"
    return str(record.get("event", kind))


def _details(record: Record) -> str:
    until = f", until {record['until']}" if record.get("until") else ""
    return f" by the {record['by']}{until}" if record.get("by") else until


def turned_away(record: Record) -> bool:
    """Return whether a line tells of somebody who was not let in."""
    opened = record.get("verdict") == Verdict.OPEN.value and not record.get("not_opened")
    return record.get("kind") in ("decision", "pin") and not opened


def about(record: Record) -> set[str]:
    """Return the keyed hashes of whom a line is about: let in, claimed to be, or the nearest."""
    nearest = [each["student"] for each in record.get("nearest", ())[:1]]
    return {each for each in (record.get("student"), record.get("claim"), *nearest) if each}


def _decision(record: Record, named: Named) -> str:
    verdict, figures = record.get("verdict"), _against(record.get("score"), record.get("threshold"))
    tries = " in two tries" if record.get("pooled") is not None else ""
    if verdict == Verdict.OPEN.value:
        student = f"{named(record['student'])}{tries}{figures}"
        why = record.get("not_opened")
        return f"knew {student}; {why}" if why else f"opened for {student}"
    claim = f", who claimed to be {named(record['claim'])}" if record.get("claim") else ""
    word = {"retry": "asked for another try", "refused": "refused"}.get(str(verdict), "unknown")
    return f"{word}{claim}: {_why(record, named, tries, figures)}"


def _why(record: Record, named: Named, tries: str, figures: str) -> str:
    nearest = [each["student"] for each in record.get("nearest", ())]
    checks: dict[str, list[Any]] = record.get("checks") or {}
    failed = [name for name, (score, least) in checks.items() if not _reached(score, least)]
    if failed:
        name = failed[0]
        why = FAILED.get(name, f"but the check {name} failed").removeprefix("but ")
        return f"the voice is like {named(nearest[0])}{tries}, but {why}{_against(*checks[name])}"
    if not nearest:
        if record.get("verdict") == Verdict.REFUSED.value:
            return "not listened to, after too many unknown voices"
        if record.get("claim"):
            return "not enrolled, or may not enter at that time"
        return "nobody is enrolled who may enter at that time"
    if record.get("threshold") is None:
        return "the door is not armed; run 'kaimen doctor'"
    if _reached(record.get("score"), record["threshold"]):
        return f"the voice is like {named(nearest[0])}{tries}{figures}, but more was asked for"
    return f"no voice is near enough{tries}; nearest is {named(nearest[0])}{figures}"


def _reached(score: float | None, least: float | None) -> bool:
    return score is not None and least is not None and score >= least


def _against(score: float | None, least: float | None) -> str:
    """Say a score and what it had to reach."""
    if score is None or least is None:
        return ""
    if least < 0:  # the less, the better: how like a recording, or a loudspeaker
        return f" ({-score:.2f}, at most {-least:.2f} may be)"
    return f" ({score:.2f}, {least:.2f} is needed)"
