"""Write your own relay: whatever has an ``open`` can be what a gate switches."""

from pathlib import Path

import kaimen

CLASS = Path(kaimen.__file__).parent / "rehearsal" / "voices" / "zhongguo-shanghai"


class Turnstile:
    """A turnstile that counts who went through. It must close by itself, whatever happens."""

    passed = 0

    def open(self) -> None:
        """Let one person through."""
        self.passed += 1
        print(f"The turnstile turns: {self.passed}")


encoder = kaimen.Encoder()
gallery = kaimen.Gallery(encoder.identity, encoder.card.dimension)
for student in ("s01", "s02", "s03"):
    takes = [kaimen.read(CLASS / student / f"phrase-{n}.mp3") for n in (1, 2, 3)]
    gallery.enroll(student, [encoder.embed(kaimen.main_phrase(take).samples) for take in takes])
thresholds = kaimen.calibrate(gallery, encoder.card).thresholds
gate = kaimen.Gate(encoder, kaimen.AccessPolicy(gallery, thresholds), Turnstile())
for name in ("s02/phrase-6.mp3", "s05/phrase-1.mp3", "s03/phrase-7.mp3"):
    for answer in gate.listen(kaimen.Recording.open(CLASS / name)):
        print(f"{name}: {answer.decision.verdict.value}")
