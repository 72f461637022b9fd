"""A gallery of narrow recordings says so, and phrases that are narrower than it."""

from __future__ import annotations

import numpy as np

from kaimen.gallery.band import GalleryBand
from kaimen.gallery.gallery import Gallery
from kaimen.service.narrow_microphone import IN_A_ROW, NarrowMicrophone
from kaimen.sound.bandwidth import limited
from kaimen.voice.evidence import Evidence
from tests.voices import take


def test_the_gallery_knows_how_high_the_recordings_of_its_students_reach() -> None:
    gallery = Gallery("e", 4)
    points = np.eye(4, dtype=np.float32)
    gallery.enroll("a", points[:2], evidence=[Evidence(highest=4_000.0)] * 2)
    assert gallery.band == GalleryBand(4_000, 0)
    gallery.enroll("b", points[2:], evidence=[Evidence(highest=8_000.0)] * 2)
    gallery.enroll("c", points[2:], evidence=[Evidence(highest=8_000.0)] * 2)
    assert gallery.band == GalleryBand(None, 1)
    assert "1 students" in gallery.band.warning


def test_recordings_of_earlier_releases_are_taken_to_be_wide() -> None:
    gallery = Gallery("e", 4)
    gallery.enroll("a", np.eye(4, dtype=np.float32)[:1])
    assert gallery.band == GalleryBand() and not gallery.band.warning


def test_a_phrase_is_warned_of_only_where_it_is_narrower_than_the_school() -> None:
    assert "4 kHz" in GalleryBand().warning_of(4_000.0)
    assert "4 kHz" in GalleryBand(5_500).warning_of(4_000.0)
    assert not GalleryBand(4_000).warning_of(4_000.0)
    assert not GalleryBand().warning_of(8_000.0)


def test_the_gate_tells_of_a_narrow_microphone_once_and_not_of_one_phrase() -> None:
    wide = take("anning", 1)
    narrow = limited(wide, 4_000)
    microphone = NarrowMicrophone()
    heard = [*[narrow] * (IN_A_ROW - 1), wide, *[narrow] * (IN_A_ROW + 2)]
    told = [microphone.hear(each, GalleryBand()) for each in heard]
    assert [bool(each) for each in told].count(True) == 1
    assert "use another microphone" in told[2 * IN_A_ROW - 1]
    assert not any(NarrowMicrophone().hear(narrow, GalleryBand(4_000)) for _ in range(9))
