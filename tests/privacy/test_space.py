"""What the gate finds is the same in the kept space, and real voices are not linked by two keys."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from kaimen.gallery.gallery import Gallery
from kaimen.registry.registry import Registry
from kaimen.registry.renewing import unlinked
from kaimen.registry.rotation import Rotation
from kaimen.registry.vault import Vault
from kaimen.rehearsal import RECORDINGS
from kaimen.sound.recording import main_phrase, read
from kaimen.voice.encoder import Encoder
from tests.gallery.exact import nearest_exactly
from tests.registry.test_rotation import SIZE, equal_error_rate, pairs, school

STUDENTS, EACH = 150, 4


def filled(gallery: Gallery, points: np.ndarray) -> Gallery:
    for number in range(STUDENTS):
        gallery.enroll(f"s{number:03}", list(points[number * EACH : (number + 1) * EACH]))
    return gallery


def test_a_kept_gallery_finds_whom_an_unmoved_one_finds_with_the_same_scores(
    tmp_path: Path,
) -> None:
    points, _ = school(STUDENTS + 1, EACH)
    plain = filled(Gallery("encoder", SIZE), points)
    assert not plain.registry.database.rotated
    path = tmp_path / "gallery.sqlite"
    with closing(filled(Gallery.open(path, Vault(), "encoder", SIZE), points)) as kept:
        assert kept.registry.database.rotated
        for probe in school(60, 1, seed=7)[0]:
            near = np.asarray(probe + points[3] * 0.8, np.float32)
            near /= np.linalg.norm(near)
            for each in (probe, near):
                expected = nearest_exactly(plain, each, 5)
                for found in (nearest_exactly(kept, each, 5), kept.nearest(each, 5)):
                    assert found[0].student == expected[0].student
                    assert found[0].score == pytest.approx(expected[0].score, abs=1e-5)


@pytest.mark.slow
def test_real_voices_are_known_as_well_and_not_linked_after_a_renewal(tmp_path: Path) -> None:
    encoder = Encoder()
    voices = sorted(path for path in RECORDINGS.iterdir() if path.is_dir())
    made = [
        [encoder.embed(main_phrase(read(take)).samples) for take in sorted(voice.glob("*.mp3"))]
        for voice in voices
    ]
    points = np.array([point for own in made for point in own], np.float32)
    owners = np.repeat(np.arange(len(made)), [len(own) for own in made])
    linked, errors = [], []
    plain = equal_error_rate(*pairs(points @ points.T, owners))
    with closing(Registry(tmp_path / "gallery.sqlite", Vault())) as registry:
        for voice, own in zip(voices, made, strict=True):
            registry.enroll(voice.name, own, encoder.identity)
        numbers, _ = registry.recordings.numbers(encoder.identity)
        before = registry.recordings.kept(numbers, encoder.identity)
        alike = owners[:, None] == owners[None]
        for _ in range(10):
            after = Rotation.of(unlinked(registry), encoder.identity, SIZE).apply(points)
            errors.append(equal_error_rate(*pairs(after @ after.T, owners)))
            cosines = before @ after.T
            linked.append(equal_error_rate(cosines[alike], cosines[~alike]))
    assert errors == pytest.approx([plain] * 10, rel=0.05, abs=1e-3)
    assert float(np.median(linked)) >= 0.45 and min(linked) > 0.4
