"""``kaimen enroll``: recordings become students of the gallery."""

from __future__ import annotations

import argparse
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from kaimen.calibration.calibration import Calibration
from kaimen.cli import at_microphone
from kaimen.cli.enroll_outcome import show, summary
from kaimen.cli.options import add_file, add_flag
from kaimen.enrollment.enrollment import Outcome, Status, enroll
from kaimen.enrollment.entries import Entry, day_of, entries_in
from kaimen.enrollment.judging import Refusal, Task, contents_of, sources_of
from kaimen.enrollment.litter import is_litter
from kaimen.enrollment.workers import on_cluster, workers_for
from kaimen.errors import GalleryError, RecordingError, SettingsError
from kaimen.gallery.gallery import Gallery
from kaimen.gallery.index import index_path
from kaimen.gallery.one_moment import MEASURED, MEND, OneMoment
from kaimen.installation import Installation
from kaimen.language import text
from kaimen.names import name_of
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.spreadsheet import ENCODING, write_table
from kaimen.storage import require_folder, write_whole
from kaimen.voice.models import phrase_of

EXAMPLE = """example:
  kaimen enroll --student s0001 --group 7b --consent 2027-07-31 anna/*.mp3
  kaimen enroll --from school/ --report refused.csv      (school/STUDENT/RECORDING.mp3)
  kaimen enroll --student s0001 --word 北京 anna/北京/*.mp3  (or school/STUDENT/WORD/RECORDING.mp3)
  kaimen enroll --from school.csv                        (student,path,group,consent,guardian)
  kaimen enroll --student s0001 --add anna/one-more.mp3
  kaimen enroll --from school/ --dry-run
  kaimen enroll --microphone s0001                       (five takes, with advice)
  kaimen enroll --microphone s0001 --add                 (another day: two are safer than one)
  kaimen enroll --microphone s0001 --replace-recording 17
  kaimen enroll --kiosk s0001                            (at the running gate, by its lights)

Record three takes on one day and two on another: voices differ from day to day.

A student of --from whose files have changed is replaced; one whose files are the same as last
time is left alone, so that a command that was interrupted goes on when it is given again. A
recording that cannot be used is named and left out; the others count, and the exit code is 3."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("files", nargs="*", type=Path, help="recordings of one student")
    parser.add_argument("--student", help="whose recordings the files are")
    parser.add_argument("--group", help="the student's group, for rules of the roster")
    parser.add_argument("--word", default="", help="the files are this word, for challenges")
    parser.add_argument("--consent", metavar="DATE", help="the last day of the student's consent")
    parser.add_argument("--guardian", metavar="NAME", help="with --consent: who gave it")
    parser.add_argument(
        "--from", dest="place", type=Path, metavar="PLACE",
        help="a folder of students' folders, or a CSV file of recordings",
    )  # fmt: skip
    add_flag(parser, "--accept-alike", "enroll a voice that another student has, too")
    add_file(parser, "--report", "write what was refused, as CSV")
    again = parser.add_mutually_exclusive_group()
    add_flag(again, "--add", "add the files to what --student is enrolled with")
    add_flag(again, "--replace", "put the files in place of all that --student has")
    add_flag(parser, "--dry-run", "judge the recordings, and write nothing")
    parser.add_argument("--cluster", metavar="ADDRESS", help="judge on a Dask cluster")
    at_microphone.add(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Enroll, save the index, calibrate; 0 if every recording could be used."""
    entries = _asked_for(arguments)
    if arguments.report:
        require_folder(arguments.report)
    counts: Counter[str] = Counter()
    refused: list[tuple[str, Refusal]] = []
    with Installation.open(Settings.read(arguments.config), screen) as installation:
        gallery = _gallery(installation, arguments.dry_run)
        outcomes = _outcomes(entries, arguments, installation, gallery, screen)
        for outcome in outcomes:
            show(outcome, screen)
            counts[outcome.status.value] += 1
            refused += [(outcome.student, refusal) for refusal in outcome.refused]
        kinds = Counter(refusal.kind for _, refusal in refused)
        if arguments.report:
            _report(arguments.report, refused)
        if arguments.dry_run:
            fields = {status.value: counts[status.value] for status in Status}
            screen.result({"dry_run": True, **fields, "kinds": dict(kinds)}, summary(counts, kinds))
            screen.say("nothing was written")
        else:
            _finish(installation, counts, kinds, screen)
    return RecordingError.exit_code if refused else 0


def _outcomes(
    entries: Sequence[Entry],
    arguments: argparse.Namespace,
    installation: Installation,
    gallery: Gallery,
    screen: Screen,
) -> Iterator[Outcome]:
    """Yield what became of each student, from files or from a microphone."""
    new = not (arguments.add or arguments.replace or arguments.replace_recording is not None)
    if arguments.microphone or arguments.kiosk:
        return at_microphone.outcomes(entries[0], arguments, installation, gallery, screen)
    encoder = installation.encoder
    if arguments.student and new:
        _require_new(entries[0], gallery)
    if arguments.cluster is None:
        work = workers_for(encoder, len(entries))
    else:
        work = on_cluster(arguments.cluster, encoder)
    outcomes = enroll(
        entries, gallery, encoder.card, work,
        accept_alike=arguments.accept_alike, said_by=phrase_of(encoder).identity,
        add=arguments.add, dry=arguments.dry_run,
    )  # fmt: skip
    return screen.progress(outcomes, text("enrolling"), len(entries))


