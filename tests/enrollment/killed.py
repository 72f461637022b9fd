"""A process that enrolls a pretended school and says so student by student; it is to be killed."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from kaimen.enrollment.enrollment import enroll
from kaimen.enrollment.entries import entries_in
from kaimen.enrollment.workers import in_one
from tests.enrollment.pretended import JUDGE, card, gallery_at

if __name__ == "__main__":
    school, folder = map(Path, sys.argv[1:])
    gallery = gallery_at(folder)
    for outcome in enroll(entries_in(school), gallery, card(), partial(in_one, judge=JUDGE)):
        sys.stdout.write(f"{outcome.student} {outcome.status.value}\n")
        sys.stdout.flush()
    gallery.save()
