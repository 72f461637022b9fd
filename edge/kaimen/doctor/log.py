"""The log of decisions: whether somebody changed it."""

from __future__ import annotations

from collections.abc import Iterator

from kaimen.audit import files_of, verify
from kaimen.doctor.finding import Finding, Patient, broken, ok, require_readable


def check(patient: Patient) -> Iterator[Finding]:
    """Tell whether the newest file of the log is as it was written. Raises GalleryError."""
    folder = patient.installation.log_folder
    if not folder.exists():
        yield ok("log", "none yet: 'kaimen run' writes one")
        return
    require_readable(patient.settings.gallery.key_file)
    for path in files_of(folder)[-1:]:
        require_readable(path)
    report = verify(folder, patient.installation.log_key, newest=True)
    if report.problems:
        first = report.problems[0]
        yield broken(
            "log",
            f"{first.place}: {first.what}",
            "find out who did it with 'kaimen audit verify', and keep a copy of the folder",
        )
    else:
        yield ok("log", f"its newest {report.lines} lines are as they were written")
