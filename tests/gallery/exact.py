"""What a search by the index is measured against."""

from __future__ import annotations

import numpy as np

from kaimen.gallery.gallery import Gallery
from kaimen.gallery.match import Match
from kaimen.voice.encoder import Voiceprint


def nearest_exactly(gallery: Gallery, probe: Voiceprint, count: int = 3) -> list[Match]:
    """Return the nearest students by scoring everybody."""
    held = gallery._current()
    everybody = np.arange(len(held.members.students))
    return held.search.exactly(held.rotation.apply(probe), everybody, count)
