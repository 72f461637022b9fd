"""Recognise a file: whose voice is in it, among the students of a class?"""

from pathlib import Path

import kaimen

CLASS = Path(kaimen.__file__).parent / "rehearsal" / "voices" / "stop-yes"
encoder = kaimen.Encoder()


def voiceprint(path: Path) -> kaimen.Voiceprint:
    """Return the point of the phrase in a recording, shape (dimension,)."""
    return encoder.embed(kaimen.main_phrase(kaimen.read(path)).samples)


gallery = kaimen.Gallery(encoder.identity, encoder.card.dimension)
for student in ("s08", "s09", "s10", "s11"):
    gallery.enroll(student, [voiceprint(CLASS / student / f"phrase-{n}.mp3") for n in (1, 2, 3)])

for path in (CLASS / "s10" / "phrase-5.mp3", CLASS / "s22" / "phrase-1.mp3"):
    print(f"{path.parent.name}/{path.name}:")
    for match in gallery.nearest(voiceprint(path), count=2):
        print(f"  like {match.student}, score {match.score:.1f}")
