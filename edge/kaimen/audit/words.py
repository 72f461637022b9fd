"""A line of the log in plain words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kaimen.access.decision import FAILED, Verdict
from kaimen.audit.chain import Record
from kaimen.language import later, sentence, text

SCHOOL = {  # what became of the whole of it
    "renewed": later("the school has a new key, and other voiceprints"),
    "resealed": later("a backup was written anew without who was erased"),
    "backup destroyed": later("a backup was struck off the list: it is no more"),
}
PRIVACY = {  # what became of one student
    "consent given": later("consent was given"),
    "consent withdrawn": later("consent was withdrawn"),
    "consent ended": later("consent ended"),
    "voice erased": later("the voice is erased"),
    "erased": later("erased for good"),
    "pin set": later("a PIN was set"),
    "pin removed": later("the PIN was removed"),
}

DOOR = (  # what the door says
    later("relay on"),
    later("relay off"),
    later("state shut"),
    later("state unlocked"),
    later("state passing"),
    later("state locking"),
    later("state ajar"),
    later("state held"),
    later("state forced"),
    later("opened by voice"),
    later("opened by button"),
    later("opened by hand"),
    later("fault voice on"),
    later("fault voice off"),
    later("fault microphone on"),
    later("fault microphone off"),
    later("fault tamper on"),
    later("fault tamper off"),
    later("fault resent on"),
    later("fault resent off"),
)
CONSENTED = (later("student"), later("guardian"))
UNKNOWN = later("unknown")
TURNED_AWAY = {"retry": later("asked for another try"), "refused": later("refused")}

Named = Callable[[str], str]  # what a student's keyed hash is shown as


def told(record: Record, named: Named) -> str:
    """Return what happened, and for a door that stayed shut, why."""
    kind = record.get("kind")
    if kind == "decision":
        return _decision(record, named)
    if kind == "door":
        return text("the door says: {event}", event=text(str(record.get("event"))))
    if kind == "act":
        whom = f": {named(record['student'])}" if record.get("student") else ""
        return f"{record.get('who')} {record.get('did')}{whom}"
    if kind == "gap":
        return text(
            "{count} lines are missing here: they could not be written", count=record.get("lost")
        )
    if kind == "grown":
        figures = _against(record.get("score"), record.get("threshold"))
        return (
            text("a voiceprint of {student} was taken in", student=named(record["student"]))
            + figures
        )
    if kind == "restored":
        return text("a backup of {day} was restored", day=record.get("backup"))
    if kind == "pin":
        whose = text("a card that nobody has")
        if record.get("student"):
            whose = named(record["student"])
        if record.get("verdict") == Verdict.OPEN.value:
            why = record.get("not_opened")
            if why:
                return text("knew {whose} by card and PIN; {why}", whose=whose, why=sentence(why))
            return text("opened for {whose} by card and PIN", whose=whose)
        why = sentence(str(record.get("why")))
        return text("card and PIN refused: {whose}, {why}", whose=whose, why=why)
    if kind in SCHOOL:
        return text(SCHOOL[kind])
    if kind in PRIVACY:
        return f"{named(record['student'])}{text(': ')}{text(PRIVACY[kind])}{_details(record)}"
    return sentence(str(record.get("event", kind)))


def _details(record: Record) -> str:
    until = text(", until {day}", day=record["until"]) if record.get("until") else ""
    by = text(" by the {who}", who=text(record["by"])) if record.get("by") else ""
    return by + until


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
    tries = text(" in two tries") if record.get("pooled") is not None else ""
    if verdict == Verdict.OPEN.value:
        student = f"{named(record['student'])}{tries}{figures}"
        why = record.get("not_opened")
        if why:
            return text("knew {student}; {why}", student=student, why=sentence(why))
        return text("opened for {student}", student=student)
    claim = ""
    if record.get("claim"):
        claim = text(", who claimed to be {known}", known=named(record["claim"]))
    word = text(TURNED_AWAY.get(str(verdict), UNKNOWN))
    return f"{word}{claim}{text(': ')}{_why(record, named, tries, figures)}"


def _why(record: Record, named: Named, tries: str, figures: str) -> str:
    nearest = [each["student"] for each in record.get("nearest", ())]
    checks: dict[str, list[Any]] = record.get("checks") or {}
    failed = [name for name, (score, least) in checks.items() if not _reached(score, least)]
    if failed:
        name = failed[0]
        why = (
            text(FAILED[name]) if name in FAILED else text("but the check {name} failed", name=name)
        )
        like = text("the voice is like {known}", known=named(nearest[0]))
        return f"{like}{tries}{text(', ')}{why}{_against(*checks[name])}"
    if not nearest:
        if record.get("verdict") == Verdict.RETRY.value:
            return sentence("this door wants to know first who you are")
        if record.get("verdict") == Verdict.REFUSED.value:
            if record.get("threshold") is None:  # it was shut for everybody
                return text("the door opened for nobody at that time; run 'kaimen doctor'")
            return text("not listened to, after too many unknown voices")
        if record.get("claim"):
            return text("not enrolled, or may not enter at that time")
        return text("nobody is enrolled who may enter at that time")
    if record.get("threshold") is None:
        return text("the door is not armed; run 'kaimen doctor'")
    if _reached(record.get("score"), record["threshold"]):
        like = text("the voice is like {known}", known=named(nearest[0]))
        return f"{like}{tries}{figures}{text(', ')}{text('but more was asked for')}"
    near = text("nearest is {known}", known=named(nearest[0]))
    return f"{text('no voice is near enough')}{tries}{text('; ')}{near}{figures}"


def _reached(score: float | None, least: float | None) -> bool:
    return score is not None and least is not None and score >= least


def _against(score: float | None, least: float | None) -> str:
    """Say a score and what it had to reach."""
    if score is None or least is None:
        return ""
    if least < 0:  # the less, the better: how like a recording, or a loudspeaker
        most = f"{-least:.2f}"
        return text(" ({score}, at most {most} may be)", score=f"{-score:.2f}", most=most)
    return text(" ({score}, {least} is needed)", score=f"{score:.2f}", least=f"{least:.2f}")
