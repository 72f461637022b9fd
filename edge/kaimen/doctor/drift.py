"""Drift: whether strangers' scores at the door keep what the calibration promised."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from kaimen.audit import files_of
from kaimen.audit.passages import WINDOW, passages_of
from kaimen.doctor.counted import in_use
from kaimen.doctor.finding import Finding, Patient, broken, ok, require_readable
from kaimen.monitoring.drift import alarm
from kaimen.monitoring.drift_watch import MENDED


def check(patient: Patient) -> Iterator[Finding]:
    """Tell what the log's openings of the last weeks say. Raises GalleryError and StorageError."""
    installation = patient.installation
    path = installation.arming.path
    if not files_of(installation.log_folder) or not path.exists():
        return  # the lines of the log and of the calibration say so
    require_readable(patient.settings.gallery.key_file)
    for each in files_of(installation.log_folder):
        require_readable(each)
    calibration = in_use(installation, installation.vault)
    now = datetime.datetime.now(datetime.UTC)
    passages = passages_of(installation.log_folder, installation.log_key, now - WINDOW)
    found = alarm(passages, calibration, now)
    measured = {"above": found.above.value, "low": found.above.low, "promise": found.promise}
    if found.trips:
        stops = "" if patient.settings.gate.stop_on_drift else " (the door goes on)"
        yield broken("drift", f"{found.sentence}{stops}", MENDED, **measured)
    else:
        yield ok("drift", found.sentence, **measured)
