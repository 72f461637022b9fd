"""A school that has all that Kaimen can keep of students and of who works there."""

from __future__ import annotations

import datetime
from contextlib import closing

import numpy as np

from kaimen.access.pin_lockout import PinLockout
from kaimen.console.accounts import Accounts
from kaimen.console.acts import Acts
from kaimen.console.roles import Role
from kaimen.gallery.latent_map import LatentMap, map_path
from kaimen.registry.kept_phrases import Mark
from tests.privacy.school import ENCODER, GONE, OTHERS, School, points

PASSWORD = "vier gruene Kannen"
SOUND = np.random.default_rng(9).bytes(4000)
AT = datetime.datetime(2026, 11, 20, 7, 30, tzinfo=datetime.UTC)


def grown_of(seed: int) -> np.ndarray:
    """A voiceprint that the gate took in: near a student's, and none of them."""
    point = points(seed)[0] + 0.02 * points(seed + 100)[0]
    return (point / np.linalg.norm(point)).astype(np.float32)


def complete(school: School) -> School:
    """Give a school a calibration and its scores, a map, grown voiceprints, kept phrases, wrong
    PINs, an account and acts."""
    with closing(school.registry()) as registry:
        for seed, name in enumerate([GONE, *OTHERS]):
            assert registry.grown.take_in(name, grown_of(seed), ENCODER.identity, AT)
    with school.installation() as installation:
        installation.arming.keep(installation.arming.learn(0.5))
        path, vault = installation.settings.gallery.file, installation.vault
        gallery = installation.gallery
        LatentMap.fit(gallery.encoder, *gallery.centroids()).save(map_path(path), vault)
        phrases = installation.kept_phrases
        number = phrases.keep(SOUND, {"verdict": "retry"}, [GONE])
        phrases.mark(Mark(number, "refused", False))
        phrases.keep(SOUND[::-1], {"verdict": "open"}, [OTHERS[0]])
        pins = PinLockout(installation.pin_lockout_path, vault)
        for _ in range(7):
            pins.begin(GONE)
        Accounts(installation.accounts_path, vault).put("Wang Fang", Role.ADMIN, PASSWORD)
        Acts(installation.acts_folder, installation.acts_key).write("Wang Fang", "looked")
    return school
