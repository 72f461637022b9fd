"""A student of whom everything is known that a registry can keep."""

from __future__ import annotations

import datetime

import numpy as np

from kaimen.registry.consents import Consent
from kaimen.registry.permissions import give_consent, set_pin
from kaimen.registry.refused import Refused
from kaimen.registry.registry import Registry
from kaimen.voice.evidence import Evidence
from tests.gallery.points import school

LI, PIN, OTHER_PIN = "李明", "520914", "911207"
AT = datetime.datetime(2026, 3, 1, 7, 30, tzinfo=datetime.UTC)
UNTIL = datetime.date(2030, 7, 31)
CONSENT = Consent("guardian", "李娜", ("doors", "lunch"), "2026-09-01", "2029-07-31")
POINTS = school(6, 3, 8, seed=3)
SAID = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
PRINT = np.arange(24, dtype=np.uint8).reshape(2, 12)
EVIDENCE = (Evidence(SAID, "words", PRINT, 4000.5), Evidence())


def enroll_whole(registry: Registry, name: str = LI) -> None:
    """Enroll a student by two encoders and two phrase encoders, with words, consents and a PIN."""
    refused = [Refused("r", "rules", "kind", "reason")]
    registry.enroll(
        name, POINTS[0, :2], "encoder", sources=["a", "b"], group="七", consent=UNTIL,
        guardian="Wu", refused=refused, evidence=EVIDENCE,
    )  # fmt: skip
    spoken = [Evidence(2 * SAID, "words", None, 3000.0)]
    registry.enroll(name, POINTS[1, :1], "encoder", sources=["c"], evidence=spoken, word="北京")
    known = [each for each in registry.recordings.known("another") if each.student == name]
    also = [(each, POINTS[2, place], Evidence()) for place, each in enumerate(known)]
    registry.points.add(also, "another")
    said = [each for each in registry.recordings.known("another", "others") if not each.said]
    registry.points.add(
        [(each, POINTS[2, 0], Evidence(-SAID, "others")) for each in said if each.student == name],
        "another",
    )
    registry.enroll(name, POINTS[3, :1], "another", sources=["d"], word="上海")
    give_consent(registry, name, CONSENT)
    set_pin(registry, name, PIN)
    assert registry.grown.take_in(name, POINTS[4, 0], "encoder", AT)
