"""Enroll a folder of student/recording.mp3 into a sealed gallery, and open it again."""

import shutil
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import kaimen
from kaimen.enrollment.enrollment import enroll
from kaimen.enrollment.entries import entries_in
from kaimen.enrollment.judging import Judge
from kaimen.enrollment.workers import in_one

CLASS = Path(kaimen.__file__).parent / "rehearsal" / "voices" / "zhongguo-shanghai"

with TemporaryDirectory() as temporary:
    school, registry, key = (Path(temporary, name) for name in ("school", "gallery.sqlite", "key"))
    others = shutil.ignore_patterns("s0[4-9]", "other-*", "phrase-[4-9].mp3")
    shutil.copytree(CLASS, school, ignore=others)
    (school / "s03" / "phrase-4.mp3").write_bytes(b"no sound")
    encoder = kaimen.Encoder()
    kaimen.Vault().save(key)  # without this file nobody reads the voiceprints
    sealed = (registry, kaimen.Vault.load(key), encoder.identity, encoder.card.dimension)
    gallery = kaimen.Gallery.open(*sealed)
    judges = partial(in_one, judge=Judge.by(encoder))
    for outcome in enroll(entries_in(school), gallery, encoder.card, judges):
        print(f"{outcome.student}: {outcome.status.value} with {outcome.recordings} recordings")
        for refusal in outcome.refused:
            print(f"  without {Path(refusal.path).name}: {refusal.reason}")
    print(f"Opened again: {', '.join(kaimen.Gallery.open(*sealed).students)}")
