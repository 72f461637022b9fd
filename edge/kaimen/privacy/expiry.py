"""What becomes of voices whose consent ended: they are erased, not only unknown."""

from __future__ import annotations

import datetime

from kaimen.clock import today
from kaimen.installation import Installation
from kaimen.privacy.certificate import Certificate
from kaimen.privacy.erasing import erase, forget_voice
from kaimen.registry.registry import Registry
from kaimen.registry.student_rows import Student


def is_due(registry: Registry, days: int) -> list[Student]:
    """Return whose voices are to be erased: consent withdrawn, or ended so many days ago.

    Raises GalleryError.
    """
    latest = today() - datetime.timedelta(days=days)
    return [
        student
        for student in registry.students()
        if student.consent is not None
        and not student.consents(today())
        and (student.consent < latest or registry.consents.is_withdrawn(student.number))
        and (student.recordings or not registry.pins.has(student.number))
    ]


def end_consents(installation: Installation, days: int) -> dict[str, Certificate | None]:
    """Erase whoever is due; by name, the certificate, or None for one whose card and PIN stay.

    Raises GalleryError and StorageError; who was not reached yet is due the next time, too.
    """
    registry = installation.registry
    ended: dict[str, Certificate | None] = {}
    due, with_pin = is_due(registry, days), registry.pins.everybody()
    for student in due:
        registry.events.note("consent ended", student.name)
        if student.number in with_pin:
            forget_voice(installation, student.name)
            ended[student.name] = None
    leaving = [student.name for student in due if student.number not in with_pin]
    if leaving:
        ended.update(erase(installation, leaving))
    installation.tell_log()
    return ended
