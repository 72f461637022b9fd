"""Rehearse an attack: who gets past the voice alone, and who past the checks as well?"""

from pathlib import Path

import kaimen
from kaimen.access.checks import Checks
from kaimen.rehearsal.attack import LIVING, AttackedGate
from kaimen.rehearsal.people import people_in
from kaimen.voice.models import Models

CLASS = Path(kaimen.__file__).parent / "rehearsal" / "voices" / "zhongguo-shanghai"
KINDS = (LIVING, "stranger", "other words", "copy, no loudspeaker")  # simulated replays take longer

models = Models.shipped(kaimen.Encoder())
people = people_in(CLASS, phrase="phrase")[:3]  # files are called TEXT-TAKE.mp3
place = AttackedGate(people, models)
attempts = [attempt for attempt in place.attempts() if attempt.kind in KINDS]
for name, checks in (
    ("voice alone", None),
    ("voice and checks", Checks(models, place.gallery.registry, None)),
):
    for kind, count in place.played(checks, attempts).items():
        print(f"{name}: {kind}: {count.opened} of {count.attempts} get in")
