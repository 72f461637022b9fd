"""Open a door on mock pins: a class is enrolled, and one of them says the passphrase."""

from pathlib import Path

import kaimen
from kaimen.door.pins import trace

CLASS = Path(kaimen.__file__).parent / "rehearsal" / "voices" / "zhongguo-shanghai"

encoder = kaimen.Encoder()
gallery = kaimen.Gallery(encoder.identity, encoder.card.dimension)
for student in sorted(CLASS.iterdir()):
    phrases = [kaimen.main_phrase(kaimen.read(student / f"phrase-{n}.mp3")) for n in (1, 2, 3)]
    gallery.enroll(student.name, [encoder.embed(phrase.samples) for phrase in phrases])
thresholds = kaimen.calibrate(gallery, encoder.card).thresholds

pins = kaimen.mock_pins()
with kaimen.Relay(17, pins=pins, lease=0.2) as relay:
    gate = kaimen.Gate(encoder, kaimen.AccessPolicy(gallery, thresholds), relay)
    for answer in gate.listen(kaimen.Recording.open(CLASS / "s01" / "phrase-6.mp3")):
        print(f"The gate says {answer.decision.verdict.value}: it was {answer.decision.student}.")
    relay.wait_for_rest()
print("The relay was", ", ".join("on" if change.on else "off" for change in trace(pins, 17)))
