"""What became of a student, or of all, as a person or a program reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.table import Table

from kaimen.enrollment.enrollment import Outcome, Status
from kaimen.enrollment.judging import Refusal, Remark
from kaimen.language import later, sentence, text
from kaimen.screen import Screen
from kaimen.terminal import BAD, GOOD, WARNING, styled

WANTED = 5  # recordings a student
NEEDED = 3  # below which a person is told that more would help
STUDENTS = {
    Status.ENROLLED: later("students enrolled"),
    Status.CHANGED: later("students changed"),
    Status.UNCHANGED: later("students unchanged"),
    Status.REFUSED: later("students refused"),
}
KINDS = (  # of refusals, as a person reads them
    later("NoSpeech"), later("Clipped"), later("TooNoisy"), later("TooShort"),
    later("SeveralPhrases"), later("Repeated"), later("NotLikeTheOthers"), later("AlikeAnother"),
    later("NotEnrolled"), later("UnreadableRecording"), later("UnsupportedFormat"),
    later("RecordingTooLong"), later("BrokenSamples"),
)  # fmt: skip


def show(outcome: Outcome, screen: Screen) -> None:
    """Say what became of a student; people are spared what is as it was."""
    for refusal in outcome.refused:
        screen.result(
            {
                "student": outcome.student,
                "path": refusal.path,
                "error": refusal.reason,
                "kind": refusal.kind,
                "alike": refusal.alike,
            }
        )
    for reason, paths in _by_reason(outcome.refused).items():
        screen.say(styled(BAD, f" {_of(outcome, paths)}{sentence(reason)}"))
    for reason, paths in _by_reason(outcome.remarks).items():
        screen.result(
            {"student": outcome.student, "paths": paths, "warning": reason},
            styled(WARNING, f" {_of(outcome, paths)}{sentence(reason)}"),
        )
    said: dict[str, str | int] = {
        "student": outcome.student,
        "recordings": outcome.recordings,
        "refused": len(outcome.refused),
    }
    name = outcome.student
    if outcome.status is Status.ENROLLED:
        more = ""
        if outcome.replaced:
            said["replaced"] = outcome.replaced
            more = text(" in place of {count}", count=outcome.replaced)
        if outcome.recordings < NEEDED:
            more += text("; {count}, two of them on another day, would be safer", count=WANTED)
        count = outcome.recordings
        told = text("{name}: {count} recordings{more}", name=name, count=count, more=more)
        screen.result(said, styled(GOOD, f" {told}"))
    elif outcome.status is Status.CHANGED:
        told = text("{name}: group or consent", name=name)
        screen.result({**said, "changed": True}, styled(GOOD, f" {told}"))
    elif outcome.status is Status.UNCHANGED:
        screen.result({**said, "unchanged": True})
    else:
        stays = text("stays as they were") if outcome.recordings else text("not enrolled")
        told = text("{name}: no recording could be used; {stays}", name=name, stays=stays)
        screen.say(styled(BAD, f" {told}"))


def _of(outcome: Outcome, paths: Sequence[str]) -> str:
    if len(paths) == 1:
        return f"{paths[0]}: "
    return text("{name}: {count} recordings: ", name=outcome.student, count=len(paths))


def _by_reason(told: Iterable[Refusal | Remark]) -> dict[str, list[str]]:
    """Return the paths of recordings by what is to be said of them."""
    found: dict[str, list[str]] = {}
    for each in told:
        found.setdefault(each.reason, []).append(each.path)
    return found


def summary(counts: Counter[str], kinds: Counter[str]) -> Table:
    """Return how many students and recordings there were of each kind."""
    table = Table("", text("count"), box=None, pad_edge=False)
    for status in Status:
        if counts[status.value]:
            table.add_row(text(STUDENTS[status]), str(counts[status.value]))
    for kind, count in kinds.most_common():
        table.add_row(text("recordings refused: {kind}", kind=text(kind)), str(count))
    return table