def _gallery(installation: Installation, dry: bool) -> Gallery:
    """Return the gallery to enroll into; a dry run makes none where there is none."""
    if dry and not installation.has_registry:
        encoder = installation.encoder
        return Gallery(encoder.identity, encoder.card.dimension)
    return installation.gallery_or_new


def _require_new(entry: Entry, gallery: Gallery) -> None:
    """Require that recordings replace no others unasked. Raises SettingsError."""
    listed = gallery.registry.recordings.listed(entry.student)
    known = frozenset(each.source for each in listed if each.word == entry.word)
    if not known or entry.student not in gallery:
        return
    sources = sources_of(map(contents_of, entry.files))
    if not Task(0, entry, known).unchanged(sources) and set(sources) != {None}:
        count = sum(each.word == entry.word for each in listed)
        raise SettingsError(
            f"{entry.student} is enrolled with {count} recordings; give --add to add these to "
            "them, or --replace to put these in their place"
        )


def _asked_for(arguments: argparse.Namespace) -> list[Entry]:
    student, files, place = arguments.student, arguments.files, arguments.place
    heard = arguments.microphone or arguments.kiosk
    if heard and (student or files or place or arguments.word):
        raise SettingsError("--microphone and --kiosk name the student and take no recordings")
    if not heard and (arguments.play or arguments.replace_recording is not None):
        raise SettingsError("--play and --replace-recording go with --microphone STUDENT")
    alone = (student, files, arguments.group, arguments.consent, arguments.word, arguments.guardian)
    if place is not None and (arguments.add or arguments.replace):
        raise SettingsError(
            "--add and --replace are of one --student; --from replaces whose files have changed"
        )
    if place is not None and not any(alone):
        return entries_in(place)
    if arguments.guardian and not arguments.consent:
        raise SettingsError("--guardian goes with --consent DATE; see --help")
    student = heard or student
    if place is None and student and (files or heard):
        consent = day_of(arguments.consent, "--consent") if arguments.consent else None
        return [
            Entry(
                name_of(student, "--student"),
                tuple(file for file in files if not is_litter(file)),
                name_of(arguments.group, "--group") if arguments.group else arguments.group,
                consent,
                name_of(arguments.word, "--word") if arguments.word else "",
                name_of(arguments.guardian, "--guardian") if arguments.guardian else "",
            )
        ]
    raise SettingsError(
        "give --student NAME with recordings, --from PLACE or --microphone NAME; see --help"
    )


def _report(path: Path, refused: Sequence[tuple[str, Refusal]]) -> None:
    """Write every refusal, one a line. Raises StorageError."""
    text = io.StringIO()
    rows = [(who, each.path, each.kind, each.reason, each.alike or "") for who, each in refused]
    write_table(text, ("student", "path", "kind", "reason", "alike"), rows)
    write_whole(path, text.getvalue().encode(ENCODING))


def _finish(
    installation: Installation, counts: Counter[str], kinds: Counter[str], screen: Screen
) -> None:
    """Bring index and calibration in line with the registry, and sum up."""
    gallery, path = installation.gallery_or_new, installation.settings.gallery.file
    kept = index_path(path, gallery.space).exists()
    if counts[Status.ENROLLED.value] or (len(gallery) and not kept):
        gallery.save(screen.progress)
    why_not = _why_not_armed(installation, counts)
    calibration = None if why_not else installation.arming.calibration
    screen.result(
        {
            "gallery": str(path),
            "students": len(gallery),
            "recordings": gallery.recordings,
            "threshold": calibration and calibration.threshold,
            "expected_fnir": calibration and calibration.expected_fnir,
            "armed": calibration is not None,
            "reason": why_not or None,
            **{status.value: counts[status.value] for status in Status},
            "kinds": dict(kinds),
        },
        summary(counts, kinds),
    )
    screen.show(
        text(
            "{students} students with {count} recordings in {path}",
            students=len(gallery),
            count=gallery.recordings,
            path=path,
        )
    )
    if counts[Status.ENROLLED.value] and installation.model == MEASURED:
        points, takes = gallery.everything()
        found = OneMoment.of(np.split(points, np.cumsum(takes)[:-1]))
        if found.warning:
            screen.say(f"{found.warning}; {MEND}")
    if calibration is None:
        screen.say(f"the door is not armed: {why_not}")
    else:
        screen.say(
            f"the door is armed: threshold {calibration.threshold:.3f}; {calibration.evidence}"
        )
        if installation.arming.roster_misfit:
            screen.say(installation.arming.roster_misfit)


def _why_not_armed(installation: Installation, counts: Counter[str]) -> str:
    """Calibrate to the gallery as it is; why no door is armed by that, or nothing."""
    gallery = installation.gallery_or_new
    if not counts[Status.ENROLLED.value]:
        with suppress(GalleryError):
            kept = Calibration.load(installation.arming.path, installation.vault)
            fits = not kept.roster_misfit(installation.settings.roster, gallery)
            if fits and (kept.encoder, kept.students) == (gallery.encoder, len(gallery)):
                return installation.arming.disarmed
    return installation.arming.calibrate_if_quick()
