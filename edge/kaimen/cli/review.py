"""``kaimen review``: doubtful phrases, listened to."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from kaimen.audit import files_of, latest
from kaimen.cli.options import add_file, add_flag
from kaimen.console.acts import Acts
from kaimen.enrollment.enrollment import Status
from kaimen.errors import GalleryError, RecordingError, SettingsError
from kaimen.installation import Installation
from kaimen.local_time import local
from kaimen.registry.kept_phrases import KeptPhrases, Mark
from kaimen.review.enrolling import enroll_phrase
from kaimen.review.measured import Estimate, measured
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.storage import require_folder, write_whole

EXAMPLE = """example:
  kaimen review                                           (what is kept)
  kaimen review save 20260901T055812-3fa9c1 --out heard.flac
  kaimen review right 20260901T055812-3fa9c1              (the gate was right)
  kaimen review wrong 20260901T063140-77b0e2 20260902T055903-0d41aa
  kaimen review enroll 20260901T063140-77b0e2 --student s0001
  kaimen review erase --all
  kaimen review figures

Nothing is kept unless [review] days in the settings says for how long. Keep to what the students,
and their guardians, were told."""

WHAT = ("list", "save", "right", "wrong", "enroll", "erase", "figures")
DID = {  # as the console writes it down
    "save": "listened to a kept phrase",
    "right": "marked a kept phrase",
    "wrong": "marked a kept phrase",
    "enroll": "enrolled a kept phrase",
    "erase": "erased a kept phrase",
}
MARKED = {True: "right", False: "wrong", None: ""}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("what", nargs="?", choices=WHAT, default="list", help="list without one")
    parser.add_argument("phrases", nargs="*", metavar="PHRASE", help="numbers, as the list says")
    add_file(parser, "--out", "save: a FLAC file to listen to")
    parser.add_argument("--student", metavar="NAME", help="enroll: whose recording it becomes")
    add_flag(parser, "--all", "erase: all that is kept")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """List, save, mark, enroll, erase, or say what was marked comes to."""
    what, numbers = arguments.what, list(arguments.phrases)
    _require_usage(what, numbers, arguments)
    with Installation.open(Settings.read(arguments.config), screen) as installation:
        phrases = installation.kept_phrases
        if what in DID:
            missing = set(numbers) - set(phrases.numbers())
            if missing:  # all are there, or nothing is done
                raise GalleryError(f"{min(missing)}: no such phrase is kept; see 'kaimen review'")
            _write_down(installation, DID[what], numbers)
        if what == "list":
            _list(phrases, installation.settings, screen)
        elif what == "save":
            _save(phrases, numbers[0], arguments.out, screen)
        elif what in ("right", "wrong"):
            _mark(phrases, numbers, what == "right", screen)
        elif what == "enroll":
            return _enroll(installation, phrases, numbers[0], arguments.student, screen)
        elif what == "erase":
            _erase(phrases, None if arguments.all else numbers, screen)
        else:
            _figures(installation, phrases, screen)
    return 0


def _require_usage(what: str, numbers: Sequence[str], arguments: argparse.Namespace) -> None:
    """Raise SettingsError with what is missing."""
    one = what in ("save", "enroll")
    if one and len(numbers) != 1:
        raise SettingsError(f"give one phrase: kaimen review {what} NUMBER; see 'kaimen review'")
    if what in ("right", "wrong") and not numbers:
        raise SettingsError(f"give phrases: kaimen review {what} NUMBER...; see 'kaimen review'")
    if what == "erase" and bool(numbers) == arguments.all:
        raise SettingsError("give phrases to erase, or --all")
    if what in ("list", "figures") and numbers:
        raise SettingsError(f"kaimen review {what} takes no phrase")
    if (what == "save") != (arguments.out is not None):
        raise SettingsError("--out FILE goes with 'kaimen review save NUMBER'")
    if (what == "enroll") != (arguments.student is not None):
        raise SettingsError("--student NAME goes with 'kaimen review enroll NUMBER'")
    if arguments.out is not None:
        require_folder(arguments.out)


def _write_down(installation: Installation, did: str, numbers: Sequence[str]) -> None:
    """Write down who does what before it is done. Raises StorageError: then it is not."""
    who = f"{getpass.getuser()} at the terminal"
    acts = Acts(installation.acts_folder, installation.acts_key)
    for number in numbers or ["all"]:
        acts.write(who, did, phrase=number)


def _list(phrases: KeptPhrases, settings: Settings, screen: Screen) -> None:
    marks = {mark.number: mark.right for mark in phrases.marks()}
    table = Table("phrase", "when", "what was decided", "marked", box=None, pad_edge=False)
    count = 0
    for phrase in phrases.phrases():
        count += 1
        at, told = phrase.at.isoformat(), phrase.told
        marked = MARKED[marks.get(phrase.number)]
        screen.result({"phrase": phrase.number, "at": at, **told, "marked": marked or None})
        said = f"{told['verdict']}: {told['reason']}"
        table.add_row(phrase.number, local(at), said, marked)
    if count:
        screen.show(table)
    else:
        days = settings.review.days
        why = f"for {days} days" if days else "until [review] days in the settings says so"
        screen.say(f"no phrase is kept; doubtful ones are {'' if days else 'not '}kept {why}")


def _save(phrases: KeptPhrases, number: str, path: Path, screen: Screen) -> None:
    sound = phrases.sound(number)
    write_whole(path, sound, private=True)
    screen.result({"phrase": number, "file": str(path)}, f"{path!s} is written; delete it again")


def _mark(phrases: KeptPhrases, numbers: Sequence[str], right: bool, screen: Screen) -> None:
    for phrase in [phrases.phrase(number) for number in numbers]:
        phrases.mark(Mark(phrase.number, phrase.told["stratum"], right))
        said = MARKED[right]
        screen.result({"phrase": phrase.number, "marked": said}, f"{phrase.number}: {said}")


def _enroll(
    installation: Installation, phrases: KeptPhrases, number: str, student: str, screen: Screen
) -> int:
    gallery = installation.gallery
    outcome = enroll_phrase(phrases, number, student, gallery, installation.encoder)
    if outcome.status is not Status.ENROLLED:
        for refusal in outcome.refused:
            screen.error(RecordingError(refusal.reason, Path(refusal.path)))
        return RecordingError.exit_code
    gallery.save(screen.progress)
    screen.result(
        {"phrase": number, "student": student, "recordings": outcome.recordings},
        f"{student} has {outcome.recordings} recordings now",
    )
    installation.arming.calibrate_or_say()
    return 0


def _erase(phrases: KeptPhrases, numbers: Sequence[str] | None, screen: Screen) -> None:
    if numbers is None:
        count = phrases.erase_all()
    else:
        for number in numbers:
            phrases.erase(number)
        count = len(numbers)
    screen.result({"erased": count}, f"{count} phrases are erased; what was marked stays")


def _figures(installation: Installation, phrases: KeptPhrases, screen: Screen) -> None:
    folder = installation.log_folder
    records = latest(folder, installation.log_key) if files_of(folder) else iter(())
    found = measured(records, phrases.marks())
    if found.since is None:
        screen.result(found.fields, "nothing is marked yet; listen to phrases of 'kaimen review'")
        return
    table = Table("phrases", "heard", "marked", "wrong", box=None, pad_edge=False)
    for name, each in found.strata.items():
        table.add_row(name.value, *map(str, (each.phrases, each.marked, each.wrong)))
    screen.result(found.fields, table)
    screen.show(f"since {local(found.since.isoformat())}, phrase by phrase:")
    screen.show(f"FNIR {_told(found.fnir)}: students' phrases that did not open")
    screen.show(f"false openings {_told(found.false_openings)}: for somebody else")
    screen.show(f"FPIR {_told(found.fpir)}: strangers' phrases that opened")


def _told(share: Estimate) -> str:
    value = "not known yet" if share.value is None else f"{share.value:.1%}"
    return f"{value} ({share.low:.1%} to {share.high:.1%})"
